"""ResNet without its shortcuts, and with one channel, ten classes and a bias in the stem."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import layerdiff
from layerdiff.handwritten import numpy_resnet, torch_resnet
from layerdiff.handwritten.numpy_layers import Add

SMALL = {"in_channels": 1, "num_classes": 10}


def stirred(network):
    """A torch network in eval mode in which no tensor is left at a value that hides a mistake."""
    generator = torch.Generator().manual_seed(0)
    for name, tensor in network.state_dict().items():
        if name.endswith(("running_var", "bn1.weight", "bn2.weight", "bn3.weight")):
            tensor.uniform_(0.5, 1.5, generator=generator)
        elif name.endswith(("running_mean", "bias")):
            tensor.normal_(0, 0.3, generator=generator)
    return network.eval()


@pytest.fixture
def twins():
    """Builds both halves with the same weights."""

    def build(name, **options):
        torch.manual_seed(0)
        theirs = stirred(torch_resnet.build(name, **options))
        ours = numpy_resnet.build(name, **options)
        state = theirs.state_dict()
        ours.load_state_dict({key: tensor.numpy() for key, tensor in state.items()})
        return ours, theirs

    return build


@pytest.mark.parametrize("stem_bias", [False, True])
@pytest.mark.parametrize("residual", [True, False])
def test_layerdiff_calls_the_twins_the_same(twins, residual, stem_bias):
    """Layer by layer, in float32 and float64, nothing but rounding lies between NumPy's and torch's."""
    ours, theirs = twins("resnet18", residual=residual, stem_bias=stem_bias, **SMALL)
    x = np.random.default_rng(1).standard_normal((2, 1, 32, 32)).astype(np.float32)
    report = layerdiff.compare_networks(theirs, ours, x)
    assert report.verdict == "same", [(row.layer, row.reason) for row in report.layers if row.status != "same"]
    assert any(row.kind == "add" for row in report.layers) is residual


def test_layerdiff_finds_the_shortcuts_gone(twins):
    """A plain network is not called a residual one."""
    _, theirs = twins("resnet18", **SMALL)
    plain = numpy_resnet.build("resnet18", residual=False, **SMALL)
    state = theirs.state_dict()
    plain.load_state_dict({key: state[key].numpy() for key in plain.state_dict()})
    x = np.random.default_rng(1).standard_normal((2, 1, 32, 32)).astype(np.float32)
    assert layerdiff.compare_networks(theirs, plain, x, diagnose=False).verdict == "different"


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_a_plain_network_is_its_layers_in_a_row(twins, name):
    """Torch's own layers one after the other, without anything beside them, give the same logits, in float64.

    Some 1e-14 of the largest logit is rounding, as in test_networks; 1e-9 is far below any layer left out.
    """
    ours, theirs = twins(name, residual=False, **SMALL)
    state = {key: tensor.double() for key, tensor in theirs.state_dict().items()}
    convs = [
        key.removesuffix(".weight") for key, tensor in state.items() if key.endswith("weight") and tensor.ndim == 4
    ]
    assert not [key for key in state if "downsample" in key]
    x = np.random.default_rng(1).standard_normal((2, 1, 33, 40))
    y = torch.from_numpy(x)
    for conv in convs:
        first_of_stage = conv in {f"layer{i}.0.{'conv1' if name == 'resnet18' else 'conv2'}" for i in (2, 3, 4)}
        stride = 2 if conv == "conv1" or first_of_stage else 1
        y = nn.functional.conv2d(
            y, state[f"{conv}.weight"], stride=stride, padding=state[f"{conv}.weight"].shape[-1] // 2
        )
        norm = conv.replace("conv", "bn")
        names = [f"{norm}.{part}" for part in ("running_mean", "running_var", "weight", "bias")]
        y = nn.functional.batch_norm(y, *(state[key] for key in names)).relu()
        y = nn.functional.max_pool2d(y, 3, 2, 1) if conv == "conv1" else y
    expected = nn.functional.linear(y.mean((2, 3)), state["fc.weight"], state["fc.bias"]).numpy()
    with torch.no_grad():
        for actual in (ours.astype(np.float64)(x), theirs.double()(torch.from_numpy(x)).numpy()):
            assert np.abs(actual - expected).max() <= 1e-9 * np.abs(expected).max()


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_a_plain_network_has_the_same_layers_but_the_shortcuts(name):
    """The residual network's arrays in its order, less the projections; no addition is left behind."""
    plain, residual = (numpy_resnet.build(name, residual=flag) for flag in (False, True))
    assert list(plain.state_dict()) == [key for key in residual.state_dict() if "downsample" not in key]
    assert not any(isinstance(layer, Add) for _, layer in plain.named_layers())
    theirs = torch_resnet.build(name, residual=False)
    assert [key for key, _ in plain.named_parameters()] == [key for key, _ in theirs.named_parameters()]


@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize("stem_bias", [False, True])
def test_parameters_are_counted_as_torch_counts(residual, stem_bias):
    """One input channel and ten classes: 11,175,370 learned numbers, 64 more with a bias in the stem."""
    ours = numpy_resnet.build("resnet18", residual=residual, stem_bias=stem_bias, **SMALL)
    theirs = torch_resnet.build("resnet18", residual=residual, stem_bias=stem_bias, **SMALL)
    assert ours.parameter_count() == sum(tensor.numel() for tensor in theirs.parameters())
    # Of the three projections, 64*128 + 128*256 + 256*512 weights, and two numbers for each channel of their norms.
    projections = 0 if residual else 172_032 + 2 * (128 + 256 + 512)
    assert ours.parameter_count() == 11_175_370 + 64 * stem_bias - projections
    assert ours.buffer_count() == (9_600 if residual else 9_600 - 2 * (128 + 256 + 512))


def test_a_plain_network_trains_in_torch():
    """Every parameter of the torch half gets a gradient that is not zero."""
    torch.manual_seed(0)
    network = torch_resnet.build("resnet18", residual=False, **SMALL)
    network(torch.randn(4, 1, 32, 32)).square().sum().backward()
    assert all(tensor.grad.abs().max() > 0 for tensor in network.parameters())
