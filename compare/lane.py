"""Two networks in one precision: each layer of one compared with its partner in the other, in three ways."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from layerdiff.compare.bits import same_bits
from layerdiff.compare.candidate import Candidate, Failed
from layerdiff.compare.expected import Expected, Part
from layerdiff.compare.look import Look
from layerdiff.compare.memory import Dense, Remembered
from layerdiff.compare.metrics import equal, measure
from layerdiff.compare.pairs import Pair, outside_inputs
from layerdiff.compare.playback import Played, play, play_unwatched
from layerdiff.compare.probe import Size, dense_inputs, dense_shapes
from layerdiff.compare.result import Measure, Probe
from layerdiff.compare.trace import Array, Op, Trace
from layerdiff.compare.yardstick import walk
from layerdiff.errors import InputError

__all__ = ["Found", "Lane"]

Shapes: TypeAlias = Mapping[str, tuple[int, ...]]


@dataclass
class Found:
    """What one lane found of one pair.

    Attributes:
        measures: the comparisons made.
        problems: what is wrong before any value.
        float32_only: why the candidate's operations, or the expected ones, cannot run in this precision.
        float32_before: id of the operation before, on the way to this one, that cannot.
    """

    measures: list[Measure] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    float32_only: str = ""
    float32_before: str = ""


class Lane:
    """Both networks in one precision.

    Args:
        dtype: the precision.
        ops: the expected network's.
        others: the candidate's.
        pairs: of these, in the order of their last expected operations.
        x: the input, in its own precision.
        seed: of the dense probe and the floor.
        returned_by: ids of the operations whose output each network returned; None where it is not known.
        look: to be looked at again; None where all is measured.
        memory: of the expected network in this precision; None to remember nothing.
        beside: the lane in the input's own precision, which is always asked first; None where this is that.
        brief: whether the input's own precision is judged too: there operations are watched, and the dense probe has
            the real shape, so that here a small map will do.
    """

    def __init__(
        self,
        dtype: np.dtype[Any],
        ops: Sequence[Op],
        others: Sequence[Op],
        pairs: Sequence[Pair],
        x: Array,
        seed: int,
        returned_by: tuple[str | None, str | None] = (None, None),
        look: Look | None = None,
        memory: Remembered | None = None,
        beside: Lane | None = None,
        *,
        brief: bool = False,
    ) -> None:
        # Where an operation raises in another precision than its own, it cannot be cast, and is not wrong.
        self._own = x.dtype == dtype
        x = x.astype(dtype, copy=False)
        self._dtype, self._seed, self._ops, self._x = dtype, seed, ops, x
        self._expected: Expected | None = Expected(
            ops, pairs, x, seed, returned_by[0], memory, None if beside is None else beside._expected
        )
        self._returned_by = returned_by[1]
        self._look, self._memory, self._brief = look, memory, brief
        wanted = [pair.actual[-1].layer for pair in pairs if pair.actual]
        if self._returned_by is not None:
            wanted.append(self._returned_by)
        self._candidate = Candidate(others, x, wanted)
        self._uncast: set[str] = set()
        self._ended = ""

    def measure(self, pair: Pair) -> Found:
        """Play the next pair of the expected network, and measure the candidate's operations against it.

        Raises:
            InputError: the expected network's operations do not run again in their own precision.
        """
        part = self._play(pair)
        if part is None:
            return Found(float32_only=self._ended)
        found = Found()
        if pair.actual and not self._passes_by(pair):
            at = part
            alone = self._alone(part, found)
            if _differs(found) and (own := self._at_its_own_size(part)) is not None:
                at, again = own, Found()
                alone = self._alone(at, again)
                if alone is None or _differs(again):
                    at, alone = part, None
                else:
                    found = again
            if self._look is None or self._look.end_to_end:
                self._end_to_end(part, alone if at is part else None, found)
            if alone is not None and at.known and found.measures and found.measures[0].probe == "activations":
                self._dense(at, found)
        return found

    def _passes_by(self, pair: Pair) -> bool:
        """Whether nothing of this pair is needed but what the expected network gives."""
        look = self._look
        return look is not None and not look.end_to_end and not look.wants(pair)

    def reproduces(self, side: str, trace: Trace) -> bool:
        """Whether the replay of the operation that made it is what the network itself returned."""
        again, returned = self._again(side), trace.returned
        if again is None or returned is None or again.shape != returned.shape:
            return False
        # Two runs of one kernel need not agree to the bit (alignment, threads), but they agree to rounding.
        return same_bits(again, returned) or self.agrees(again, returned)

    def agrees(self, one: Array, other: Array) -> bool:
        """Whether two arrays lie no further apart than the whole network's rounding explains."""
        floor = 0.0
        for step in walk(self._ops, self._x, seed=self._seed):
            floor = step.floor
        both_nan = np.isnan(one) & np.isnan(other)
        return bool(np.all((np.abs(one - other) <= floor) | (one == other) | both_nan))

    def _again(self, side: str) -> Array | None:
        if side == "expected":
            return None if self._expected is None else self._expected.kept
        if self._returned_by is None:
            return None
        try:
            return self._candidate.value(self._returned_by)
        except Failed:
            return None

    def _play(self, pair: Pair) -> Part | None:
        if self._expected is None:
            return None
        try:
            part = self._expected.advance()
        except Exception as error:
            if self._own:
                raise InputError(
                    f"judge: the expected network's {pair.expected[-1].layer} cannot be run again, "
                    f"got {_first_line(error)}"
                ) from error
            self._end(pair, _first_line(error))
            return None
        made = part.output.dtype
        if not self._own and np.issubdtype(made, np.floating) and made != self._dtype:
            self._end(pair, f"it gives {made}")
            return None
        return part

    def _end(self, pair: Pair, why: str) -> None:
        self._expected = None
        self._ended = f"the expected network's {pair.expected[-1].layer} cannot run in {self._dtype}: {why}"

    def _alone(self, part: Part, found: Found) -> list[Played] | None:
        """Run the candidate's operations on the expected network's values; None where they give nothing to compare."""
        pair = part.pair
        if pair.float32_only and not self._own:
            self._uncast.update(op.layer for op in pair.actual)
            found.float32_only = pair.float32_only
            return None
        needed = outside_inputs(pair.actual)
        if part.feeds is None or len(part.feeds) != len(needed):
            return None
        try:
            played, spoilt = self._watched(pair, dict(zip(needed, part.feeds, strict=True)))
        except Exception as error:
            self._cannot(pair, f"crash: {_first_line(error)}", _first_line(error), found)
            return None
        if spoilt:
            found.problems.append("in place: changes what it is given, and gives something else")
        output = played[-1].output
        if output.shape == part.output.shape and output.dtype != part.output.dtype:
            problem = f"dtype: got {output.dtype} for inputs of {part.output.dtype}, expected {part.output.dtype}"
            self._cannot(pair, problem, f"it gives {output.dtype}", found)
            return None
        if output.shape != part.output.shape:
            found.problems.append(f"shape: got {output.shape}, expected {part.output.shape}")
            return played
        if part.known:
            found.measures.append(
                self._compare(pair, "activations", part.output, output, lambda: _known(part.allowance))
            )
        return played

    def _watched(self, pair: Pair, given: Mapping[str, Array]) -> tuple[list[Played], bool]:
        """The candidate's operations, played, and whether they spoil what they are given.

        Whether they do hangs on no precision: where the input's own is judged too, it is seen there.
        """
        return (play_unwatched(pair.actual, given), False) if self._brief else play(pair.actual, given)

    def _at_its_own_size(self, part: Part) -> Part | None:
        """The pair's expected operations, played on what the candidate gives to its own; None where that says nothing.

        Where maps have another size than they should, because of something before, operations that hold numbers which
        the code took from a shape cannot be run again on a map of the right size: `sum / (h * w)` would divide by
        the wrong one. Whether they are right is seen at the size that they were made for.
        """
        pair, needed = part.pair, outside_inputs(part.pair.actual)
        if part.feeds is None or not any(op.kind in _SIZED for op in pair.actual):
            return None
        try:
            own = {feed: self._candidate.value(layer) for feed, layer in zip(pair.feeds, needed, strict=True)}
            if all(own[feed].shape == value.shape for feed, value in zip(pair.feeds, part.feeds, strict=True)):
                return None
            played, _ = play(pair.expected, own)
        except Exception:
            # What does not run on a map of that size, is not judged on one.
            return None
        return Part(pair, tuple(played), tuple(own[feed] for feed in pair.feeds))

    def _cannot(self, pair: Pair, problem: str, why: str, found: Found) -> None:
        if self._own:
            found.problems.append(problem)
        else:
            self._uncast.update(op.layer for op in pair.actual)
            found.float32_only = f"cannot run in {self._dtype}: {why}"

    def _end_to_end(self, part: Part, alone: list[Played] | None, found: Found) -> None:
        """Measure the candidate's own value, made from the image on.

        Where what its operations are given is the same to the bit as what they were given alone, what they gave alone
        is their output here too: they are functions of their inputs, and one that is not does not give again what the
        network returned (`output`). A value that is the same to the bit as the expected one is held as the same array.
        """
        pair, expected = part.pair, self._expected
        last = pair.actual[-1].layer
        if found.float32_only:
            self._candidate.refuse(last)
            return
        try:
            if alone is not None and part.feeds is not None:
                needed = outside_inputs(pair.actual)
                own = [self._candidate.value(layer) for layer in needed]
                if all(same_bits(mine, given) for mine, given in zip(own, part.feeds, strict=True)):
                    self._candidate.accept(pair.actual, {one.op.layer: one.output for one in alone})
            output = self._candidate.take(last)
        except Failed as failed:
            if failed.args[0] in self._uncast:
                found.float32_before = failed.args[0]
            return
        if same_bits(output, part.output):
            self._candidate.share(last, part.output)
            if part.known:
                found.measures.append(_again(found.measures) or equal("propagated", part.output))
        elif output.shape == part.output.shape and output.dtype == part.output.dtype and expected is not None:
            if part.known:
                found.measures.append(self._measured(pair, "propagated", part.output, output, expected.floor()))
            else:
                expected.drift_from_start()

    def _dense(self, part: Part, found: Found) -> None:
        pair, needed = part.pair, outside_inputs(part.pair.actual)
        problem = ""
        for shapes, last_word in self._dense_shapes(part):
            dense = self._expected_on(part, shapes)
            want = dense.output
            try:
                played = play_unwatched(
                    pair.actual, {a: dense.given[b] for a, b in zip(needed, pair.feeds, strict=True)}
                )
            except Exception as error:
                problem = f"crash on the dense probe: {_first_line(error)}"
                continue
            output, problem = played[-1].output, ""
            if output.shape == want.shape and output.dtype == want.dtype:
                measured = self._compare(pair, "dense", want, output, partial(_allowance_of, dense))
                if last_word or (measured.ratio is not None and measured.ratio <= 1):
                    found.measures.append(measured)
                    return
        if problem:
            found.problems.append(problem)

    def _dense_shapes(self, part: Part) -> Iterator[tuple[Shapes, bool]]:
        """Shapes of the dense probe in the order to try them, and whether what is found there stands.

        Another shape than it ever gets a candidate need not be able to take: then the real one. On a brief map it can
        only be found right.
        """
        sizes: tuple[Size, ...] = ("brief", "usual", "real") if self._brief else ("usual", "real")
        shapes = {size: dense_shapes(part, size) for size in sizes}
        for size in sizes:
            if size != "brief" or shapes[size] != shapes["usual"]:
                yield shapes[size], size != "brief"

    def _expected_on(self, part: Part, shapes: Shapes) -> Dense:
        """What the pair's expected operations give on the dense probe."""
        key = (tuple(op.layer for op in part.pair.expected), tuple(shapes.items()))
        known = None if self._memory is None else self._memory.dense(key)
        if known is not None:
            return known
        given = dense_inputs(part, shapes, self._dtype, self._seed)
        found = Dense(given, play_unwatched(part.pair.expected, given))
        if self._memory is not None:
            self._memory.keep_dense(key, found)
        return found

    def _compare(
        self, pair: Pair, probe: Probe, expected: Array, actual: Array, allowance: Callable[[], Array]
    ) -> Measure:
        """Measure one array against another; what is the same to the bit needs no allowance."""
        if not same_bits(expected, actual):
            return self._measured(pair, probe, expected, actual, allowance())
        found = equal(probe, expected)
        if self._look is not None:
            self._look.show(pair, found, expected, actual, None)
        return found

    def _measured(self, pair: Pair, probe: Probe, expected: Array, actual: Array, allowance: Array | float) -> Measure:
        found = measure(probe, expected, actual, allowance)
        if self._look is not None:
            self._look.show(pair, found, expected, actual, allowance)
        return found


_SIZED = frozenset({"div", "mul", "view", "reshape", "unflatten", "expand", "unfold", "fold", "as_strided", "pad",
                    "narrow", "getitem"})  # fmt: skip
"""Kinds that are written with numbers which come from the shape of a map."""


def _differs(found: Found) -> bool:
    return bool(found.problems) or any(one.ratio is None or one.ratio > 1 for one in found.measures)


def _again(measures: Sequence[Measure]) -> Measure | None:
    """End to end as alone, where alone the expected output was met to the bit; None where it was not."""
    alone = next((one for one in measures if one.probe == "activations" and one.allowed is None), None)
    return None if alone is None else replace(alone, probe="propagated")


def _allowance_of(dense: Dense) -> Array:
    return _known(dense.allowance)


def _known(allowance: Array | None) -> Array:
    assert allowance is not None, "asked for only where `known` says that there is one"
    return allowance


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {(str(error).splitlines() or ['no message'])[0]}"
