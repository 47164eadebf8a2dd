"""The evidence as data: what a report shows of a layer beside its measures, so that it shows nothing of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Element", "Evidence", "Histogram", "Line", "Map", "Operation", "Parameter", "Probe", "Tried"]

Probe = Literal["propagated", "activations", "dense"]


@dataclass(frozen=True)
class Element:
    """One element of a layer's output, on both sides.

    Attributes:
        index: where it stands.
        expected: its value in the expected network; None where that is not finite.
        actual: the same for the candidate.
        error: |actual - expected|; None where one of them is not finite.
        allowed: what is allowed there; None where nobody can say (NaN).
        ratio: of error and allowance; None where nothing is allowed there, or one of these is not finite.
    """

    index: tuple[int, ...]
    expected: float | None
    actual: float | None
    error: float | None
    allowed: float | None
    ratio: float | None


@dataclass(frozen=True)
class Histogram:
    """How the quotients of error and allowance are spread over all elements.

    Attributes:
        edges: half decades, rising, 1 among them: ..., 0.1, 0.316, 1, 3.16, 10, ...; empty where no element differs by
            something that is allowed.
        counts: one fewer; counts[i] elements lie in [edges[i], edges[i + 1]).
        exact: how many do not differ at all.
        unbounded: how many are not finite on either side, or differ where nothing is allowed.
    """

    edges: tuple[float, ...]
    counts: tuple[int, ...]
    exact: int
    unbounded: int


@dataclass(frozen=True)
class Map:
    """One channel of one image, as a picture of at most 32 x 32 cells.

    A larger map is reduced: a cell stands for a block of elements, and is that one of them which differs most.

    Attributes:
        image: its place in the batch.
        channel: its number; None where the output is a row of features and no map: then the one row holds them all.
        rows: of cells.
        columns: of cells.
        over: how many elements of the channel (all of them, not the cells) lie further apart than allowed.
        ratio: the greatest quotient of error and allowance in it; None as in `Element`.
        low: the smallest finite value in it, on either side.
        high: the greatest.
        greatest: the greatest finite |difference|.
        expected: base64 of rows x columns uint8 in C order; 0 is `low`, 255 is `high`. What is not finite is 255 for
            infinity, else 0.
        actual: the same for the candidate.
        difference: the same of |actual - expected|; 0 is 0, 255 is `greatest`, or not finite on one side alone.
    """

    image: int
    channel: int | None
    rows: int
    columns: int
    over: int
    ratio: float | None
    low: float
    high: float
    greatest: float
    expected: str
    actual: str
    difference: str


@dataclass(frozen=True)
class Evidence:
    """What one comparison of a layer looked like; the one that condemned it, where it is at fault.

    Attributes:
        probe: which comparison, as in `Measure`.
        dtype: what both computed in.
        shape: of what was compared; a dense probe may be smaller than the layer's output.
        worst: the elements furthest beyond their allowance, worst first, at most ten; only such as differ.
        histogram: of all elements.
        maps: the channels furthest out, worst first, at most 16; each in the image in which it is worst.
        channels: the worst ratio of each channel (axis 1), to four digits; None as in `Element`.
    """

    probe: Probe
    dtype: str
    shape: tuple[int, ...]
    worst: tuple[Element, ...]
    histogram: Histogram
    maps: tuple[Map, ...] = ()
    channels: tuple[float | None, ...] = ()


@dataclass(frozen=True)
class Parameter:
    """One parameter of a layer on both sides.

    Attributes:
        name: weight, bias, running_mean, running_var.
        shape: the expected one's; the candidate's where that is the only one.
        expected: its name in the expected network's state dict, or `none` where it has no such parameter.
        actual: the same for the candidate; followed by its shape where that is another.
        equal: whether both are the same to the bit.
        max_abs: the greatest |actual - expected|; None where they cannot be compared.
        mean_expected: None where there is none, or it is not finite, as with the three that follow.
        std_expected: with the divisor n.
        mean_actual: as above.
        std_actual: as above.
        sha256_expected: of shape, dtype and bytes; empty where there is none.
        sha256_actual: as above.
    """

    name: str
    shape: tuple[int, ...]
    expected: str
    actual: str
    equal: bool
    max_abs: float | None = None
    mean_expected: float | None = None
    std_expected: float | None = None
    mean_actual: float | None = None
    std_actual: float | None = None
    sha256_expected: str = ""
    sha256_actual: str = ""


@dataclass(frozen=True)
class Line:
    """A line of the candidate's code.

    Attributes:
        number: in its file, from 1.
        text: without the newline.
    """

    number: int
    text: str


@dataclass(frozen=True)
class Tried:
    """A hypothesis of the diagnosis that was run.

    Attributes:
        code: of the cause.
        title: in a line.
        layers: of the expected network, that it was to explain.
        ratio: what of the error it left unexplained, in units of the allowance: at most 1 where it explains it; None
            where it does not fit at all (other shapes, no finite number).
        confirmed: whether the candidate came within its allowance with this undone.
    """

    code: str
    title: str
    layers: tuple[str, ...]
    ratio: float | None
    confirmed: bool


@dataclass(frozen=True)
class Operation:
    """One operation of the candidate.

    Attributes:
        layer: its id.
        kind: conv2d, batch_norm, ….
        inputs: ids of what it takes, `input` for the network's own.
        partner: id of the last expected layer that it stands for, alone or with others; None where it has none.
        source: `file:line` in the candidate's code.
    """

    layer: str
    kind: str
    inputs: tuple[str, ...]
    partner: str | None = None
    source: str | None = None
