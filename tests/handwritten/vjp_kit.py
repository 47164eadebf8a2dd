"""How a vector-Jacobian product is tested: by random covectors against difference quotients and against torch.

A gradient of a sum (a covector of ones) is blind to much: a batch norm's is zero whatever the product does. So every
check draws its covector at random.

    check_finite_differences(relu, (x,), roundings=0)
    check_against_torch(relu, functional.relu, (x,), bounds=lambda covector: [0])
    check_manners(relu, (x,))
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import torch

from layerdiff.handwritten.tape import Tape

UNIT = 2.0**-53
"""The unit roundoff of float64, in which the checks compare."""

STEP = 2.0**-10
"""The step of the difference quotients; an operation with kinks is to be given arguments farther than this from one."""

NONE: Mapping[str, Any] = MappingProxyType({})


def is_variable(value):
    """Whether an argument has a gradient: a floating array."""
    return isinstance(value, np.ndarray) and np.issubdtype(value.dtype, np.floating)


def gamma(roundings):
    """The relative error that so many roundings one after the other can add up to: Higham 2002, lemma 3.1."""
    return roundings * UNIT / (1 - roundings * UNIT)


def first(result):
    """Of several results the one that is differentiated."""
    return result[0] if isinstance(result, tuple) else result


def gradients_by_tape(op, arguments, options=NONE, *, seed=0):
    """A random covector, and the gradients that the tape gives for it: one for each floating array.

    A covector of -1 to 1, in the shape and dtype of the result; the gradients have those of the arguments.
    """
    with Tape() as tape:
        y = first(op(*arguments, **options))
    covector = np.random.default_rng(seed).uniform(-1, 1, y.shape).astype(y.dtype)
    variables = [value for value in arguments if is_variable(value)]
    gradients = tape.gradients(y, variables, covector)
    for gradient, variable in zip(gradients, variables, strict=True):
        assert isinstance(gradient, np.ndarray)
        assert (gradient.shape, gradient.dtype) == (variable.shape, variable.dtype)
    return covector, gradients


def check_finite_differences(
    op: Callable[..., Any],
    arguments: Sequence[Any],
    options: Mapping[str, Any] = NONE,
    *,
    roundings: int,
    magnitude: Callable[..., Any] | None = None,
    seed: int = 0,
):
    """<gradient, v> is the slope of <covector, op(x + t*v)> at t = 0, for a random v in each floating argument's space.

    The slope is extrapolated from central quotients D(h) and D(h/2) to E = (4 D(h/2) - D(h)) / 3. What is allowed:

        truncation: |D(h) - D(h/2)|. D(h) = f' + c h^2 + O(h^4), so that is about 3/4 c h^2, while E errs by O(h^4).
        rounding: let each f err by at most d. D(h) then errs by d/h, D(h/2) by 2d/h, E by (4*2 + 1)/3 d/h = 3d/h.
            d = gamma(roundings + covector.size + 1) * sum |covector| magnitude + u * sum |gradient| (|x| + |v|):
            the operation and the inner product round, and so does x + h*v.
        And the inner product <gradient, v> rounds itself.

    Args:
        op: the operation, decorated.
        arguments: its arguments, floating arrays in float64.
        options: its keyword arguments.
        roundings: how many roundings there are at most between the arguments and a value of the result.
        magnitude: takes what `op` takes, gives for each value of the result a bound of its sum of absolute terms;
            the absolute result where None, which serves where nothing cancels.
        seed: of the covector and the directions.
    """
    covector, gradients = gradients_by_tape(op, arguments, options, seed=seed)
    generator = np.random.default_rng((seed, 1))

    def value(given):
        return float((covector * first(op(*given, **options))).sum())

    def size(given):
        absolute = first(op(*given, **options)) if magnitude is None else magnitude(*given, **options)
        return float(np.abs(covector * absolute).sum())

    places = [place for place, argument in enumerate(arguments) if is_variable(argument)]
    for place, gradient in zip(places, gradients, strict=True):
        x = arguments[place]
        direction = generator.uniform(-1, 1, x.shape)

        def at(t, place=place, x=x, direction=direction):
            return [*arguments[:place], x + t * direction, *arguments[place + 1 :]]

        wide, narrow = ((value(at(h)) - value(at(-h))) / (2 * h) for h in (STEP, STEP / 2))
        slope = (4 * narrow - wide) / 3
        # The inner product multiplies once and adds covector.size values.
        error = gamma(roundings + covector.size + 1) * max(size(at(STEP)), size(at(-STEP)))
        error += UNIT * float((np.abs(gradient) * (np.abs(x) + np.abs(direction))).sum())
        allowed = abs(wide - narrow) + 3 * error / STEP
        allowed += gamma(x.size + 1) * float(np.abs(gradient * direction).sum())
        found = float((gradient * direction).sum())
        assert abs(found - slope) <= allowed, (
            f"argument {place}: the product says {found!r}, the quotients {slope!r}, allowed {allowed:.3g}"
        )


def gradients_by_torch(torch_op, arguments, options, covector):
    """The gradients that torch's autograd gives for a covector, as arrays, in the order of the floating arguments."""
    tensors = [torch.tensor(value) if isinstance(value, np.ndarray) else value for value in arguments]
    variables = [value for value in tensors if torch.is_tensor(value) and value.is_floating_point()]
    for variable in variables:
        variable.requires_grad_()
    gradients = torch.autograd.grad(torch_op(*tensors, **options), variables, torch.tensor(covector))
    return [gradient.numpy() for gradient in gradients]


def sums_of_terms(torch_op, terms, arguments, options=NONE):
    """Bounds for `check_against_torch` where `op` is a sum of products of its arguments: conv2d, linear, avg_pool2d.

    A gradient is then a sum of products as well, and the same sum over absolute values is torch's own gradient at
    absolute arguments. Two sums of `terms` terms, each in any order, differ by 2 gamma(terms + 2) of it at most (Higham
    2002, section 3.1): two more roundings are granted for a division and for the rounding of this very bound.
    """

    def bounds(covector):
        absolute = [np.abs(value) if is_variable(value) else value for value in arguments]
        sums = gradients_by_torch(torch_op, absolute, options, np.abs(covector))
        return [2 * gamma(terms + 2) * np.abs(terms_of_one) for terms_of_one in sums]

    return bounds


def check_against_torch(
    op: Callable[..., Any],
    torch_op: Callable[..., Any],
    arguments: Sequence[Any],
    options: Mapping[str, Any] = NONE,
    *,
    bounds: Callable[[Any], Sequence[Any]],
    torch_options: Mapping[str, Any] | None = None,
    seed: int = 0,
):
    """The tape's gradients for a random covector are torch's to within bounds that the test derives.

    Args:
        op: the operation, decorated.
        torch_op: torch's; takes the same arguments as tensors.
        arguments: floating arrays in float64; integer arrays become integer tensors.
        options: the keyword arguments of `op`.
        bounds: takes the covector, gives for each gradient the difference allowed in each value (or one for all).
        torch_options: the keyword arguments of `torch_op`; `options` where None.
        seed: of the covector.
    """
    covector, gradients = gradients_by_tape(op, arguments, options, seed=seed)
    expected = gradients_by_torch(torch_op, arguments, options if torch_options is None else torch_options, covector)
    for number, (ours, theirs, bound) in enumerate(zip(gradients, expected, bounds(covector), strict=True)):
        assert np.isfinite(ours).all()
        excess = np.abs(ours - theirs) - bound
        assert (excess <= 0).all(), (
            f"gradient {number}: beyond the bound by {excess.max():.3g}, bound {np.max(bound):.3g}"
        )


def check_manners(op: Callable[..., Any], arguments: Sequence[Any], options: Mapping[str, Any] = NONE):
    """In float32 every gradient is float32, and going back writes to no argument and not to the covector."""
    given = [value.astype(np.float32) if is_variable(value) else value for value in arguments]
    before = [value.copy() if isinstance(value, np.ndarray) else value for value in given]
    with Tape() as tape:
        y = first(op(*given, **options))
    covector = np.random.default_rng(0).uniform(-1, 1, y.shape).astype(y.dtype)
    untouched, result = covector.copy(), y.copy()
    gradients = tape.gradients(y, [value for value in given if is_variable(value)], covector)
    assert [gradient.dtype for gradient in gradients] == [np.float32] * len(gradients)
    np.testing.assert_array_equal(covector, untouched)
    np.testing.assert_array_equal(y, result)
    for value, copy in zip(given, before, strict=True):
        np.testing.assert_array_equal(value, copy)
