"""The dense probe: a seeded input of both signs without zeros, which shows what the network's own activations hide."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from layerdiff.compare.expected import Part
from layerdiff.compare.pairs import outside_inputs
from layerdiff.compare.trace import Array, Op
from layerdiff.compare.yardstick import generator

__all__ = ["dense_inputs", "dense_probe"]


def dense_inputs(part: Part, dtype: np.dtype[Any], seed: int) -> dict[str, Array]:
    """A dense input for everything that a pair takes, by the id of the expected value it stands for."""
    layer = part.pair.expected[-1].layer
    shapes = {name: a.shape for one in part.played for name, a in zip(one.op.inputs, one.inputs, strict=True)}
    shapes.update({name: a.shape for name, a in zip(part.pair.feeds, part.feeds or (), strict=True)})
    names = dict.fromkeys((*outside_inputs(part.pair.expected), *part.pair.feeds))
    return {
        name: dense_probe(_probe_shape(part.pair.expected, shapes[name]), dtype, seed=seed, layer=f"{layer}#{i}")
        for i, name in enumerate(names)
    }


def dense_probe(shape: tuple[int, ...], dtype: np.dtype[Any], *, seed: int, layer: str) -> Array:
    """An input of both signs, no zeros and magnitudes from 0.5 to 1.5, the same in every precision."""
    draws = generator(seed, layer, "dense").random(shape, dtype=np.float32)
    draws -= np.float32(0.5)
    draws += np.copysign(np.float32(0.5), draws)
    draws *= np.float32(1.5)
    return draws.astype(dtype, copy=False)


def _probe_shape(ops: Iterable[Op], shape: tuple[int, ...]) -> tuple[int, ...]:
    """The input's shape, or one large enough that every weight of a kernel meets something else than padding."""
    op, *others = ops
    if op.kind != "conv2d" or others or len(shape) != 4:
        return shape
    kernel, dilation = op.parameters["weight"].shape[2:], op.attributes["dilation"]
    spans = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]  # type: ignore[call-overload]
    return (*shape[:2], *(max(size, span) for size, span in zip(shape[2:], spans, strict=True)))
