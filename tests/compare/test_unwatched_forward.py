"""A forward pass that nobody watches."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from layerdiff.compare.capture import capture
from layerdiff.compare.forward import forward
from layerdiff.handwritten import numpy_resnet


class _Net(nn.Module):
    """Counts its calls in a buffer, binds another one anew, draws a number, and writes to what it is given."""

    def __init__(self, gives):
        super().__init__()
        self.norm = nn.BatchNorm2d(3)
        self.register_buffer("last", torch.zeros(1))
        self.gives = gives

    def forward(self, x):
        x.mul_(2)
        self.last = torch.rand(1)
        return self.gives(self.norm(x))


def _input():
    return np.random.default_rng(0).standard_normal((2, 3, 64, 64)).astype(np.float32)


@pytest.mark.parametrize("training", [False, True])
def test_a_torch_network_gives_what_it_gives_when_watched_and_stays_as_it_was(training):
    """The output is that of a capture; input, buffers and torch's random state are afterwards what they were."""
    x, network = _input(), _Net(torch.relu).train(training)
    before = {name: buffer.clone() for name, buffer in network.named_buffers()}
    random, given = torch.random.get_rng_state(), x.copy()

    found = forward(network, x)

    assert np.array_equal(found, capture(network, x).returned)
    assert np.array_equal(x, given)
    assert torch.equal(torch.random.get_rng_state(), random)
    assert all(torch.equal(before[name], buffer) for name, buffer in network.named_buffers())


def test_what_a_torch_network_gives_is_a_copy():
    """A buffer that is returned is given with the values that it had at the end."""
    network = _Net(lambda x: x)
    network.forward = lambda x: network.last.add_(1)

    assert forward(network, _input()) == 1
    assert network.last == 0


@pytest.mark.parametrize(
    "gives", [lambda x: (x, x), lambda x: None, lambda x: x.to("meta")], ids=["two", "nothing", "meta"]
)
def test_what_is_not_one_array_is_none(gives):
    """Several tensors, nothing, and a tensor without values are no output that can be compared."""
    assert forward(_Net(gives).eval(), _input()) is None


def test_a_numpy_network_gives_what_it_gives_when_watched():
    """The same for a network without torch, whose warnings of overflow are not the reader's."""
    network = numpy_resnet.build("resnet18")
    x = np.full((1, 3, 64, 64), 1e38, np.float32)

    assert np.array_equal(forward(network, x), capture(network, x).returned, equal_nan=True)


def test_what_a_network_raises_goes_through():
    """Whoever asked for a forward pass sees what it raised."""

    def raises(x):
        raise KeyError("gone")

    with pytest.raises(KeyError, match="gone"):
        forward(_Net(raises), _input())
