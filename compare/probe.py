"""The dense probe: a seeded input of both signs without zeros, which shows what the network's own activations hide."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from layerdiff.compare.allowance import is_pair
from layerdiff.compare.expected import Part
from layerdiff.compare.pairs import Pair, outside_inputs
from layerdiff.compare.pieces import flat, pieces
from layerdiff.compare.trace import Array, Op
from layerdiff.compare.yardstick import DRAWN, generator, random_bits

__all__ = ["Size", "dense_inputs", "dense_probe", "dense_shapes", "probe_shape"]

Size = Literal["brief", "usual", "real"]


def dense_shapes(part: Part, size: Size) -> dict[str, tuple[int, ...]]:
    """The shape of a dense input for everything that a pair takes, by the id of the expected value it stands for.

    Args:
        part: the pair, played.
        size: see `probe_shape`.
    """
    pair = part.pair
    shapes = {name: a.shape for one in part.played for name, a in zip(one.op.inputs, one.inputs, strict=True)}
    shapes.update({name: a.shape for name, a in zip(pair.feeds, part.feeds or (), strict=True)})
    names = dict.fromkeys((*outside_inputs(pair.expected), *pair.feeds))
    return {name: probe_shape(pair, shapes[name], size) for name in names}


def dense_inputs(
    part: Part, shapes: Mapping[str, tuple[int, ...]], dtype: np.dtype[Any], seed: int
) -> dict[str, Array]:
    """A dense input for everything that a pair takes, by the id of the expected value it stands for.

    Args:
        part: the pair, played.
        shapes: as `dense_shapes` gives them.
        dtype: of the inputs.
        seed: of their values.
    """
    layer = part.pair.expected[-1].layer
    return {
        name: dense_probe(shape, dtype, seed=seed, layer=f"{layer}#{i}")
        for i, (name, shape) in enumerate(shapes.items())
    }


def dense_probe(shape: tuple[int, ...], dtype: np.dtype[Any], *, seed: int, layer: str) -> Array:
    """An input of both signs without zeros, the same in every precision.

    Magnitudes are from 0.75 to 1.5, those of every 29th element 64 times as large: what cuts off large values shows.
    """
    made = np.empty(shape, dtype)
    source, into = generator(seed, layer, "dense"), flat(made)
    buffer, sign = np.empty(min(DRAWN, into.size), np.float32), np.empty(min(DRAWN, into.size), np.uint32)
    for at in pieces(into.size, first=DRAWN, length=DRAWN):
        values, half = buffer[: at.stop - at.start], sign[: at.stop - at.start]
        # 24 random bits, the first of which is the sign, and half as much again as can be of that sign.
        values[...] = (random_bits(source, values.size, "<u4") ^ _SIGN).view(np.int32) >> 8
        values *= np.float32(2**-24)
        np.bitwise_and(values.view(np.uint32), _SIGN, out=half)
        half |= _HALF
        values += half.view(np.float32)
        values *= np.float32(1.5)
        values[-at.start % 29 :: 29] *= np.float32(64)
        into[at] = values
    return made


_SIGN, _HALF = np.uint32(1 << 31), np.float32(0.5).view(np.uint32)


def probe_shape(pair: Pair, shape: tuple[int, ...], size: Size) -> tuple[int, ...]:
    """The shape of the dense input that stands for one of `shape`.

    A kernel gets a map large enough that every weight meets something else than padding. Where both sides are the same
    operation of torch's own code, with equal attributes and parameters of equal shapes, a small map shows as much as
    the whole: at every place such an operation does the same with what lies there, so that each of its parameters, and
    each way in which a window can lie over the border, is met on a few rows and columns. Heights and widths keep their
    remainder by the stride, and with it how the last window lies. What it could hide is a kernel of torch's that goes
    wrong at the real size alone; that one runs at the real size on the network's activations. Anything that somebody
    wrote himself may treat a place by where it is, and gets the real shape.

    Args:
        pair: what will run on it.
        shape: of what it stands for.
        size: `usual` for all that; `brief` for a small map whoever wrote the operation, for where the other precision
            gives it the real shape; `real` to keep to `shape` itself.
    """
    if len(shape) != 4 or size == "real":
        return shape
    op = pair.expected[0]
    window = _window(op) if len(pair.expected) == 1 else None
    if window is None:
        return shape
    if size == "usual" and not _alike(pair):
        if op.kind != "conv2d":
            return shape
        sizes = [max(side, span) for side, (span, _) in zip(shape[2:], window, strict=True)]
    else:
        sizes = [_smaller(side, span, stride) for side, (span, stride) in zip(shape[2:], window, strict=True)]
    return (*shape[:2], *sizes)


def _alike(pair: Pair) -> bool:
    """Whether both sides are one and the same operation of torch's, whatever the values of its parameters."""
    if (len(pair.expected), len(pair.actual)) != (1, 1):
        return False
    op, other = pair.expected[0], pair.actual[0]
    return (
        op.native
        and other.native
        and (op.kind, len(op.inputs), op.attributes) == (other.kind, len(other.inputs), other.attributes)
        # With any other number of inputs it takes something from the code, of what shape nobody knows.
        and len(op.inputs) == (2 if op.kind == "add" else 1)
        and {name: a.shape for name, a in op.parameters.items()}
        == {name: a.shape for name, a in other.parameters.items()}
    )


def _window(op: Op) -> list[tuple[int, int]] | None:
    """For height and width how far a window reaches and how far it moves; None for what has none."""
    if op.kind in {"relu", "batch_norm", "add"}:
        return [(1, 1), (1, 1)]
    if op.kind == "conv2d" and op.parameters["weight"].ndim == 4:
        kernel: Any = op.parameters["weight"].shape[2:]
    elif op.kind == "max_pool2d":
        kernel = op.attributes.get("kernel_size")
    else:
        return None
    stride: Any = op.attributes.get("stride")
    dilation: Any = op.attributes.get("dilation")
    if not (is_pair(kernel) and is_pair(stride) and is_pair(dilation)):
        return None
    return [(d * (k - 1) + 1, s) for k, s, d in zip(kernel, stride, dilation, strict=True)]


def _smaller(size: int, span: int, stride: int) -> int:
    """The smallest size that leaves the same remainder, and has room for a window and four more beside it."""
    least = span + 4 * stride
    least += (size - least) % stride
    return least if least < size else max(size, span)
