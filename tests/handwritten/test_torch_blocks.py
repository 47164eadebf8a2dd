"""The residual blocks of the torch half."""

from __future__ import annotations

import pytest
import torch
from torchvision.models import resnet as theirs

from layerdiff.handwritten import torch_blocks as ours
from layerdiff.handwritten.configurations import configuration


@pytest.mark.parametrize(
    ("block", "their_block", "network", "channels"),
    [
        (ours.BasicIdentityBlock, theirs.BasicBlock, "resnet18", 8),
        (ours.BottleneckIdentityBlock, theirs.Bottleneck, "resnet50", 8),
        (ours.BottleneckIdentityBlock, theirs.Bottleneck, "resnext50_32x4d", 64),
    ],
)
def test_an_identity_block_is_torchvisions(block, their_block, network, channels):
    """Value and gradient agree in training mode, where a mistake in any statistic shows too."""
    config = configuration(network)
    width = channels * config.expansion
    actual = block(width, channels, stride=1, config=config).double()
    expected = their_block(width, channels, groups=config.groups, base_width=config.width_per_group).double()
    actual.load_state_dict(expected.state_dict())
    assert_same(actual, expected, width)


@pytest.mark.parametrize(
    ("block", "their_block", "network"),
    [
        (ours.BasicConvBlock, theirs.BasicBlock, "resnet18"),
        (ours.BottleneckConvBlock, theirs.Bottleneck, "resnet50"),
    ],
)
@pytest.mark.parametrize("stride", [1, 2])
def test_a_conv_block_is_torchvisions(block, their_block, network, stride):
    """The projection has the stride of the branch, and the stride sits where torchvision puts it."""
    config = configuration(network)
    actual = block(6, 8, stride=stride, config=config).double()
    projection = torch.nn.Sequential(
        theirs.conv1x1(6, 8 * config.expansion, stride), torch.nn.BatchNorm2d(8 * config.expansion)
    )
    expected = their_block(6, 8, stride, projection).double()
    actual.load_state_dict(expected.state_dict())
    assert_same(actual, expected, 6)


def assert_same(actual, expected, channels):
    """Both give the same values and gradients; 1e-9 is far above rounding in float64 and far below any mistake."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, channels, 7, 6, dtype=torch.float64, generator=generator, requires_grad=True)
    outputs = actual(x), expected(x)
    torch.testing.assert_close(*outputs, rtol=1e-9, atol=1e-9)
    probe = torch.randn(outputs[0].shape, dtype=torch.float64, generator=generator)
    torch.testing.assert_close(*(torch.autograd.grad(y, x, probe)[0] for y in outputs), rtol=1e-9, atol=1e-9)


def test_one_relu_serves_the_whole_block():
    """As in torchvision, so that ids of repeated calls agree: relu, relu_1, relu_2."""
    block = ours.BottleneckIdentityBlock(16, 4, stride=1, config=configuration("resnet50"))
    calls = []
    block.relu.register_forward_hook(lambda *_: calls.append(1))
    block(torch.zeros(2, 16, 4, 4))
    assert len(calls) == 3


def test_a_block_leaves_its_input_alone():
    """The addition is not in place: what the block was given stays what it was."""
    block = ours.BasicIdentityBlock(4, 4, stride=1, config=configuration("resnet18"))
    x = torch.randn(2, 4, 5, 5, generator=torch.Generator().manual_seed(0))
    before = x.clone()
    block(x)
    assert torch.equal(x, before)
