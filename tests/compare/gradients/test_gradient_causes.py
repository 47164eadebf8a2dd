"""Wrong gradients are named: each mistake planted by hand in a right layer is found, at its layer, and proven."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.grad import conv2d_input, conv2d_weight

from layerdiff.compare.check import compare_networks

X = np.random.default_rng(2).standard_normal((3, 4, 9, 8)).astype(np.float32)


def by(forward, backward):
    """A function with these two ways; `backward` takes what `forward` took, and the gradient."""

    class Own(torch.autograd.Function):
        @staticmethod
        def forward(ctx, *given):
            ctx.save_for_backward(*given)
            return forward(*given)

        @staticmethod
        def backward(ctx, grad):
            return backward(*ctx.saved_tensors, grad)

    return Own.apply


def column(values):
    """One value for each channel, against (n, c, h, w)."""
    return values[:, None, None]


def normalised(x):
    """The normalised x and what it was divided by."""
    std = torch.sqrt(x.var((0, 2, 3), unbiased=False, keepdim=True) + 1e-5)
    return (x - x.mean((0, 2, 3), keepdim=True)) / std, std


def norm(x, weight, bias):
    """A batch norm in training."""
    return normalised(x)[0] * column(weight) + column(bias)


def norm_back(dx=None, dw=None, db=None):
    """A batch norm's way back, with one part of it exchanged."""

    def back(x, weight, bias, grad):
        x_hat, std = normalised(x)
        total, along = grad.sum((0, 2, 3)), (grad * x_hat).sum((0, 2, 3))
        count = grad.numel() // grad.shape[1]
        first, second = column(total / count), x_hat * column(along / count)
        facts = {"g": grad, "first": first, "second": second, "s": column(weight) / std, "n": count, "x": x,
                 "total": total, "along": along, "std": std, "w": column(weight)}  # fmt: skip
        right = (facts["s"] * (grad - first - second), along, total)
        return tuple(a if b is None else b(facts) for a, b in zip(right, (dx, dw, db), strict=True))

    return back


NORMS = {
    "lacks the term through the variance": norm_back(lambda f: f["s"] * (f["g"] - f["first"])),
    "lacks the term through the mean": norm_back(lambda f: f["s"] * (f["g"] - f["second"])),
    "takes mean and variance for constants": norm_back(lambda f: f["s"] * f["g"]),
    "subtracts sums where means belong": norm_back(lambda f: f["s"] * (f["g"] - f["n"] * (f["first"] + f["second"]))),
    "divides by the count less one": norm_back(
        lambda f: f["s"] * (f["g"] - f["n"] / (f["n"] - 1) * (f["first"] + f["second"]))
    ),
    "lacks the scale": norm_back(lambda f: (f["g"] - f["first"] - f["second"]) / f["std"]),
    "lacks the division by the deviation": norm_back(lambda f: f["w"] * (f["g"] - f["first"] - f["second"])),
    "scale and shift are swapped": norm_back(None, lambda f: f["total"], lambda f: f["along"]),
    "made with x, not with": norm_back(None, lambda f: (f["g"] * f["x"]).sum((0, 2, 3))),
    "lacks the normalised x": norm_back(None, lambda f: f["total"]),
    "divided by the number of pictures, 3": norm_back(None, lambda f: f["along"] / 3, lambda f: f["total"] / 3),
}


class Norm(nn.BatchNorm2d):
    """A batch norm with a backward of somebody's own."""

    function = None

    def forward(self, x):
        """As a batch norm."""
        return type(self).function(x, self.weight, self.bias) if self.training else super().forward(x)


class Through(nn.Module):
    """A layer without parameters around a function."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        """The function of x."""
        return self.function(x)


class Conv(nn.Conv2d):
    """A convolution with a backward of somebody's own."""

    function = None

    def forward(self, x):
        """As a convolution."""
        return type(self).function(x, self.weight)


def network(layer):
    """A small network with `layer` in the middle, and one like it without."""
    torch.manual_seed(3)
    return nn.Sequential(nn.Conv2d(4, 6, 3, padding=1), layer, nn.Conv2d(6, 5, 3), nn.Flatten())


def found(right, wrong, mode="train"):
    """The only finding of a comparison of gradients."""
    expected, actual = network(right).eval(), network(wrong).eval()
    actual.load_state_dict(expected.state_dict())
    report = compare_networks(expected, actual, X, backward=mode)
    assert {layer.status for layer in report.layers} == {"same"}
    assert [layer.layer for layer in report.gradients.layers if layer.status == "fault"] == ["1"]
    (one,) = report.findings
    return one


def proven(one, code, words):
    """Whether a finding has this code, these words and a proof."""
    assert (one.code, one.layers, one.confirmed) == (code, ("1",), True), one
    assert words in one.title
    assert one.how == "gone back again, through this layer as the reference does"


@pytest.mark.parametrize("words", NORMS)
def test_a_batch_norms_mistakes_are_told_apart(words):
    """Every way to get the six equations wrong has a name of its own."""
    right = nn.BatchNorm2d(6)
    nn.init.uniform_(right.weight, 0.5, 1.5)
    cls = type("Own", (Norm,), {"function": staticmethod(by(norm, NORMS[words]))})

    proven(found(right, cls(6)), "J4", words)


def conv_back(dx=None, dw=None):
    """A convolution's way back, with one part of it exchanged."""

    def back(x, weight, grad):
        right = (conv2d_input(x.shape, weight, grad, 2, 1), conv2d_weight(x, weight.shape, grad, 2, 1))
        return tuple(a if b is None else b(a, x, weight, grad) for a, b in zip(right, (dx, dw), strict=True))

    return back


def without_the_last(dx, *_):
    """The last row and column forgotten."""
    cut = dx.clone()
    cut[:, :, -1:], cut[:, :, :, -1:] = 0, 0
    return cut


CONVS = {
    "backward turns the kernel round": conv_back(lambda _, x, w, g: conv2d_input(x.shape, w.flip(2, 3), g, 2, 1)),
    "gradient of the kernel is turned round": conv_back(None, lambda dw, *_: dw.flip(2, 3)),
    "leaves the last rows or columns out": conv_back(without_the_last),
    "divided by the number of pictures, 3": conv_back(None, lambda dw, x, *_: dw / len(x)),
}


@pytest.mark.parametrize("words", CONVS)
def test_a_convolutions_mistakes_are_told_apart(words):
    """Turned kernels, forgotten borders and averages are told apart, with a stride that does not divide."""
    right = nn.Conv2d(6, 6, 3, 2, 1, bias=False)
    function = by(lambda x, w: F.conv2d(x, w, None, 2, 1), CONVS[words])
    cls = type("Own", (Conv,), {"function": staticmethod(function)})

    proven(found(right, cls(6, 6, 3, 2, 1, bias=False)), "J6", words)


def test_a_relu_that_lets_gradients_pass():
    """All of them, or a part of them: the slope is solved for."""
    every = by(lambda x: x.clamp(min=0), lambda x, grad: grad)
    some = by(lambda x: x.clamp(min=0), lambda x, grad: torch.where(x > 0, grad, 0.25 * grad))

    proven(found(nn.ReLU(), Through(every)), "J8", "lets every gradient pass")
    proven(found(nn.ReLU(), Through(some)), "J8", "has a slope of 0.25 where x is not positive")


def test_a_max_pool_that_overwrites():
    """Where windows overlap the last one's gradient alone is left."""

    def back(x, grad):
        _, places = F.max_pool2d(x, 3, 2, 1, return_indices=True)
        flat = torch.zeros_like(x).flatten(2)
        for i in range(places[0, 0].numel()):
            flat.scatter_(2, places.flatten(2)[:, :, i, None], grad.flatten(2)[:, :, i, None])
        return flat.view_as(x)

    one = found(nn.MaxPool2d(3, 2, 1), Through(by(lambda x: F.max_pool2d(x, 3, 2, 1), back)))

    proven(one, "J5", "gets the gradient of the last of them alone")


def test_a_factor_is_solved_for():
    """One number explains all values of a gradient, and is named."""
    double = by(lambda x: x.clamp(min=0), lambda x, grad: torch.where(x > 0, -1.5 * grad, 0 * grad))

    proven(found(nn.ReLU(), Through(double)), "J10", "what it takes is multiplied by -1.5")


def test_what_nothing_explains_is_called_so():
    """A gradient that no mistake we know gives is unexplained, never guessed at."""
    odd = by(lambda x: x.clamp(min=0), lambda x, grad: grad * torch.tanh(x))

    one = found(nn.ReLU(), Through(odd))

    assert (one.code, one.confirmed, one.title) == ("U1", False, "the way back is unexplained at 1")


def test_two_mistakes_in_one_network_are_both_proven():
    """Both are undone before the candidate goes back again; undone alone neither would be seen to help."""
    right, wrong = (nn.Sequential(nn.Conv2d(4, 6, 3), nn.ReLU(), nn.Conv2d(6, 6, 3), nn.ReLU()) for _ in range(2))
    wrong[1] = Through(by(lambda x: x.clamp(min=0), lambda x, grad: grad))
    wrong[3] = Through(by(lambda x: x.clamp(min=0), lambda x, grad: grad * 2 * (x > 0)))
    wrong.load_state_dict(right.state_dict())

    report = compare_networks(right.eval(), wrong.eval(), X, backward="train")

    assert {(one.code, one.layers, one.confirmed) for one in report.findings} == {
        ("J8", ("1",), True), ("J10", ("3",), True),
    }  # fmt: skip
