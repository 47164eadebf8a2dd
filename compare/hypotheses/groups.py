"""Causes where several expected operations are judged as one: a folded batch norm, a ReLU and a max-pool."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import numpy as np

from layerdiff.compare.allowance import is_pair
from layerdiff.compare.hypotheses.hypothesis import Hypothesis
from layerdiff.compare.hypotheses.kit import Step, chain, conv2d, max_pool2d, pad, relu
from layerdiff.compare.hypotheses.site import Site
from layerdiff.compare.trace import Array, Op

__all__ = ["hypotheses"]


def hypotheses(site: Site) -> Iterator[Hypothesis]:
    """What may be wrong where the candidate does several steps in another way."""
    kinds = [op.kind for op in site.whole]
    if kinds == ["conv2d", "batch_norm"]:
        yield from _folds(site, *site.whole)
    elif kinds == ["relu", "max_pool2d"]:
        yield from _pools(site, site.whole[1])


def _folds(site: Site, conv: Op, norm: Op) -> Iterator[Hypothesis]:
    """A batch norm folded into a convolution: what is added, and by what the kernels are multiplied, solved for."""
    names = ("weight", "bias", "running_mean", "running_var")
    if not all(name in norm.parameters for name in names):
        return
    gamma, beta, mean, variance = (norm.parameters[name].astype(np.float64) for name in names)
    eps = norm.attributes.get("eps", 1e-5)
    eps = eps if isinstance(eps, float) else 1e-5
    scale = gamma / np.sqrt(variance + eps)
    shift = beta - mean * scale
    weight = conv.parameters["weight"].astype(np.float64)
    own = conv.parameters.get("bias")
    bias = np.zeros_like(beta) if own is None else own.astype(np.float64)
    right = shift + bias * scale
    forms: list[tuple[str, Array, Array]] = [
        ("its shift is dropped", scale, np.zeros_like(right)),
        ("its mean is not scaled with the kernels", scale, beta - mean),
        ("its mean is left out", scale, beta + bias * scale),
        ("its beta is left out", scale, right - beta),
        ("its shift has the wrong sign", scale, -right),
        ("its mean is added, not subtracted", scale, beta + mean * scale),
        ("the convolution's bias is not scaled", scale, shift + bias),
        ("gamma is left out of the kernels", 1 / np.sqrt(variance + eps), right),
        ("eps is left out", gamma / np.sqrt(variance), beta - mean * gamma / np.sqrt(variance)),
        ("the kernels are divided by the variance", gamma / (variance + eps), right),
        ("the kernels are not scaled at all", np.ones_like(scale), right),
    ]
    for text, factor, added in forms:
        if np.array_equal(factor, scale) and np.array_equal(added, right):
            continue
        yield Hypothesis(
            "C10", f"the batch norm is folded into the convolution, and {text}",
            "fold as weight·gamma/sqrt(var + eps), and bias beta + (bias - mean)·gamma/sqrt(var + eps)",
            model=chain(site.op.inputs, _step(conv, weight * factor[:, None, None, None], added)), rank=2,
        )  # fmt: skip


def _step(conv: Op, weight: Array, bias: Array) -> Step:
    settings: Any = {name: conv.attributes[name] for name in ("stride", "padding", "dilation", "groups")}
    return conv2d(weight, bias, **settings)


def _pools(site: Site, pool: Op) -> Iterator[Hypothesis]:
    """A ReLU and a max-pool in either order, one of them missing, or the pool padded with zeros."""
    names = ("kernel_size", "stride", "padding")
    kernel_size, stride, padding = (cast("tuple[int, int]", pool.attributes[name]) for name in names)
    if not (is_pair(kernel_size) and is_pair(stride) and is_pair(padding)):
        return
    plain = max_pool2d(kernel_size, stride, padding)
    zeros = (pad(padding[1], padding[1], padding[0], padding[0]), max_pool2d(kernel_size, stride))
    yield Hypothesis("E1", "the ReLU in the stem is missing", "put it in", model=chain(site.op.inputs, plain), rank=1)
    yield Hypothesis(
        "E1", "the ReLU in the stem is missing, and the max-pool pads with zeros", "put it in, and pad with -inf",
        model=chain(site.op.inputs, *zeros), rank=2,
    )  # fmt: skip
    yield Hypothesis("A11", "the stem has no max-pooling", "put it in", model=chain(site.op.inputs, relu()), rank=1)
