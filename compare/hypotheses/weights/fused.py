"""A batch norm that was folded into the kernel before it: which one, and what was forgotten on the way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from layerdiff.compare.hypotheses.channelwise import number
from layerdiff.compare.hypotheses.hypothesis import Hypothesis
from layerdiff.compare.hypotheses.norm.forms import Norm
from layerdiff.compare.hypotheses.site import Site
from layerdiff.compare.hypotheses.weights.causes import with_parameters
from layerdiff.compare.trace import Array

__all__ = ["fused"]

_USUAL_EPS = (1e-5, 1e-3, 0.0)
_U = 2.0**-24


def fused(site: Site) -> Iterator[Hypothesis]:
    """The batch norm whose slope the candidate's kernel holds, and whether the bias that belongs to it is there.

    Folding conv and batch norm gives the kernel w·s and the bias β + (b - m)·s with s = γ/√(v + ε), b the
    convolution's own bias. It is done in float32 mostly, in any order: six roundings of the slope, and as many of each
    term of the bias, are let pass.

    Args:
        site: of an expected convolution; the candidate shows its kernel.
    """
    weight, own = site.op.parameters["weight"], site.own("weight")
    if own is None or own.shape != weight.shape:
        return
    slope = _row_factors(own, weight)
    if slope is None:
        return
    bias, before = site.own("bias"), site.op.parameters.get("bias")
    zero = np.zeros(len(weight))
    shift = zero if bias is None else bias.reshape(-1).astype(np.float64)
    own_bias = zero if before is None else before.astype(np.float64)
    for layer, norm in _norms(site.weights, len(weight)):
        with np.errstate(all="ignore"):
            if not (np.abs(slope - norm.slope) <= 8 * _U * np.abs(norm.slope)).all():
                continue
        title, change = _what(norm, shift, own_bias)
        yield Hypothesis(
            "C10", title, change,
            model=with_parameters(site.op, {"weight": own, **({} if bias is None else {"bias": shift})}),
            parameters={"weight": weight, **({} if bias is None else {"bias": own_bias.astype(bias.dtype)})},
            evidence=(f"its kernel is the expected one times weight/√(running_var + {number(norm.eps)}) of {layer}",),
            rank=0,
        )  # fmt: skip
        return


def _what(norm: Norm, shift: Array, bias: Array) -> tuple[str, str]:
    """What the candidate's bias is, of all that could be left of the right one."""
    scaled, mean = bias * norm.slope, norm.mean * norm.slope
    room = 16 * _U * (np.abs(norm.beta) + np.abs(mean) + np.abs(scaled) + np.abs(bias)) + np.finfo(np.float32).tiny
    folded = "the batch norm behind it is folded into it"
    change = "fold the bias too: bias + (conv's bias - running_mean) · weight / √(running_var + eps)"
    named = (
        (norm.beta + scaled - mean, folded, "compare the two layers together, or do not fold"),
        (bias, f"{folded}, and the bias that comes of it is dropped", change),
        (norm.beta + bias - mean, f"{folded}, and its own bias is not scaled with it", change),
        (norm.beta + scaled, f"{folded}, without running_mean", change),
        (scaled - mean, f"{folded}, without the batch norm's bias", change),
        (norm.beta + scaled + mean, f"{folded}, with running_mean added", change),
    )
    for wanted, title, advice in named:
        if (np.abs(shift - wanted) <= room).all():
            return title, advice
    return f"{folded}, with another bias than comes of it", change


def _norms(weights: Mapping[str, Mapping[str, Array]], channels: int) -> Iterator[tuple[str, Norm]]:
    for layer, parameters in weights.items():
        mean, var = parameters.get("running_mean"), parameters.get("running_var")
        if mean is None or var is None or len(mean) != channels:
            continue
        gamma, beta = parameters.get("weight", np.ones(channels)), parameters.get("bias", np.zeros(channels))
        wide = [array.astype(np.float64) for array in (mean, var, gamma, beta)]
        yield from ((layer, Norm(wide[0], wide[1], wide[2], wide[3], eps)) for eps in _USUAL_EPS)


def _row_factors(actual: Array, expected: Array) -> Array | None:
    """For each output channel its factor; None where one has none, to what rounding to float32 leaves."""
    have, want = (array.reshape(len(array), -1).astype(np.float64) for array in (actual, expected))
    size = np.square(want).sum(axis=1)
    if not size.all():
        return None
    factors: Array = (have * want).sum(axis=1) / size
    room = 4 * _U * np.abs(have) + np.finfo(np.float32).tiny
    return factors if (np.abs(have - factors[:, None] * want) <= room).all() else None
