"""The expected network played back with what it allows: each layer's output, allowance and end-to-end floor.

The allowance is for one layer on given inputs. End to end, the roundings of all layers before it add up, grow and
shrink on their way, and no formula says how far. So it is simulated: beside the network runs a second copy of it in
which every layer's output is moved by a random amount up to its full allowance, many times what a kernel's own rounding
moves it. How far that copy drifts from the network is the floor: a candidate that drifts further, though each layer by
itself agrees, differs in something other than rounding.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from layerdiff.compare.allowance import RULES, Call
from layerdiff.compare.pieces import PIECE, flat, pieces
from layerdiff.compare.playback import Playback
from layerdiff.compare.trace import Array, Op

__all__ = ["DRAWN", "Step", "allowance_of", "drift", "generator", "noise", "random_bits", "walk"]


@dataclass(frozen=True)
class Step:
    """One layer of the expected network, played.

    Attributes:
        op: the operation.
        inputs: what it was given.
        output: what it gave.
        allowance: broadcasts to the output; None where no rule for its kind is known.
        floor: the largest end-to-end error that rounding can explain here.
    """

    op: Op
    inputs: tuple[Array, ...] = field(repr=False)
    output: Array = field(repr=False)
    allowance: Array | None = field(repr=False)
    floor: float


def walk(ops: Sequence[Op], x: Array, *, seed: int) -> Iterator[Step]:
    """Play `ops` from `x`, in x's precision, one step at a time.

    Args:
        ops: of the expected network, in order.
        x: (n, c, h, w); its dtype is the one that is computed in.
        seed: of the random amounts by which the drifting copy is moved.
    """
    straight, drifting = Playback(ops, x, watched=()), Playback(ops, x, watched=())
    for op in ops:
        played = straight.step()
        allowance = allowance_of(op, played.inputs, played.output)
        moved = drifting.step(add=noise(op, played.output, allowance, seed)).output
        yield Step(op, played.inputs, played.output, allowance, drift(moved, played.output))


def allowance_of(op: Op, inputs: tuple[Array, ...], output: Array) -> Array | None:
    """The allowance of `op` on these inputs; None where no rule for its kind, or for how it is written, is known."""
    rule = RULES.get(op.kind)
    return None if rule is None else rule.allowance(Call(op.attributes, op.parameters, inputs, output))


def noise(op: Op, output: Array, allowance: Array | None, seed: int) -> Array | None:
    """Random amounts up to the allowance for every element of the output; None where nothing is allowed, or known.

    Uniform over 65,536 steps from minus the allowance to one step below it: their mean square is a third of the
    allowance's square, as that of any number between would be, to within 2^-31 of it.
    """
    if allowance is None or not allowance.any():
        return None
    # In float32 for float32: a random amount need not be known to more digits.
    moved = np.empty(output.shape, output.dtype if output.dtype == np.float32 else np.float64)
    source = generator(seed, op.layer, "drift")
    into, limits = flat(moved), flat(np.broadcast_to(allowance, output.shape))
    buffer = np.empty(min(DRAWN, into.size))
    for at in pieces(into.size, first=DRAWN, length=DRAWN):
        amount = buffer[: at.stop - at.start]
        amount[...] = random_bits(source, amount.size, "<i2")
        amount *= 2.0**-15
        amount *= limits[at]
        into[at] = amount
    return moved


DRAWN = 2 * PIECE
"""Elements that are drawn at once: a whole number of eight bytes, so that no draw depends on it."""


def drift(moved: Array, straight: Array) -> float:
    """The greatest distance between two arrays of one shape; NaN where any is."""
    have, want = flat(moved), flat(straight)
    buffer = np.empty(min(PIECE, want.size), np.result_type(have, want))
    ends = []
    for at in pieces(want.size):
        apart = np.subtract(have[at], want[at], out=buffer[: at.stop - at.start])
        ends += [apart.max(), -apart.min()]
    return abs(float(np.max(ends)))


def random_bits(source: np.random.Generator, count: int, dtype: str) -> Array:
    """`count` whole numbers of random bits: (count,) of `dtype`, which names its order of bytes, as in "<i2".

    Of each eight bytes drawn, the lowest come first, on every machine.
    """
    words = source.bit_generator.random_raw(-(-count * np.dtype(dtype).itemsize // 8))
    return words.astype("<u8", copy=False).view(dtype)[:count]


def generator(seed: int, layer: str, purpose: str) -> np.random.Generator:
    """A generator of its own for each layer and purpose, so that no draw depends on another."""
    return np.random.default_rng([seed, zlib.crc32(layer.encode()), zlib.crc32(purpose.encode())])
