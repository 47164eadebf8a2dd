"""What people get wrong on the way back: for each mistake the gradients that a layer with just that mistake gives.

Source: Ioffe & Szegedy 2015, section 3, for the batch norm's terms; the issues behind J4 to J6 in the catalogue.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, cast

import numpy as np
import torch
from torch.nn import functional as F  # noqa: N812 - as everybody writes it
from torch.nn.grad import conv2d_input

from layerdiff.compare.allowance import is_pair
from layerdiff.compare.trace import Array, Op

__all__ = ["Case", "Mistake", "mistakes"]


@dataclass(frozen=True)
class Case:
    """One layer on the way back, in float64.

    Attributes:
        op: the expected operation.
        x: what it takes.
        grad: the gradient of what it gives.
        right: the expected gradients, by `input` and by role.
        got: the candidate's.
    """

    op: Op
    x: Array = field(repr=False)
    grad: Array = field(repr=False)
    right: Mapping[str, Array] = field(repr=False)
    got: Mapping[str, Array] = field(repr=False)


@dataclass(frozen=True)
class Mistake:
    """A mistake, and what a layer with just this mistake gives.

    Attributes:
        code: in the catalogue.
        title: in a line.
        change: what to do about it.
        gradients: those that it makes wrong, by `input` and by role; all others are right.
    """

    code: str
    title: str
    change: str
    gradients: Mapping[str, Array] = field(repr=False)


def mistakes(case: Case) -> Iterator[Mistake]:
    """All that may be wrong with a layer's way back, the likely first."""
    yield from _OF_KIND.get(case.op.kind, _none)(case)
    yield from _averaged(case)
    yield from _scaled(case)


def _none(_case: Case) -> Iterator[Mistake]:
    return iter(())


def _batch_norm(case: Case) -> Iterator[Mistake]:
    op, x, grad = case.op, case.x, case.grad
    by_batch = bool(op.attributes.get("training")) or "running_mean" not in op.parameters
    eps = op.attributes.get("eps", 0.0)
    axes = (0, 2, 3)
    mean, var = (
        (x.mean(axes), x.var(axes)) if by_batch else (op.parameters["running_mean"], op.parameters["running_var"])
    )
    inverse = 1 / np.sqrt(var.astype(np.float64) + (eps if isinstance(eps, float) else 0.0))
    x_hat = (x - _column(mean.astype(np.float64))) * _column(inverse)
    gamma = op.parameters["weight"].astype(np.float64) if "weight" in op.parameters else np.ones_like(inverse)
    scale = _column(gamma * inverse)
    along, total = (grad * x_hat).sum(axes), grad.sum(axes)
    count = grad.size // grad.shape[1]
    if by_batch:
        first, second = _column(total / count), x_hat * _column(along / count)
        less = count / max(count - 1, 1)
        change = "subtract both: dx = γ/σ · (g - mean(g) - x̂ · mean(g · x̂))"
        for title, dx in (
            ("the batch norm's backward lacks the term through the variance", scale * (grad - first)),
            ("the batch norm's backward lacks the term through the mean", scale * (grad - second)),
            ("the batch norm's backward takes mean and variance for constants", scale * grad),
            ("the batch norm's backward subtracts sums where means belong", scale * (grad - count * (first + second))),
            ("the batch norm's backward divides by the count less one", scale * (grad - less * (first + second))),
            ("the batch norm's backward lacks the scale", _column(inverse) * (grad - first - second)),
            ("the batch norm's backward lacks the division by the deviation", _column(gamma) * (grad - first - second)),
        ):
            yield Mistake("J4", title, change, {"input": dx})
    swapped = {"weight": total, "bias": along}
    yield Mistake(
        "J4", "the gradients of scale and shift are swapped", "the scale's is Σ g · x̂, the shift's Σ g", swapped
    )
    for title, weight in (
        ("the gradient of the scale is made with x, not with the normalised x", (grad * x).sum(axes)),
        ("the gradient of the scale lacks the normalised x", total),
    ):
        yield Mistake(
            "J4", title, "the scale's gradient is Σ g · x̂ over pictures, rows and columns", {"weight": weight}
        )


def _column(values: Array) -> Array:
    return values.reshape(1, -1, 1, 1)


def _max_pool(case: Case) -> Iterator[Mistake]:
    op, change = case.op, "give each window's gradient to one value of it, and add where windows overlap"
    names = ("kernel_size", "stride", "dilation", "padding")
    if op.attributes.get("ceil_mode") or not all(is_pair(op.attributes.get(name)) for name in names):
        return
    kernel, stride, dilation, (top, left) = (cast("tuple[int, int]", op.attributes[name]) for name in names)
    n, c, h, w = case.x.shape
    height, width = h + 2 * top, w + 2 * left
    padded = F.pad(torch.from_numpy(case.x), (left, left, top, top), value=-torch.inf)
    sliding: dict[str, Any] = {"kernel_size": kernel, "dilation": dilation, "stride": stride}
    windows = F.unfold(padded.reshape(n * c, 1, height, width), **sliding)
    largest = (windows == windows.amax(1, keepdim=True)).to(torch.float64)
    grad = torch.from_numpy(case.grad).reshape(n * c, 1, -1)

    def folded(shares: torch.Tensor) -> Array:
        back = F.fold(shares, (height, width), **sliding)
        found: Array = back.reshape(n, c, height, width)[:, :, top : top + h, left : left + w].numpy()
        return found

    last = torch.zeros_like(largest).scatter_(1, _last(largest), 1.0)
    for title, dx in (
        ("each of several equal values of a window gets all of its gradient", folded(largest * grad)),
        (
            "the gradient of a window is shared out among its equal values",
            folded(largest / largest.sum(1, keepdim=True) * grad),
        ),
        ("of equal values of a window the last gets its gradient", folded(last * grad)),
    ):
        yield Mistake("J5", title, change, {"input": dx})
    first = largest.argmax(1)
    shares = torch.zeros_like(largest).scatter_(1, first[:, None], 1.0)
    if (folded(shares) > 1).any():
        yield Mistake(
            "J5", "a value that is the largest of several windows gets the gradient of the last of them alone", change,
            {"input": folded(_kept(shares, sliding, (height, width)) * grad)},
        )  # fmt: skip


def _kept(shares: torch.Tensor, sliding: Mapping[str, Any], size: tuple[int, int]) -> torch.Tensor:
    """The shares that are left where a window writes over what windows before it wrote to the same value."""
    places = torch.arange(size[0] * size[1], dtype=torch.float64).reshape(1, 1, *size)
    where = F.unfold(places, **sliding).long()[0]
    kept = shares.clone()
    taken = torch.zeros(len(shares), size[0] * size[1], dtype=torch.bool)
    rows = torch.arange(len(shares))
    for window in range(shares.shape[2] - 1, -1, -1):
        tap = shares[:, :, window].argmax(1)
        value = where[tap, window]
        kept[rows, tap, window] = torch.where(taken[rows, value], 0.0, kept[rows, tap, window])
        taken[rows, value] = True
    return kept


def _last(largest: torch.Tensor) -> torch.Tensor:
    """The place of the last of each window's largest values."""
    places = largest.shape[1]
    return places - 1 - largest.flip(1).argmax(1, keepdim=True)


def _conv(case: Case) -> Iterator[Mistake]:
    op, change = case.op, "go back by the transposed convolution: the same kernel, each tap adding where it read"
    weight = torch.from_numpy(op.parameters["weight"].astype(np.float64))
    sliding = {name: op.attributes[name] for name in ("stride", "padding", "dilation", "groups")}
    if isinstance(sliding["padding"], str):
        return
    grad = torch.from_numpy(case.grad)
    back = conv2d_input(case.x.shape, weight.flip(2, 3), grad, **sliding)  # type: ignore[no-untyped-call]
    turned: Array = back.numpy()
    yield Mistake("J6", "the convolution's backward turns the kernel round", change, {"input": turned})
    if "weight" in case.right:
        flipped = np.ascontiguousarray(case.right["weight"][:, :, ::-1, ::-1])
        yield Mistake("J6", "the gradient of the kernel is turned round", change, {"weight": flipped})
    for rows, columns in ((1, 1), (1, 0), (0, 1)):
        # Where the stride does not divide, the last rows and columns are easily forgotten.
        cut = case.right["input"].copy()
        cut[:, :, cut.shape[2] - rows :] = 0
        cut[:, :, :, cut.shape[3] - columns :] = 0
        yield Mistake("J6", "the convolution's backward leaves the last rows or columns out", change, {"input": cut})


def _relu(case: Case) -> Iterator[Mistake]:
    change = "let the gradient pass where the output is positive, and nowhere else"
    positive = case.x > 0
    yield Mistake("J8", "the ReLU's backward lets every gradient pass", change, {"input": case.grad})
    at_zero = np.where(case.x >= 0, case.grad, 0.0)
    yield Mistake("J8", "the ReLU's backward lets the gradient pass where x is 0", change, {"input": at_zero})
    negative = np.where(positive, 0.0, case.grad)
    slope = float((case.got["input"] * negative).sum() / max(float((negative**2).sum()), np.finfo(np.float64).tiny))
    leaky = np.where(positive, case.grad, slope * case.grad)
    yield Mistake(
        "J8", f"the ReLU's backward has a slope of {slope:.4g} where x is not positive", change, {"input": leaky}
    )


def _averaged(case: Case) -> Iterator[Mistake]:
    """Parameters whose gradient is averaged over the pictures; the loss has done that already."""
    n = len(case.x)
    if n > 1 and len(case.right) > 1:
        code = {"batch_norm": "J4", "conv2d": "J6"}.get(case.op.kind, "J10")
        smaller = {name: array / n for name, array in case.right.items() if name != "input"}
        yield Mistake(
            code, f"the gradients of its parameters are divided by the number of pictures, {n}",
            "add the gradients of all pictures up: if anything averages, it is the loss", smaller,
        )  # fmt: skip


def _scaled(case: Case) -> Iterator[Mistake]:
    """Gradients that are all right but for one factor."""
    for name in case.right:
        want, got = case.right[name], case.got[name]
        size = float((want**2).sum())
        if size == 0:
            continue
        factor = float((want * got).sum() / size)
        of = "what it takes" if name == "input" else f"its {name}"
        yield Mistake(
            "J10", f"the gradient of {of} is multiplied by {factor:.6g}", "leave the factor out", {name: factor * want}
        )  # fmt: skip


_OF_KIND: Mapping[str, Callable[[Case], Iterator[Mistake]]] = MappingProxyType(
    {"batch_norm": _batch_norm, "max_pool2d": _max_pool, "conv2d": _conv, "relu": _relu}
)
