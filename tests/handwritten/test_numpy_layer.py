"""What every NumPy layer can do: names, hooks, modes, precision, saving and loading."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from layerdiff.handwritten.numpy_layers import (
    Add,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Linear,
    ReLU,
    Sequential,
)


def small():
    """A convolution, a batch norm and a ReLU, with a layer within a layer."""
    network = Sequential(Sequential(Conv2d(1, 2, 3), BatchNorm2d(2)), ReLU())
    network.initialise(np.random.default_rng(0))
    return network


def test_layers_are_named_in_order_as_torchs_modules():
    """Depth first, each layer before its children, itself under its own prefix, as `named_modules` does."""
    theirs = torch.nn.Sequential(
        torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2)), torch.nn.ReLU()
    )
    network = small()
    assert [path for path, _ in network.named_layers()] == [path for path, _ in theirs.named_modules()]
    assert [path for path, _ in network.named_layers("net")] == [path for path, _ in theirs.named_modules(prefix="net")]
    assert [name for name, _ in network.children()] == ["0", "1"]


def test_an_array_has_one_home():
    """`layer.weight` and `layer.arrays["weight"]` are the same, read and written; what is not there reads as None."""
    layer = Linear(2, 3)
    layer.weight = np.ones((3, 2))
    assert layer.arrays["weight"] is layer.weight
    layer.arrays["weight"] = np.zeros((3, 2))
    assert not layer.weight.any()
    layer.bias = None
    assert list(layer.arrays) == ["weight"]
    assert layer.bias is None
    layer.arrays["bias"] = np.ones(3)
    assert layer(np.zeros((1, 2))).tolist() == [[1, 1, 1]]


def test_an_unknown_attribute_is_an_attribute_error():
    """A misspelt name is not taken for an array."""
    with pytest.raises(AttributeError, match="'Linear' object has no attribute 'wieght'"):
        _ = Linear(2, 3).wieght


def test_a_hook_sees_layer_inputs_and_output_until_it_is_removed():
    """It runs after each forward, with every input, and removing it twice is harmless."""
    layer, seen = Add(), []
    remove = layer.register_forward_hook(lambda *event: seen.append(event))
    x, identity = np.ones(2), np.zeros(2)
    y = layer(x, identity)
    (event,) = seen
    assert event[0] is layer
    assert event[1][0] is x
    assert event[1][1] is identity
    assert event[2] is y
    remove()
    remove()
    layer(x, identity)
    assert len(seen) == 1


def test_one_hook_registered_twice_runs_twice_and_is_removed_once():
    """Each registration is its own."""
    layer, calls = ReLU(), []

    def hook(*_):
        calls.append(1)

    remove = layer.register_forward_hook(hook)
    layer.register_forward_hook(hook)
    layer(np.ones(1))
    remove()
    layer(np.ones(1))
    assert len(calls) == 3


def test_a_hook_may_remove_itself():
    """While the hooks are being run."""
    layer, calls = ReLU(), []

    def hook(*_):
        calls.append(1)
        remove()

    remove = layer.register_forward_hook(hook)
    layer(np.ones(1))
    layer(np.ones(1))
    assert len(calls) == 1


def test_astype_is_a_copy_in_another_precision_without_hooks():
    """The original keeps its arrays and its hooks; the copy shares neither, at any depth."""
    network, calls = small(), []
    network.register_forward_hook(lambda *_: calls.append(1))
    conv = dict(network.named_layers())["0.0"]
    twin = network.astype(np.float64)
    assert {array.dtype for array in network.state_dict().values()} == {np.dtype(np.float32)}
    assert {array.dtype for array in twin.state_dict().values()} == {np.dtype(np.float64)}
    dict(twin.named_layers())["0.0"].weight[:] = 7
    assert not (conv.weight == 7).any()
    assert twin(np.zeros((1, 1, 4, 4))).dtype == np.float64
    assert calls == []
    assert [path for path, _ in twin.named_layers()] == [path for path, _ in network.named_layers()]


def test_astype_to_the_same_precision_copies_too():
    """What the copy does to its arrays never reaches the original."""
    layer = Linear(2, 2)
    layer.astype(np.float32).weight[:] = 1
    assert not layer.weight.any()


def test_a_copied_dropout_draws_for_itself():
    """Original and copy go on from the same point, and neither moves the other."""
    layer = Dropout(0.5).train()
    twin = layer.astype(np.float32)
    x = np.ones(100)
    np.testing.assert_array_equal(twin(x), layer(x))


@pytest.mark.parametrize("dtype", [np.int32, bool])
def test_astype_refuses_what_is_not_floating(dtype):
    """Weights cannot be held as integers."""
    with pytest.raises(ValueError, match=r"^ReLU.astype: not a floating dtype, got .*, expected float32 or float64"):
        ReLU().astype(dtype)


def test_layers_are_built_in_eval_mode_and_train_reaches_all():
    """Unlike torch's, as documented; `train` and `eval` return the layer they were called on."""
    network = small()
    assert not any(layer.training for _, layer in network.named_layers())
    assert network.train() is network
    assert all(layer.training for _, layer in network.named_layers())
    assert not any(layer.training for _, layer in network.eval().named_layers())


def test_what_is_loaded_is_what_is_saved():
    """Names, values and dtype survive, and the arrays are copies."""
    state = {name: array.astype(np.float64) + 1 for name, array in small().state_dict().items()}
    network = small()
    network.load_state_dict(state | {"0.1.num_batches_tracked": np.array(3)})
    loaded = network.state_dict()
    assert list(loaded) == ["0.0.weight", "0.0.bias", "0.1.weight", "0.1.bias", "0.1.running_mean", "0.1.running_var"]
    for name, array in loaded.items():
        np.testing.assert_array_equal(array, state[name])
        assert array.dtype == np.float64
        assert not np.shares_memory(array, state[name])


def test_everything_that_does_not_fit_is_said_at_once():
    """One error lists all that is missing, unexpected, misshapen, not floating and not finite; nothing is loaded."""
    network = small()
    before = {name: array.copy() for name, array in network.state_dict().items()}
    state = {
        "0.0.weight": np.ones((2, 1, 3, 4)),
        "0.0.bias": np.array([1, 2]),
        "0.1.bias": np.array([1.0, np.nan]),
        "0.1.running_mean": np.array([[np.inf]]),
        "fc.weight": np.ones(3),
        "fc.bias": np.ones(3),
    }
    with pytest.raises(
        ValueError,
        match=r"^Sequential.load_state_dict: the tensors do not fit, got 9 problems, expected the 6 tensors",
    ) as caught:
        network.load_state_dict(state)
    assert caught.value.__notes__ == [
        "help: nothing was loaded; is this the state of another architecture?",
        "note: missing: 0.1.weight, 0.1.running_var",
        "note: unexpected: fc.weight, fc.bias",
        "note: misshapen: 0.0.weight (2, 1, 3, 4) instead of (2, 1, 3, 3), 0.1.running_mean (1, 1) instead of (2,)",
        "note: not floating: 0.0.bias int64",
        "note: not finite: 0.1.bias, 0.1.running_mean",
    ]
    for name, array in network.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
