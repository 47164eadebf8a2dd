"""Stride, padding and dilation of a candidate's convolution, from where its values lie."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from layerdiff.compare.hypotheses.convolution.geometry import Geometry, Pads, needed_pads, padded_conv2d, same_pads
from layerdiff.compare.hypotheses.convolution.places import Place, find_place
from layerdiff.compare.hypotheses.convolution.projection import Projection
from layerdiff.compare.hypotheses.convolution.strides import stride_words
from layerdiff.compare.hypotheses.hypothesis import Hypothesis
from layerdiff.compare.hypotheses.kit import Step, chain, move
from layerdiff.compare.hypotheses.ruled import moved
from layerdiff.compare.hypotheses.site import Site
from layerdiff.compare.hypotheses.solving import tolerance

__all__ = ["places"]

_MOST_DILATED = 6

_Turn = Callable[[Tensor], Tensor]

_TURNS: tuple[tuple[str, _Turn | None], ...] = (
    ("", None),
    ("rows and columns of the input are swapped", lambda x: x.transpose(2, 3)),
    ("the input is turned upside down", lambda x: x.flip(2)),
    ("the input is mirrored left to right", lambda x: x.flip(3)),
    ("the input is turned by half a turn", lambda x: x.flip(2, 3)),
)


def places(site: Site, expected: Geometry) -> Iterator[Hypothesis]:
    """Other windows than expected, wherever they lie, so long as they lie regularly and what is beside the map is 0."""
    seen = Projection(site, expected)
    for said, prepare in _TURNS:
        for dilation in _dilations(expected) if prepare is None else (expected.dilation,):
            geometry = replace(expected, dilation=dilation)
            found = _find(seen, geometry, prepare, look=bool(prepare) or dilation != expected.dilation)
            if found is None:
                continue
            place, room = found
            hypothesis = _named(site, expected, geometry, place, room, said, prepare)
            if hypothesis is not None:
                yield hypothesis
            return


def _dilations(expected: Geometry) -> Iterator[tuple[int, int]]:
    yield expected.dilation
    if expected.kernel_size != (1, 1):
        yield from ((d, d) for d in range(1, _MOST_DILATED + 1) if (d, d) != expected.dilation)


def _find(seen: Projection, geometry: Geometry, prepare: _Turn | None, *, look: bool) -> tuple[Place, int] | None:
    """Where the candidate's outputs lie, in a map with that many zeros on each side.

    Args:
        seen: the convolution, mixed.
        geometry: its kernel and dilation.
        prepare: what is done to the input first.
        look: see first whether the output's middle is somewhere in the map's; nearly all that is tried ends there.
    """
    room = max(*geometry.spans, *geometry.padding) + 2
    single = replace(geometry, stride=(1, 1))
    if look and not _holds_middle(seen, single, prepare, 2 * room + 4):
        return None
    full = seen.at(single, (room, room, room, room), prepare)
    place = find_place(full, seen.got, geometry.stride)
    return None if place is None else (place, room)


def _holds_middle(seen: Projection, single: Geometry, prepare: _Turn | None, reach: int) -> bool:
    """Whether the output in the middle is found within `reach` of the map's middle."""

    def middle(x: Tensor) -> Tensor:
        x = x if prepare is None else prepare(x)
        rows, columns = (slice(max(n // 2 - reach, 0), n // 2 + reach) for n in x.shape[2:])
        return x[:, :, rows, columns]

    if min(seen.x.shape[2:]) <= 2 * reach:
        return True
    full = seen.at(single, (0, 0, 0, 0), middle)
    value = seen.got[:, :, seen.got.shape[2] // 2, seen.got.shape[3] // 2]
    apart = np.abs(full - value[:, :, None, None]).max(axis=(0, 1))
    return bool(apart.min() <= tolerance(seen.got))


def _named(
    site: Site, expected: Geometry, geometry: Geometry, place: Place, room: int, said: str,
    prepare: _Turn | None,
) -> Hypothesis | None:  # fmt: skip
    """The cause for windows that lie so; None where they lie as expected."""
    weight, bias = site.op.parameters["weight"], site.op.parameters.get("bias")
    sizes = site.clear.inputs[0].shape[2:], site.clear.got.shape[2:]
    if place.stride is None or prepare is not None:
        steps, turned = _turned(site, geometry, place, room, prepare)
        title = " and ".join(words for words in (said, turned) if words)
        if steps is None or not title:
            return None
        return Hypothesis("B10", title, "index rows by the first and columns by the second of the two last axes, both "
                          "counted up", model=chain(site.op.inputs, *steps), rank=2)  # fmt: skip
    found = replace(geometry, stride=place.stride, padding=(room - place.origin[0], room - place.origin[1]))
    pads = needed_pads(found, *sizes)
    evidence = (f"found: stride {found.stride}, dilation {found.dilation}, pads {_worded(pads)}",)
    step = padded_conv2d(found, pads, weight, bias)
    attributes: dict[str, object] = {
        name: getattr(expected, name)
        for name in ("stride", "padding", "dilation")
        if getattr(expected, name) != getattr(found, name)
    }
    named = _cause(site, expected, found, pads)
    if named is None:
        return None
    code, title, change = named
    if code == "B1":
        step = padded_conv2d(found, lambda size: same_pads(expected, size), weight, bias)
    return Hypothesis(code, title, change, model=chain(site.op.inputs, step), attributes=attributes, evidence=evidence)


def _cause(site: Site, expected: Geometry, found: Geometry, pads: Pads) -> tuple[str, str, str] | None:
    size, shape, want = site.clear.inputs[0].shape[2:], site.clear.got.shape, site.clear.want.shape
    symmetric = shape[2:] == _size_out(found, size)
    also = "" if found.padding == expected.padding else f", and padding is {found.padding}, expected {expected.padding}"
    if found.dilation != expected.dilation:
        title = f"dilation is {found.dilation}, expected {expected.dilation}"
        return "A16", title, f"set dilation={expected.dilation} and padding={expected.padding}"
    if found.stride == expected.stride[::-1] and expected.stride[0] != expected.stride[1]:
        return "B10", "the strides of rows and columns are swapped", f"set stride={expected.stride}"
    if found.stride != expected.stride:
        code, title, change = stride_words(site, found.stride, expected.stride)
        return code, title + also, change
    if found.padding == expected.padding:
        if shape == want:
            return None
        less = [name for name, a, b in zip(("row", "column"), shape[2:], want[2:], strict=True) if a < b]
        more = [name for name, a, b in zip(("row", "column"), shape[2:], want[2:], strict=True) if a > b]
        words = [f"the last {name} of windows is left out" for name in less]
        words += [f"there is a {name} of windows too many" for name in more]
        return "B10", " and ".join(words), "count (size + 2 · padding - span) // stride + 1 windows"
    automatic = same_pads(expected, size)
    if shape == want and all(
        pad in {same, own} for pad, same, own in zip(found.padding, automatic[::2], expected.padding, strict=True)
    ):
        return (
            "B1",
            "pads as TensorFlow's SAME does: less above and left than below and right",
            f"pad {expected.padding} on both sides (padding='same' of Keras and Flax is another padding at stride 2)",
        )
    if symmetric:
        return "B2", f"padding is {found.padding}, expected {expected.padding}", f"set padding={expected.padding}"
    if shape == want:
        moved_by = tuple(own - pad for pad, own in zip(found.padding, expected.padding, strict=True))
        title = f"the windows begin {moved_by[0]} rows and {moved_by[1]} columns further on than expected"
        return "B10", title, "begin the windows at i · stride - padding"
    return "B2", f"pads {_worded(pads)}, expected {expected.padding} on both sides", f"set padding={expected.padding}"


def _size_out(geometry: Geometry, size: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(
        (have + 2 * pad - span) // s + 1
        for have, pad, span, s in zip(size, geometry.padding, geometry.spans, geometry.stride, strict=True)
    )


def _worded(pads: Pads) -> str:
    top, bottom, left, right = pads
    return f"{top} above, {bottom} below, {left} left, {right} right"


def _turned(
    site: Site, geometry: Geometry, place: Place, room: int, prepare: _Turn | None
) -> tuple[tuple[Step, ...] | None, str]:
    """The steps for outputs that lie transposed or backwards, and what they do, in words."""
    h_out, w_out = site.clear.got.shape[2:]
    down, across, origin, words = place.down, place.across, place.origin, []
    swapped = down[0] == across[1] == 0 and bool(down[1] and across[0])
    if swapped:
        words.append("rows and columns of the output are swapped")
        down, across, h_out, w_out = across, down, w_out, h_out
    if down[1] or across[0] or not down[0] or not across[1]:
        return None, ""
    axes = []
    for axis, (by, count, name) in enumerate(((down[0], h_out, "rows"), (across[1], w_out, "columns"))):
        if by < 0:
            axes.append(axis + 2)
            words.append(f"the output's {name} run backwards")
            origin = tuple(o + by * (count - 1) if i == axis else o for i, o in enumerate(origin))  # type: ignore[assignment]
    found = replace(geometry, stride=(abs(down[0]), abs(across[1])), padding=(room - origin[0], room - origin[1]))
    size = site.clear.inputs[0].shape[2:]
    if prepare is not None:
        size = tuple(prepare(torch.empty(1, 1, *size)).shape[2:])
    pads = needed_pads(found, size, (h_out, w_out))
    step = padded_conv2d(found, pads, site.op.parameters["weight"], site.op.parameters.get("bias"))
    steps = [step if prepare is None else moved(prepare, step)]
    if axes:
        steps.append(move(lambda y: y.flip(axes)))
    if swapped:
        steps.append(move(lambda y: y.transpose(2, 3)))
    return tuple(steps), " and ".join(words)
