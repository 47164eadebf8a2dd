"""Tests as somebody writes them for a network of their own; `test_plugin.py` copies this and looks at what they do."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from layerdiff import capture
from layerdiff.testing import assert_same_network, assert_traces_close, each_layer

LOG = Path("log.txt")


def log(text):
    """Note what happens, so that it can be counted."""
    with LOG.open("a") as file:
        file.write(f"{text}\n")


class Net(nn.Module):
    """Two convolutions and a head."""

    def __init__(self, eps=1e-5, layer3="layer3"):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(4, eps=eps)
        self.relu = nn.ReLU()
        self.last = layer3
        self.add_module(layer3, nn.Sequential(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4, eps=eps), nn.ReLU()))
        self.fc = nn.Linear(4, 5)

    def forward(self, x):
        """(n, 3, h, w) to (n, 5)."""
        x = getattr(self, self.last)(self.relu(self.bn1(self.conv1(x))))
        return self.fc(torch.flatten(nn.functional.adaptive_avg_pool2d(x, 1), 1))


class Logged(Net):
    """Tells of every pass, and on what."""

    def forward(self, x):
        """As above."""
        log(f"expected runs on {x.device.type}")
        return super().forward(x)


def make(cls=Net, **settings):
    """A network with weights that are the same each time."""
    torch.manual_seed(0)
    return cls(**settings).eval()


def make_logged():
    """The expected network of the tests for each layer."""
    log("expected made")
    return make(Logged)


X = np.random.default_rng(0).standard_normal((1, 3, 9, 9)).astype(np.float32)


def test_same():
    report = assert_same_network(make(), make(), X)
    assert report.verdict == "same"


def test_different():
    assert_same_network(make(eps=1e-2), make(), torch.from_numpy(X))


def test_known():
    assert_same_network(make(eps=1e-2), make(), X, until="bn1")


def test_stale():
    assert_same_network(make(), make(), X, until="bn1")


def test_refused():
    assert_same_network(make(), make(), X.astype(float))


def test_carried():
    torch.manual_seed(1)
    assert_same_network(Net(layer3="stage").train(), make(), X, carry_weights=True, backward="eval", until="layer3.0")


def test_hostile():
    assert_same_network(make(eps=1e-2, layer3="\x1b[31m\n::error::x"), make(layer3="\x1b[31m\n::error::x"), X)


def test_fixture(layerdiff):
    report = layerdiff.compare(make(eps=1e-2), make(), X, until="bn1", diagnose=False)
    assert [layer.status for layer in report.layers] == ["same", "fault"]
    with pytest.raises(AssertionError, match=r"\Abn1: different: "):
        layerdiff.assert_same_network(make(eps=1e-2), make(), X, until="bn1", diagnose=False)


def test_traces():
    expected, actual = (capture(network, X, keep=True) for network in (make(), make(eps=1e-2)))
    assert_traces_close(actual, expected, rtol=0.5, atol=1.0)
    assert_traces_close(actual, expected, rtol=0, atol=1e-6)


@each_layer(expected=make_logged, x=lambda: X)
def test_layers():
    log("actual made")
    return make(eps=1e-2)


@each_layer(expected=make, x=X, until="bn1")
def test_unbuilt():
    raise RuntimeError("this network cannot be built\nsince it is broken")
