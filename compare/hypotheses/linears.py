"""What a linear layer can do other than the expected one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from layerdiff.compare.hypotheses.channelwise import number, same_shapes, snapped
from layerdiff.compare.hypotheses.hypothesis import Hypothesis
from layerdiff.compare.hypotheses.kit import Step, chain, linear
from layerdiff.compare.hypotheses.site import Site
from layerdiff.compare.hypotheses.trial import residual
from layerdiff.compare.trace import Array

__all__ = ["hypotheses"]

_HEADS: tuple[tuple[tuple[str, ...], int, str], ...] = (
    (("softmax",), -1, "a softmax is applied to the logits"),
    (("log_softmax",), -1, "a log-softmax is applied to the logits"),
    (("sigmoid",), -1, "a sigmoid is applied to the logits"),
    (("softmax", "softmax"), -1, "a softmax is applied to the logits twice"),
    (("softmax", "log_softmax"), -1, "a softmax and then a log-softmax are applied to the logits"),
    (("softmax",), 0, "a softmax is applied to the logits, over the batch"),
    (("log_softmax",), 0, "a log-softmax is applied to the logits, over the batch"),
)


def hypotheses(site: Site) -> Iterator[Hypothesis]:
    """A linear layer with its matrix transposed, its bias mistreated, something multiplied, or a softmax behind it.

    Args:
        site: of an expected linear layer, with two-dimensional inputs.
    """
    op = site.op
    if op.kind != "linear" or not same_shapes(site) or any(sample.want.ndim != 2 for sample in site.samples):
        return
    weight = op.parameters["weight"].astype(np.float64)
    bias = op.parameters["bias"].astype(np.float64) if "bias" in op.parameters else None
    yield from _transposed(site, weight, bias)
    yield from _bias(site, weight, bias)
    yield from _multiplied(site, weight, bias)
    yield from _heads(site, weight, bias)


def _transposed(site: Site, weight: Array, bias: Array | None) -> Iterator[Hypothesis]:
    if weight.shape[0] == weight.shape[1]:
        yield Hypothesis(
            "F1", "the weight is not transposed: x @ W, expected x @ W.T", "multiply by the transposed weight",
            model=chain(site.op.inputs, linear(weight.T, bias)), rank=2,
        )  # fmt: skip


def _bias(site: Site, weight: Array, bias: Array | None) -> Iterator[Hypothesis]:
    if bias is None or not bias.any():
        return
    for title, change, other in (
        ("the bias is not added", "add the bias", None),
        ("the bias is added twice", "add the bias once", 2 * bias),
        ("the bias is subtracted", "add the bias", -bias),
    ):
        yield Hypothesis("F7", title, change, model=chain(site.op.inputs, linear(weight, other)), rank=2)


def _multiplied(site: Site, weight: Array, bias: Array | None) -> Iterator[Hypothesis]:
    """One factor on the input or on the output, solved for: what a dropout that is at work at test time leaves."""
    zero = np.zeros(len(weight)) if bias is None else bias
    want, got = (array.astype(np.float64) for array in (site.clear.want, site.clear.got))

    def of_input(k: float) -> Step:
        return linear(k * weight, bias)

    def of_output(k: float) -> Step:
        return linear(k * weight, None if bias is None else k * bias)

    for made, what, raw in (
        (of_input, "the input of the linear layer", _factor(got - zero, want - zero)),
        (of_output, "the output of the linear layer", _factor(got, want)),
    ):
        k = snapped(raw, _explaining(site, made))
        if k is not None and k != 1 and (made is of_input or bias is not None):
            yield Hypothesis(
                "J7", f"{what} is multiplied by {number(k)}" + _dropout(k),
                "multiply by nothing in eval mode: dropout scales while training only",
                model=chain(site.op.inputs, made(k)), evidence=(f"solved: {raw:.10g}",), rank=2,
            )  # fmt: skip


def _explaining(site: Site, made: Callable[[float], Step]) -> Callable[[float], bool]:
    return lambda k: residual(chain(site.op.inputs, made(k)), site) <= 1


def _factor(part: Array, whole: Array) -> float:
    """The k for which k · whole is nearest to part."""
    with np.errstate(all="ignore"):
        return float(np.vdot(part, whole) / np.vdot(whole, whole))


def _dropout(k: float) -> str:
    """What a factor is, where it is that of a dropout."""
    p = 1 - k if k < 1 else 1 - 1 / k
    if not 0 < p < 1 or abs(p - round(p, 3)) > 1e-12:
        return ""
    return f": {'1 - p' if k < 1 else '1/(1 - p)'} of a dropout with p = {number(round(p, 3))}"


def _heads(site: Site, weight: Array, bias: Array | None) -> Iterator[Hypothesis]:
    for functions, dim, title in _HEADS:
        step = _linear_head(weight, bias, functions, dim)
        yield Hypothesis(
            "F4", title, "return the logits; the loss and the reader take the softmax",
            model=chain(site.op.inputs, step), rank=2,
        )  # fmt: skip


def _linear_head(weight: Array, bias: Array | None, functions: tuple[str, ...], dim: int) -> Step:
    """A linear layer and what stands behind it, as one step: its allowance carries the one through the other."""
    plain = linear(weight, bias)

    def function(x: Sequence[Tensor], p: Mapping[str, Tensor]) -> Tensor:
        found = plain.function(x, p)
        for name in functions:
            found = _apply(name, found, dim)
        return found

    return Step("linear_head", {"functions": functions, "dim": dim}, plain.parameters, function)


def _apply(name: str, x: Tensor, dim: int) -> Tensor:
    if name == "sigmoid":
        return torch.sigmoid(x)
    return functional.softmax(x, dim) if name == "softmax" else functional.log_softmax(x, dim)
