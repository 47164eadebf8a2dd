"""A gradient that is cut off is found wherever it is cut, and proven by joining the ends again."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

from layerdiff.compare.check import compare_networks

X = np.random.default_rng(5).standard_normal((3, 4, 9, 8)).astype(np.float32)


class Net(nn.Module):
    """A head and a block with a shortcut; classes below differ from it in one line."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(4)
        self.relu = nn.ReLU()
        self.inner = nn.Conv2d(4, 4, 3, padding=1)
        self.head = nn.Linear(4, 5)

    def _begin(self, x):
        return self.relu(self.norm(self.conv(x)))

    def _shortcut(self, x):
        return x

    def forward(self, x):
        """The logits of (n, 4, h, w)."""
        x = self._begin(x)
        x = self.inner(x) + self._shortcut(x)
        return self.head(x.mean((2, 3)))


class Detached(Net):
    """Detaches what the block takes."""

    def _begin(self, x):
        return super()._begin(x).detach()


class Data(Net):
    """Takes the data of it."""

    def _begin(self, x):
        return super()._begin(x).data


class NoGrad(Net):
    """Begins without gradients."""

    def _begin(self, x):
        with torch.no_grad():
            return super()._begin(x)


class Decorated(Net):
    """Has a decorator for that."""

    @torch.no_grad()
    def _begin(self, x):
        return super()._begin(x)


class SwitchedOff(Net):
    """Switches them off and on again."""

    def _begin(self, x):
        torch.set_grad_enabled(False)
        x = super()._begin(x)
        torch.set_grad_enabled(True)
        return x


class Inference(Net):
    """Begins as if for inference."""

    def _begin(self, x):
        with torch.inference_mode():
            return super()._begin(x)


class Shortcut(Net):
    """Lets no gradient through the shortcut."""

    def _shortcut(self, x):
        return x.detach()


class Whole(Net):
    """Has none at all."""

    @torch.no_grad()
    def forward(self, x):
        """The same."""
        return super().forward(x)


class NoLearnedIndex(Net):
    """Looks at a value without gradients, and uses it for nothing."""

    def _begin(self, x):
        with torch.no_grad():
            self.seen = float(x.abs().max())
        return super()._begin(x)


class _Ramp(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return grad * (x > 0)


RAMP = _Ramp.apply


class OwnBackward(Net):
    """Has a rectifier with a backward of its own, in whose forward torch switches gradients off."""

    def _begin(self, x):
        return RAMP(self.norm(self.conv(x)))


def judged(kind):
    """The report on a network of this class with the weights of a `Net`, gradients compared."""
    torch.manual_seed(0)
    expected = Net()
    actual = kind()
    actual.load_state_dict(copy.deepcopy(expected.state_dict()))
    return compare_networks(expected.eval(), actual.eval(), X, backward="train"), actual


BEGIN = ("conv", "norm", "relu")


@pytest.mark.parametrize(
    ("kind", "title", "layers"),
    [
        (Detached, "detach cuts the gradient off", ("relu",)),
        (Data, "data cuts the gradient off", ("relu",)),
        (NoGrad, "gradients are switched off here", BEGIN),
        (Decorated, "gradients are switched off here", BEGIN),
        (SwitchedOff, "gradients are switched off here", BEGIN),
        (Inference, "gradients are switched off here", BEGIN),
        (Shortcut, "detach cuts the gradient off", ("add",)),
        (Whole, "gradients are switched off here", (*BEGIN, "inner", "add", "mean", "head")),
    ],
)
def test_what_cuts_a_gradient_off_is_named_and_proven(kind, title, layers):
    """Same on the way there, different on the way back: one cause, J9, at these layers, confirmed."""
    report, _ = judged(kind)
    assert all(layer.status == "same" for layer in report.layers)
    assert report.gradients.verdict == report.verdict == "different"
    (cause,) = report.findings
    assert (cause.code, cause.title, cause.layers, cause.confirmed) == ("J9", title, layers, True)
    assert cause.how == "gone back again, with the ends joined"


@pytest.mark.parametrize("kind", [Net, NoLearnedIndex, OwnBackward])
def test_what_cuts_nothing_off_is_the_same(kind):
    """Nothing is said where no_grad holds for nothing that the output is made of, or is torch's own doing."""
    report, _ = judged(kind)
    assert (report.gradients.verdict, report.findings) == ("same", ())


def test_a_network_requires_the_gradients_it_required_before():
    """To look at how a network switches gradients off changes nothing of what its parameters require."""
    torch.manual_seed(0)
    expected, actual = Net().eval(), NoGrad().eval()
    actual.head.bias.requires_grad_(False)
    before = {name: parameter.requires_grad for name, parameter in actual.named_parameters()}
    compare_networks(expected, actual, X, backward="train")
    assert {name: parameter.requires_grad for name, parameter in actual.named_parameters()} == before
    assert torch.is_grad_enabled()
