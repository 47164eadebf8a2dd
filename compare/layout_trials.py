"""Layouts that no shape tells, found by trying: which order of axes makes somebody's own layer the expected one.

An operation of torch's says itself how its weight lies. A class of somebody's own, made of arithmetic, does not: its
square kernel may lie OIHW or IOHW, one run together to a matrix in any order. Where the shape does not tell, both
layers are run on one input, with the weight laid out as the others of the candidate are, or in each order that a matrix
allows. Height and width are never exchanged: that is no layout but a fault.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from layerdiff.compare.layouts import Axes, fitting, laid_out
from layerdiff.compare.pairs import Alignment, Pair, outside_inputs
from layerdiff.compare.playback import run
from layerdiff.compare.trace import INPUT, Array, Op
from layerdiff.compare.transfer import BY_NAME, Carried, Transfer, transferred
from layerdiff.compare.yardstick import allowance_of, generator

__all__ = ["with_layouts_tried"]


def with_layouts_tried(
    transfer: Transfer,
    weights: Mapping[str, Array],
    tensors: Mapping[str, Array],
    alignment: Alignment,
    input_shape: tuple[int, ...],
) -> Transfer:
    """The transfer with the best layout of every weight of somebody's own layers.

    Args:
        transfer: as proposed.
        weights: the expected network's tensors.
        tensors: the candidate's own memory, by name.
        alignment: of both networks.
        input_shape: of the networks' input.
    """
    shapes = {INPUT: input_shape} | {op.layer: op.shape for pair in alignment.pairs for op in pair.expected}
    places = {one.actual: one for one in transfer.carried if one.reason != BY_NAME}
    known = {
        one.axes or tuple(range(weights[one.expected].ndim))
        for one in places.values()
        if weights[one.expected].ndim > 1 and weights[one.expected].shape[0] != weights[one.expected].shape[1]
    }
    better: dict[str, Carried] = {}
    with transferred(transfer, weights, tensors):
        for pair in alignment.pairs:
            one = _weight_of_own(pair, places)
            if one is None:
                continue
            weight, place = weights[one.expected], tensors[one.actual]
            fits = fitting(weight.shape, place.shape)
            own = one.axes or tuple(range(weight.ndim))
            options = [own, *(axes for axes in fits if axes != own and (place.ndim < weight.ndim or axes in known))]
            if len(options) > 1:
                inputs = [_draw(shapes[layer], layer) for layer in outside_inputs(pair.expected)]
                better[one.actual] = _best(one, pair, inputs, weight, place, options)
    return replace(transfer, carried=tuple(better.get(one.actual, one) for one in transfer.carried))


def _weight_of_own(pair: Pair, places: Mapping[str, Carried]) -> Carried | None:
    """The weight of the pair's layer, if that is somebody's own."""
    if len(pair.expected) != 1 or pair.problems or not any(_is_own(op) for op in pair.actual):
        return None
    return next((places[op.keys["weight"]] for op in pair.actual if op.keys.get("weight") in places), None)


def _is_own(op: Op) -> bool:
    return len(op.inner) > 1


def _best(
    one: Carried, pair: Pair, inputs: Sequence[Array], weight: Array, place: Array, options: Sequence[Axes]
) -> Carried:
    (op,) = pair.expected
    want = run(op, inputs)
    allowance = allowance_of(op, tuple(inputs), want)
    given = dict(zip(pair.feeds, inputs, strict=False)) if len(pair.feeds) == len(inputs) else {}
    least, chosen = np.inf, one
    for axes in options:
        place[...] = laid_out(weight, axes, place.shape)
        have = _chain(pair, given)
        if have is None or have.shape != want.shape:
            continue
        error = float(np.abs(have - want).max())
        if error < least:
            same = axes == tuple(range(weight.ndim)) and place.shape == weight.shape
            least, chosen = error, replace(one, axes=None if same else axes)
        if allowance is not None and bool(np.all(np.abs(have - want) <= allowance)):
            break
    place[...] = weight if chosen.axes is None else laid_out(weight, chosen.axes, place.shape)
    return chosen


def _chain(pair: Pair, given: Mapping[str, Array]) -> Array | None:
    """What the candidate's operations give; None where they cannot be run so."""
    needed = outside_inputs(pair.actual)
    if len(needed) != len(pair.feeds) or not set(pair.feeds) <= given.keys():
        return None
    values = {layer: given[feed] for layer, feed in zip(needed, pair.feeds, strict=True)}
    try:
        for op in pair.actual:
            values[op.layer] = run(op, [values[layer] for layer in op.inputs])
    except Exception:
        # A layout that does not run is not the one.
        return None
    return values[pair.actual[-1].layer]


def _draw(shape: tuple[int, ...], layer: str) -> Array:
    return generator(0, layer, "layout").standard_normal(shape, dtype=np.float32)
