"""Whether a candidate's fresh tensors are samples of what the reference's are samples of."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from layerdiff.compare.initial.apart import SMALLEST, TOLD, apart
from layerdiff.compare.initial.causes import causes, drawn_by
from layerdiff.compare.initial.initial import Initial, Status, TensorResult
from layerdiff.compare.initial.places import Place
from layerdiff.compare.initial.sample import Sample, sample_of
from layerdiff.compare.result import Verdict
from layerdiff.compare.trace import Array
from layerdiff.compare.transfer import Transfer

__all__ = ["judge_initial"]

_TOO_MANY = "the biases that the reference has not"


def judge_initial(
    expected: Mapping[str, Array],
    actual: Mapping[str, Array],
    transfer: Transfer,
    places: Mapping[str, Place],
    *,
    names: tuple[str, str] = ("expected", "actual"),
    notes: Sequence[str] = (),
) -> Initial:
    """How two freshly built networks begin, tensor by tensor, and why they differ.

    Args:
        expected: the reference's tensors by name, as it was built.
        actual: the candidate's, as it was built.
        transfer: which stands for which.
        places: what each of the expected tensors is for.
        names: of both networks, in words.
        notes: what the reader must know.
    """
    pairs = {one.expected: one.actual for one in transfer.carried}
    tensors = [_alone(name, pairs[name], expected[name], actual[pairs[name]], places[name]) for name in expected
               if name in pairs]  # fmt: skip
    tensors = _pooled(tensors, expected, actual, places)
    # A bias that the reference has not is as good as none while it is zero.
    tensors += [_against_none(name, actual[name]) for name in transfer.zeroed]
    places = {**places, **_of_biases(transfer, places)}
    tensors += [
        TensorResult(name, None, places[name].group, "missing", "the candidate has none", sample_of(expected[name]))
        for name in transfer.unplaced
        if name in expected
    ]
    tensors += [
        TensorResult(name, name, "the other tensors", "extra", "not expected", actual=sample_of(actual[name]))
        for name in transfer.unfilled
    ]
    known = drawn_by(tensors, places)
    tensors = [replace(one, drawn=known.get(one.name, "")) for one in tensors]
    found = (*notes, *transfer.suspicions)
    return Initial(*names, tuple(tensors), tuple(causes(tensors, places)), found, _verdict(tensors))


def _verdict(tensors: Sequence[TensorResult]) -> Verdict:
    states = {one.status for one in tensors}
    if states & {"different", "missing", "extra"}:
        return "different"
    return "same" if states == {"same"} else "unknown"


def _alone(name: str, partner: str, expected: Array, actual: Array, place: Place) -> TensorResult:
    return _judged(TensorResult(name, partner, place.group, "same", "", sample_of(expected), sample_of(actual)))


def _of_biases(transfer: Transfer, places: Mapping[str, Place]) -> dict[str, Place]:
    """What the candidate's biases too many are for: the fans are those of the weight beside them."""
    beside = {one.actual.rpartition(".")[0]: places[one.expected] for one in transfer.carried
              if places[one.expected].part == "kernel"}  # fmt: skip
    fans = {name: beside[path].fans for name in transfer.zeroed if (path := name.rpartition(".")[0]) in beside}
    return {name: Place(_TOO_MANY, "bias" if fans.get(name) else "norm", fans.get(name)) for name in transfer.zeroed}


def _against_none(name: str, actual: Array) -> TensorResult:
    found = sample_of(actual)
    if found.constant == 0:
        return TensorResult(name, name, _TOO_MANY, "same", actual=found)
    return TensorResult(name, name, _TOO_MANY, "different", f"{told(found)}, expected none, or 0", actual=found)


def _judged(one: TensorResult) -> TensorResult:
    """The result with what its two samples say."""
    expected, actual = one.expected, one.actual
    if expected is None or actual is None:
        return one
    words = f"{told(actual)}, expected {told(expected)}"
    if expected.odd or actual.odd:
        return replace(one, status="different", reason=words)
    fixed = (expected.constant, actual.constant)
    if fixed[0] is not None and fixed[0] == fixed[1]:
        return one
    if min(expected.n, actual.n) == 1:
        # One value may be a constant or drawn: nobody can tell.
        return replace(one, status="unjudged", reason=f"{words}: one value does not tell")
    if fixed != (None, None) or not expected.std or not actual.std:
        # Drawn values are not all equal, and two constants that differ are no chance.
        return replace(one, status="different", reason=words)
    if min(expected.n, actual.n) < SMALLEST:
        return replace(one, status="unjudged", reason=f"{actual.n} values, {SMALLEST} are needed")
    return _told_apart(one, expected, actual, words)


def _told_apart(one: TensorResult, expected: Sample, actual: Sample, words: str) -> TensorResult:
    found = apart(expected, actual)
    status: Status = "same"
    if found.worst > TOLD or expected.orthogonal is not actual.orthogonal:
        status = "different"
    return replace(one, status=status, reason=words if status == "different" else "", apart=found)


def _pooled(
    tensors: Sequence[TensorResult],
    expected: Mapping[str, Array],
    actual: Mapping[str, Array],
    places: Mapping[str, Place],
) -> list[TensorResult]:
    """The results, with tensors that are too small judged together with those of the same use and the same fans."""
    small: dict[object, list[TensorResult]] = defaultdict(list)
    for one in tensors:
        if one.status == "unjudged":
            small[(one.group, places[one.name].fans)].append(one)
    found: dict[str, TensorResult] = {}
    for members in small.values():
        here = sample_of(np.concatenate([expected[one.name].ravel() for one in members]))
        there = sample_of(np.concatenate([actual[str(one.partner)].ravel() for one in members]))
        if min(here.n, there.n) < SMALLEST or not here.std or not there.std:
            continue
        for one in members:
            words = f"together with {len(members) - 1} more of {here.n} values: {told(there)}, expected {told(here)}"
            found[one.name] = _told_apart(replace(one, expected=here, actual=there, pooled=here.n), here, there, words)
    return [found.get(one.name, one) for one in tensors]


def told(sample: Sample) -> str:
    """A sample in a few words: `all 0`, or `std 0.0589 around 0`."""
    if sample.odd:
        return f"{sample.odd:,} NaN or infinite"
    if sample.constant is not None:
        return f"all {sample.constant:g}" if sample.n > 1 else f"{sample.constant:g}"
    # A mean that chance explains is none.
    around = f" around {sample.mean:.3g}" if abs(sample.mean) > TOLD * sample.std / sample.n**0.5 else ""
    form = ", orthogonal" if sample.orthogonal else ""
    return f"std {sample.std:.3g}, flatness {sample.flatness:.3f}{around}{form}"
