"""Optimisers refuse what they cannot use, in words, and can be written as text."""

from __future__ import annotations

import math

import numpy as np
import pytest

from layerdiff.handwritten.optimisers import (
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    AdamW,
    NonFiniteGradientError,
    Optimiser,
    RMSprop,
    Specification,
    by_name,
    decay_of_weights,
)


def test_a_state_that_does_not_fit_is_refused_whole():
    """Every kind of misfit is listed, and nothing is loaded."""
    optimiser = Adam([("w", np.ones(2)), ("b", np.ones(1)), ("s", np.ones(1)), ("t", np.ones(1))])
    state = optimiser.state_dict() | {
        "step": -1,
        "lr": 0.5,
        "eps": 1e-7,
        "betas": np.array([0.9, 0.99]),
        "v.exp_avg": np.ones(1),
        "b.exp_avg": np.ones(3),
        "s.exp_avg": np.ones(1, dtype=np.float32),
        "t.exp_avg": np.array([np.nan]),
        "amsgrad": "no",
    }
    del state["w.exp_avg_sq"]
    with pytest.raises(
        ValueError, match=r"Adam.load_state_dict: the state does not fit, got 9 problems, expected"
    ) as e:
        optimiser.load_state_dict(state)
    assert e.value.__notes__ == [
        "help: nothing was loaded; build the optimiser as it was when the state was saved",
        "note: missing: w.exp_avg_sq",
        "note: unexpected: v.exp_avg",
        "note: misshapen: b.exp_avg (3,) instead of (1,)",
        "note: another dtype: s.exp_avg float32 instead of float64",
        "note: not finite: amsgrad, t.exp_avg",
        "note: another value: betas [0.9  0.99] instead of [0.9   0.999], eps 1e-07 instead of 1e-08",
        "note: out of range: step -1",
    ]
    assert (optimiser.lr, optimiser.steps) == (1e-3, 0)


def test_a_step_that_is_no_count_is_refused():
    """Half a step, and a learning rate below zero, cannot come from `state_dict`."""
    optimiser = SGD([np.ones(1)])
    with pytest.raises(ValueError, match="the state does not fit, got 2 problems") as e:
        optimiser.load_state_dict(optimiser.state_dict() | {"step": 2.5, "lr": -1.0})
    assert e.value.__notes__[1:] == ["note: out of range: step 2.5, lr -1.0"]


ONE = np.ones((2, 3))


def read_only():
    """An array that nobody may change."""
    array = np.ones(2)
    array.flags.writeable = False
    return array


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: SGD([ONE], lr=-1, momentum=1, dampening=2, weight_decay=-0.1),
            r"SGD: unusable hyperparameters, got lr=-1.0, momentum=1.0, dampening=2.0, weight_decay=-0.1, expected lr "
            "a number of at least 0, momentum a number from 0 to below 1, dampening a number from 0 to 1, "
            "weight_decay a number of at least 0, or one for each parameter",
        ),
        (lambda: SGD([ONE], lr=math.nan), "got lr=nan, expected lr a number of at least 0"),
        (lambda: SGD([ONE], lr=math.inf), "got lr=inf, expected lr a number of at least 0"),
        (lambda: setattr(SGD([ONE]), "lr", -1), "SGD.lr: unusable hyperparameters, got lr=-1.0, expected lr a number"),
        (
            lambda: SGD([ONE], nesterov=True),
            "SGD: nesterov without momentum, got momentum=0.0 and dampening=0.0, expected a momentum above 0 and a "
            "dampening of 0",
        ),
        (
            lambda: SGD([ONE], momentum=0.9, dampening=0.1, nesterov=True),
            "SGD: nesterov without momentum, got momentum=0.9 and dampening=0.1",
        ),
        (
            lambda: SGD([ONE], nesterov=1),
            "SGD: unusable hyperparameters, got nesterov=1, expected nesterov true or false",
        ),
        (
            lambda: SGD([ONE], weight_decay=[0.1, 0.2]),
            "SGD: wrong number of weight decays, got 2, expected 1 as there are parameters",
        ),
        (
            lambda: SGD([ONE], weight_decay=[-1]),
            r"got weight_decay=\(-1.0,\), expected weight_decay a number of at least",
        ),
        (lambda: Adagrad([ONE], lr_decay=-1, eps=-1), "Adagrad: unusable hyperparameters, got lr_decay=-1.0, eps=-1.0"),
        (lambda: RMSprop([ONE], alpha=1, momentum=-0.1), "RMSprop: unusable .* got alpha=1.0, momentum=-0.1, expected"),
        (lambda: Adadelta([ONE], rho=1), "Adadelta: unusable .* got rho=1.0, expected rho a number from 0 to below 1"),
        (
            lambda: Adam([ONE], betas=(0.9, 1)),
            r"Adam: unusable hyperparameters, got betas=\(0.9, 1.0\), expected betas two numbers from 0 to below 1",
        ),
        (lambda: AdamW([ONE], betas=(0.9,)), r"AdamW: unusable hyperparameters, got betas=\(0.9,\), expected"),
        (lambda: SGD([]), "SGD: nothing to optimise, got no parameters, expected at least one array"),
        (
            lambda: SGD(
                [("a", ONE), ("b", ONE), ("c", np.ones(2, int)), ("d", read_only()), ("e", 1.0), ("e", ONE[0])]
            ),
            "SGD: unusable parameters, got c is int64, d is read-only, e is a float, e is the name of 2, a is an array "
            "that comes twice, b is an array that comes twice, expected writeable floating arrays, each once and under "
            "a name of its own",
        ),
        (
            lambda: SGD([ONE]).step([ONE, ONE]),
            "SGD.step: wrong number of gradients, got 2, expected 1 as there are parameters",
        ),
        (
            lambda: SGD([("w", ONE), ("b", ONE[0]), ("s", ONE[1])]).step([ONE.T, ONE[0], ONE[1].astype(np.float32)]),
            r"SGD.step: gradients that do not fit, got w \(3, 2\) float64, s \(3,\) float32, "
            r"expected \(2, 3\) float64, \(3,\) float64",
        ),
        (
            lambda: by_name("adamm:lr=1"),
            "by_name: unknown optimiser, got 'adamm', expected one of sgd, adagrad, rmsprop, adadelta, adam, adamw",
        ),
        (
            lambda: by_name("sgd:momentun=0.9,lr=1,betas=1"),
            "by_name: unknown hyperparameters of sgd, got 'momentun', 'betas', expected some of lr, momentum, "
            "dampening, weight_decay, nesterov",
        ),
        (
            lambda: by_name("sgd:lr=1,lr=2"),
            "by_name: hyperparameters of sgd that come twice, got lr, expected each once",
        ),
        (
            lambda: by_name("adam:lr=fast,betas=0.9/x,amsgrad=1,eps"),
            "by_name: unreadable hyperparameters of adam, got lr=fast, betas=0.9/x, amsgrad=1, eps=, expected lr "
            "a number of at least 0, betas two numbers from 0 to below 1, as 0.9/0.999, amsgrad true or false, eps a",
        ),
        (
            lambda: by_name("sgd:lr=-1"),
            "SGD: unusable hyperparameters, got lr=-1.0, expected lr a number of at least 0",
        ),
        (lambda: by_name("adam:betas=0.9"), r"Adam: unusable hyperparameters, got betas=\(0.9,\), expected betas two"),
        (lambda: by_name("sgd:nesterov=true"), "SGD: nesterov without momentum, got momentum=0 and dampening=0"),
    ],
)
def test_what_cannot_be_used_is_refused(call, message):
    """In one line that says where, what it got and what it expected."""
    with pytest.raises(ValueError, match=message) as error:
        call()
    assert error.value.__notes__[0].startswith("help: ")


@pytest.mark.parametrize(
    ("text", "help_line"),
    [
        ("SGD", "did you mean 'sgd'?"),
        ("rmsprob:lr=1", "did you mean 'rmsprop'?"),
        ("xyz", "choose among the names above"),
        ("sgd:momentun=0.9,nestorov=true", "did you mean 'momentum' and 'nesterov'?"),
        ("sgd:", "choose among the names above"),
    ],
)
def test_the_nearest_name_is_suggested(text, help_line):
    """Of optimisers and of hyperparameters."""
    with pytest.raises(ValueError, match="by_name: unknown") as error:
        by_name(text)
    assert error.value.__notes__ == [f"help: {help_line}"]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_gradient_gone_astray_stops_the_step(bad):
    """The error names every parameter at fault, in words and as an attribute, and nothing has moved."""
    parameters = {"weight": np.ones((2, 3)), "bias": np.ones(3), "scale": np.ones(())}
    gradients = [np.ones((2, 3)), np.array([bad, 1, bad]), np.array(bad)]
    optimiser = Adam(parameters.items())
    message = r"Adam.step: NaN or infinity in a gradient, got bias \(2 of its values\), scale \(1 of its values\), "
    with pytest.raises(NonFiniteGradientError, match=message + "expected finite numbers") as error:
        optimiser.step(gradients)
    assert error.value.names == ("bias", "scale")
    assert error.value.__notes__ == [
        "help: nothing has moved; the learning rate may be too large, or an input not finite"
    ]
    assert optimiser.steps == 0
    for name, array in parameters.items():
        assert (array == 1).all()
        assert not any(held.any() for held in optimiser.state[name].values())


def test_an_optimiser_without_a_rule_says_so():
    """A subclass must say how a parameter is updated."""

    class Idle(Optimiser):
        kinds = SGD.kinds

    with pytest.raises(NotImplementedError, match="Idle does not say how a parameter is updated"):
        Idle([ONE.copy()], lr=1, weight_decay=0).step([ONE])


@pytest.mark.parametrize(
    ("text", "specification"),
    [
        ("sgd", Specification("sgd")),
        (
            "sgd:lr=0.1,momentum=0.9,weight_decay=0.0001,nesterov=true",
            Specification("sgd", (("lr", 0.1), ("momentum", 0.9), ("weight_decay", 1e-4), ("nesterov", True))),
        ),
        ("adam:betas=0.9/0.9999,amsgrad=false", Specification("adam", (("betas", (0.9, 0.9999)), ("amsgrad", False)))),
        ("rmsprop:centered=true", Specification("rmsprop", (("centered", True),))),
    ],
)
def test_text_and_specification_are_the_same(text, specification):
    """Each can be made of the other."""
    assert by_name(text) == specification
    assert str(specification) == text


def test_what_is_built_can_differ():
    """A decay for each parameter takes the place of the one in the text."""
    parameters = [("weight", np.ones((2, 3))), ("bias", np.ones(2))]
    decays = decay_of_weights(parameters, 0.1)
    optimiser = by_name("adamw:weight_decay=0.1,lr=0.5").build(parameters, weight_decay=decays)
    assert (optimiser.weight_decay, optimiser.lr, optimiser.names) == ((0.1, 0), 0.5, ("weight", "bias"))
