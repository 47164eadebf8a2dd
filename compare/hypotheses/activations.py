"""Causes at a ReLU: it is missing, or another function of each element stands in its place."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from layerdiff.compare.hypotheses.hypothesis import Hypothesis
from layerdiff.compare.hypotheses.kit import Step, chain, elementwise, relu
from layerdiff.compare.hypotheses.roles import closes_block
from layerdiff.compare.hypotheses.ruled import on_arrays
from layerdiff.compare.hypotheses.site import Site
from layerdiff.compare.hypotheses.solving import near, ratios, roundest, spelled, tolerance
from layerdiff.compare.trace import Array

__all__ = ["hypotheses"]

_FUNCTIONS: tuple[tuple[str, str, Callable[[Tensor], Tensor]], ...] = (
    ("GELU", "gelu", functional.gelu),
    ("GELU in its tanh form", "gelu", lambda x: functional.gelu(x, approximate="tanh")),
    ("SiLU", "silu", functional.silu),
    ("SELU", "selu", functional.selu),
    ("Mish", "mish", functional.mish),
    ("Hardswish", "hardswish", functional.hardswish),
    ("a hard sigmoid", "hardswish", functional.hardsigmoid),
    ("a sigmoid", "sigmoid", torch.sigmoid),
    ("tanh", "tanh", torch.tanh),
    ("Softsign", "tanh", functional.softsign),
    ("Softplus", "softplus", functional.softplus),
    # Torch's own goes over to x itself at 20.
    ("Softplus", "softplus", lambda x: functional.softplus(x, threshold=1e9)),
    ("ELU", "elu", functional.elu),
    ("the square", "mul", torch.square),
    ("the square of a ReLU", "mul", lambda x: torch.square(functional.relu(x))),
    ("the absolute value", "relu", torch.abs),
    ("softmax over the channels", "softmax", lambda x: torch.softmax(x, 1)),
)


def hypotheses(site: Site) -> Iterator[Hypothesis]:
    """What a ReLU may be instead."""
    if site.op.kind != "relu" or any(sample.got.shape != sample.want.shape for sample in site.samples):
        return
    x = np.concatenate([sample.inputs[0].ravel() for sample in site.samples])
    got = np.concatenate([sample.got.ravel() for sample in site.samples])
    if near(got, np.maximum(x, 0)):
        return
    if np.array_equal(got, x):
        yield _missing(site)
        return
    for solve in (_clipped, _slopes, _moved, _alpha):
        found = next(solve(site, x, got), None)
        if found is not None:
            yield found
            return
    # Some of these are near each other, and in float32 a coarse look takes one for the other.
    apart, best = min((_apart(site, function), i) for i, (_, _, function) in enumerate(_FUNCTIONS))
    name, kind, function = _FUNCTIONS[best]
    if apart < 1:
        yield _instead(site, name, elementwise(kind, function))


def _apart(site: Site, function: Callable[[Tensor], Tensor]) -> float:
    """How far a function is from what the candidate gave, in units of a coarse look."""
    with np.errstate(all="ignore"):
        found = [
            float(np.abs(on_arrays(function, _some(one.inputs[0])) - _some(one.got)).max() / (tolerance(one.got) or 1))
            for one in site.samples
        ]
    return math.inf if any(math.isnan(one) for one in found) else max(found)


def _some(array: Array) -> Array:
    """A corner of a map, in all channels: the model is tried on all of it."""
    return array[..., :8, :8] if array.ndim == 4 else array


def _missing(site: Site) -> Hypothesis:
    where = "behind the addition" if closes_block(site) else "after the batch norm"
    return Hypothesis(
        code="E2" if closes_block(site) else "E1",
        title=f"the ReLU {where} is missing",
        change=f"put a ReLU {where}",
        model=chain(site.op.inputs, elementwise("identity", torch.clone)),
        after=chain((site.layer,), relu()),
        evidence=("its output is its input, negative values too",),
    )


def _instead(site: Site, name: str, step: Step, *evidence: str, rank: int = 1) -> Hypothesis:
    return Hypothesis(
        code="E5",
        title=f"{name} stands where a ReLU is expected",
        change="use a ReLU: max(x, 0)",
        model=chain(site.op.inputs, step),
        evidence=evidence,
        rank=rank,
    )


def _slopes(site: Site, x: Array, got: Array) -> Iterator[Hypothesis]:
    """One slope below zero and one above, for all channels or for each."""
    below, above = ratios(got[x < 0], x[x < 0]), ratios(got[x > 0], x[x > 0])
    if below is not None and above is not None:
        a, b = roundest(*below), roundest(*above)
        if (a, b) in {(0.0, 1.0), (-1.0, 1.0)}:
            return
        if b == 1:
            step = elementwise("mul", lambda t: torch.where(t > 0, t, a * t))
            yield _instead(site, f"a leaky ReLU of slope {spelled(a)}", step, f"below zero it gives {spelled(a)}·x")
            return
        step = elementwise("mul", lambda t: torch.where(t > 0, b * t, a * t))
        yield _instead(site, f"{spelled(b)}·x above zero and {spelled(a)}·x below", step)
        return
    if above is None or roundest(*above) != 1:
        return
    slopes = _by_channel(site)
    if slopes is not None:
        table = torch.from_numpy(slopes)

        def prelu(t: Tensor) -> Tensor:
            each = table.to(t.dtype).reshape(1, -1, *(1 for _ in t.shape[2:]))
            return torch.where(t > 0, t, each * t)

        shown = f"slopes from {slopes.min():.4g} to {slopes.max():.4g}"
        yield _instead(site, "a PReLU with a slope for each channel", elementwise("mul", prelu), shown)


def _by_channel(site: Site) -> Array | None:
    """The slope below zero of each channel; None where there is none."""
    x, got = site.clear.inputs[0], site.clear.got
    if x.ndim < 2:
        return None
    found: list[float] = []
    for c in range(x.shape[1]):
        negative = x[:, c] < 0
        bounds = ratios(got[:, c][negative], x[:, c][negative])
        if bounds is None:
            return None
        found.append(roundest(*bounds))
    return np.array(found)


def _clipped(site: Site, x: Array, got: Array) -> Iterator[Hypothesis]:
    """Cut off above, and perhaps at another number than zero below."""
    high = float(got.max()) if got.max() < x.max() else None
    low = float(got.min()) if got.min() > x.min() else None
    if (high is None and low in {None, 0.0}) or not np.array_equal(np.clip(x, low, high), got):
        return
    bounds = " and ".join(
        f"{spelled(end)} {side}" for end, side in ((low, "below"), (high, "above")) if end is not None
    )
    shown = f"it gives numbers from {got.min():.6g} to {got.max():.6g} for ones from {x.min():.6g} to {x.max():.6g}"
    name = "ReLU6" if (low, high) == (0, 6) else f"a function cut off at {bounds}"
    yield _instead(site, name, elementwise("clamp", lambda t: torch.clamp(t, low, high)), shown)


def _moved(site: Site, x: Array, got: Array) -> Iterator[Hypothesis]:
    """A threshold beside zero: values kept above it and replaced below; or a ReLU of x - t."""
    kept, other = got == x, got != x
    values = np.unique(got[other])
    if kept.any() and values.size == 1 and x[other].max() < x[kept].min():
        t, v = roundest(float(x[other].max()), float(np.nextafter(x[kept].min(), -np.inf))), float(values[0])
        name = f"a threshold at {spelled(t)}" + (f" with {spelled(v)} below it" if v else "")
        yield _instead(site, name, elementwise("clamp", lambda s: torch.where(s > t, s, torch.full_like(s, v))))
        return
    positive = got > 0
    if not positive.any():
        return
    apart = (got - x)[positive]
    room = 4 * np.finfo(x.dtype).eps * np.abs(x[positive])
    low, high = float((apart - room).max()), float((apart + room).min())
    if low <= high and not low <= 0 <= high:
        t = roundest(low, high)
        # A sum with a number in the code, cut off at zero: an addition's two roundings, of x and of the output.
        step = elementwise("gelu", lambda s: functional.relu(s + t))
        yield _instead(site, f"a ReLU of x {'+' if t > 0 else '-'} {spelled(abs(t))}", step)


def _alpha(site: Site, x: Array, got: Array) -> Iterator[Hypothesis]:
    """An ELU of another alpha than 1, or a softplus of another beta."""
    negative, positive = x < 0, x > 0
    if not negative.any() or not positive.any():
        return
    if near(got[positive], x[positive]):
        bounds = ratios(got[negative], np.expm1(x[negative]), roundings=64)
        if bounds is not None and (alpha := roundest(*bounds)) not in {0.0, 1.0}:
            step = elementwise("elu", lambda t: functional.elu(t, alpha))
            yield _instead(site, f"an ELU of alpha {spelled(alpha)}", step)
