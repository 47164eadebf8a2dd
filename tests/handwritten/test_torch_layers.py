"""The small handwritten torch layers, and what all of them print."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional

from layerdiff.handwritten import torch_layers
from layerdiff.handwritten.torch_layers import Dropout, Flatten, Linear, ReLU


def test_relu_is_torchs_bit_for_bit_with_its_gradient():
    """Both zeros, both infinities and NaN come out as torch's, and so does the gradient: 0 at 0, and whole at NaN."""
    x = torch.tensor([-2.0, -0.0, 0.0, 3.0, float("inf"), -float("inf"), float("nan")], requires_grad=True)
    actual, expected = ReLU()(x), functional.relu(x)
    assert torch.equal(actual.nan_to_num(7), expected.nan_to_num(7))
    gradients = [torch.autograd.grad(y, x, torch.ones(7))[0] for y in (actual, expected)]
    assert torch.equal(*gradients)


def test_relu_leaves_its_input_alone():
    """A hook that kept the input still holds what came in."""
    x = torch.tensor([-1.0, 1.0])
    ReLU()(x)
    assert x.tolist() == [-1, 1]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(5,), (3, 5), (2, 3, 5)])
def test_linear_is_torchs(bias, shape, assert_within, sum_bound):
    """Over the last axis of any shape, to within the rounding of a sum of five products."""
    layer = Linear(5, 4, bias=bias).double()
    theirs = nn.Linear(5, 4, bias=bias).double()
    theirs.load_state_dict(layer.state_dict())
    x = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    magnitude = functional.linear(x.abs(), layer.weight.abs(), layer.bias.abs() if bias else None)
    assert_within(layer(x).detach(), theirs(x).detach(), sum_bound(5, magnitude.detach()))


def test_linear_weights_stay_within_torchs_bound():
    """Uniform in ±1/sqrt(in_features): all within, and the outer tenth is reached."""
    torch.manual_seed(0)
    layer = Linear(100, 50)
    for tensor in (layer.weight, layer.bias):
        assert 0.09 < tensor.abs().max() <= 0.1


def test_linear_refuses_other_features():
    """The classic: an image that was not pooled before it was flattened."""
    with pytest.raises(
        ValueError, match=r"^Linear: wrong number of features, got shape \(2, 8\), expected \(\.\.\., 5\)\n"
    ):
        Linear(5, 4)(torch.zeros(2, 8))


def test_flatten_is_torchs():
    """By default everything but the batch."""
    x = torch.arange(24).reshape(2, 3, 2, 2)
    assert torch.equal(Flatten()(x), nn.Flatten()(x))
    assert torch.equal(Flatten(0, 1)(x), nn.Flatten(0, 1)(x))


def test_flatten_refuses_axes_that_are_not_there():
    """The message is tested in test_geometry; here, that the layer's name leads it."""
    with pytest.raises(ValueError, match=r"^Flatten: no such axes"):
        Flatten(1, 3)(torch.zeros(2, 3))


@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_dropout_draws_what_torch_draws(p):
    """From the same seed the same values are dropped, the same scale is applied, and the gradient is the same."""
    x = torch.randn(50, 40, generator=torch.Generator().manual_seed(0), requires_grad=True)
    results = []
    for dropout in (Dropout(p), nn.Dropout(p)):
        torch.manual_seed(1)
        y = dropout(x)
        results.append((y, torch.autograd.grad(y, x, torch.ones_like(x))[0]))
    assert torch.equal(results[0][0], results[1][0])
    assert torch.equal(results[0][1], results[1][1])


def test_dropout_does_nothing_in_eval_mode():
    """Not even a copy."""
    x = torch.ones(3)
    assert Dropout(0.5).eval()(x) is x


@pytest.mark.parametrize("p", [-0.1, 1.1, float("nan")])
def test_dropout_refuses_what_is_no_probability(p):
    """When the layer is made."""
    with pytest.raises(ValueError, match=r"^Dropout: not a probability, got .*, expected between 0 and 1\n"):
        Dropout(p)


def test_there_are_nine_layers_each_called_as_torchs():
    """Every layer has the name, the arguments in the order, and the defaults of the module it mirrors."""
    assert len(torch_layers.__all__) == 9
    for name in torch_layers.__all__:
        ours = dict(inspect.signature(getattr(torch_layers, name)).parameters)
        if name == "ReLU":  # ours takes no arguments: torch's only one, `inplace`, is what we refuse to do
            ours.clear()
        theirs = inspect.signature(getattr(nn, name)).parameters
        assert [p for p in theirs if p in ours] == list(ours), name
        assert {p: v.default for p, v in ours.items()} == {p: theirs[p].default for p in ours}, name


def test_no_ready_made_layer_is_used():
    """The halves are independent only while none of torch's own layers, nor functional's, is behind a name."""
    folder = Path(torch_layers.__file__).parent
    source = "".join(path.read_text() for path in folder.glob("torch_*.py"))
    code = "\n".join(line for line in source.splitlines() if "Source:" not in line and '"""' not in line)
    used = {name for name in dir(nn) if f"nn.{name}(" in code and name[0].isupper()}
    assert used <= {"Module", "Parameter", "Sequential"}
    assert {line for line in code.splitlines() if "nn.functional" in line} == {"from torch.nn.functional import pad"}


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (torch_layers.Conv2d(2, 4, 3), "Conv2d(2, 4, kernel_size=(3, 3), stride=(1, 1), padding=(0, 0), "),
        (torch_layers.BatchNorm2d(2), "BatchNorm2d(2, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)"),
        (torch_layers.MaxPool2d(2), "MaxPool2d(kernel_size=(2, 2), stride=(2, 2), padding=(0, 0), dilation=(1, 1), "),
        (torch_layers.AvgPool2d(2), "AvgPool2d(kernel_size=(2, 2), stride=(2, 2), padding=(0, 0), ceil_mode=False, "),
        (torch_layers.AdaptiveAvgPool2d(1), "AdaptiveAvgPool2d(output_size=(1, 1))"),
        (Linear(2, 3), "Linear(2, 3, bias=True)"),
        (Flatten(), "Flatten(start_dim=1, end_dim=-1)"),
        (Dropout(0.2), "Dropout(p=0.2)"),
    ],
)
def test_a_layer_prints_what_tells_it_from_another(layer, text):
    """`print(network)` shows every argument."""
    assert repr(layer).startswith(text)
