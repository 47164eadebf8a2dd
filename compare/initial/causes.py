"""Why fresh tensors differ: the rule that drew them, or the value that they all have, and what the reference does."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence, Set

from layerdiff.compare.finding import UNEXPLAINED, Finding
from layerdiff.compare.initial.apart import TOLD
from layerdiff.compare.initial.cause_words import change_words, evidence_of, expected_words, scale_words, which
from layerdiff.compare.initial.initial import TensorResult
from layerdiff.compare.initial.naming import Member, Named, named
from layerdiff.compare.initial.places import Place
from layerdiff.compare.initial.rules import Part
from layerdiff.compare.initial.sample import Sample

__all__ = ["CODE", "causes", "drawn_by"]

CODE = "J3"
"""The code of everything that is initialised otherwise."""

_NOWHERE = Place("", "norm")


def drawn_by(tensors: Sequence[TensorResult], places: Mapping[str, Place]) -> dict[str, str]:
    """How the reference begins with each tensor, in words, where that is known: a rule's name, or `all 1`."""
    found: dict[str, str] = {}
    for part, members in _by_use([one for one in tensors if one.name in places], places, of_actual=False):
        for group in named(members, part):
            if group.rule is not None:
                found |= dict.fromkeys(_names(tensors, group, of_actual=False), group.rule.name)
    for one in tensors:
        if one.expected is not None and one.expected.constant is not None and one.name in places:
            found[one.name] = f"all {one.expected.constant:g}"
    return found


def causes(tensors: Sequence[TensorResult], places: Mapping[str, Place]) -> Iterator[Finding]:
    """One finding for each rule, or value, and use of tensors that begin otherwise than the reference's.

    A rule is confirmed where the samples could have come of its distribution and of no other that is known.

    Args:
        tensors: judged, with how the reference draws them.
        places: what each is for.
    """
    different = [one for one in tensors if one.status == "different"]
    loaded = [one for one in different if _place(one, places).running and _drawn(one.actual)]
    odd = [one for one in different if one.actual is not None and one.actual.odd]
    rest = [one for one in different if one not in loaded and one not in odd]
    for members in _split(odd).values():
        yield _never_filled(members)
    constant = [one for one in rest if one.actual is not None and one.actual.constant is not None]
    for members in _split(constant).values():
        yield _at_a_value(members, places, tensors)
    unnamed: list[TensorResult] = []
    drawn = [one for one in rest if one not in constant]
    groups = {one.group for one in drawn}
    # Those that are the same belong to the rule, too: it gives them what is expected.
    asked_of = [one for one in tensors if one.group in groups and one.status in {"same", "different"}]
    for part, asked in _by_use(asked_of, places, of_actual=True):
        for group in named(asked, part):
            covered = set(_names(asked_of, group, of_actual=True))
            here = [one for one in drawn if one.name in covered]
            # Norms and biases leave what they began at with the first steps: chance may make it look like a rule.
            if group.rule is None or (loaded and part != "kernel"):
                unnamed += here
                continue
            for members in _split(here).values():
                if members[0].drawn == group.rule.name:
                    unnamed += members
                else:
                    yield _by_a_rule(members, group, covered, places, tensors)
    if loaded:
        yield _loaded(loaded, unnamed)
    else:
        for members in _split(unnamed).values():
            yield _by_no_rule(members)


def _split(tensors: Sequence[TensorResult]) -> dict[tuple[str, str, float | None], list[TensorResult]]:
    """Tensors of one use, of which the reference's are drawn in one way, and which have one value if they have."""
    found: dict[tuple[str, str, float | None], list[TensorResult]] = defaultdict(list)
    for one in tensors:
        found[(one.group, one.drawn, one.actual.constant if one.actual else None)].append(one)
    return found


def _by_use(
    tensors: Sequence[TensorResult], places: Mapping[str, Place], *, of_actual: bool
) -> Iterator[tuple[Part, list[Member]]]:
    """The drawn tensors on one side, by use; those that were judged together stand there once."""
    found: dict[str, dict[tuple[Sample, object], Member]] = defaultdict(dict)
    parts: dict[str, Part] = {}
    for one in tensors:
        sample, place = one.actual if of_actual else one.expected, _place(one, places)
        if sample is not None and _drawn(sample):
            parts[one.group] = place.part
            found[one.group].setdefault((sample, place.fans), Member(one.name, sample, place.fans))
    for group, members in found.items():
        yield parts[group], list(members.values())


def _names(tensors: Sequence[TensorResult], group: Named, *, of_actual: bool) -> list[str]:
    """Of all tensors whose figures a group has."""
    figures = {one.sample for one in group.members}
    return [one.name for one in tensors if (one.actual if of_actual else one.expected) in figures]


def _drawn(sample: Sample | None) -> bool:
    return sample is not None and not sample.odd and sample.constant is None and sample.std > 0


def _place(one: TensorResult, places: Mapping[str, Place]) -> Place:
    return places.get(one.name, _NOWHERE)


def _never_filled(members: Sequence[TensorResult]) -> Finding:
    return Finding(
        code=CODE,
        title=f"{which(members)} hold values that are no numbers: memory that was never filled, it seems",
        layers=_layers(members),
        change=f"draw them: {expected_words(members)} is expected",
        evidence=evidence_of(members),
        partners=_partners(members),
    )


def _at_a_value(
    members: Sequence[TensorResult], places: Mapping[str, Place], tensors: Sequence[TensorResult]
) -> Finding:
    value = members[0].actual.constant if members[0].actual is not None else None
    ends = {one.name for one in tensors if _place(one, places).last}
    wanted = members[0].expected.constant if members[0].expected is not None else None
    title = f"{which(members, tensors)} are all {value:g}, expected {expected_words(members)}"
    if ends and {one.name for one in members} == ends and {value, wanted} == {0, 1}:
        title = f"the last batch norm of every block begins at {value:g}, expected {wanted:g}"
    change = f"let them begin at {wanted:g}" if wanted is not None else f"draw them: {expected_words(members)}"
    values = sum(one.actual.n for one in members if one.actual is not None)
    return Finding(
        code=CODE,
        title=title,
        layers=_layers(members),
        change=change,
        evidence=evidence_of(members),
        partners=_partners(members),
        confirmed=True,
        how=f"all {values:,} values looked at",
        after=0.0,
    )


def _by_a_rule(
    members: Sequence[TensorResult],
    group: Named,
    covered: Set[str],
    places: Mapping[str, Place],
    tensors: Sequence[TensorResult],
) -> Finding:
    """The finding on some tensors that a rule drew, of all that it covers."""
    rule = group.rule
    assert rule is not None, "groups without a rule are told elsewhere"
    values = sum(member.sample.n for member in group.members)
    of_it = [one for one in tensors if one.name in covered]
    fans = [(one, fans) for one in members if (fans := _place(one, places).fans) is not None and one.expected]
    return Finding(
        code=CODE,
        title=f"{which(of_it, tensors)} are drawn by {rule.name}, expected {expected_words(members)}",
        layers=_layers(members),
        change=change_words(members),
        evidence=(
            *evidence_of(members),
            *(scale_words(f"std²·{name}", [(one, getattr(fan, name)) for one, fan in fans])
              for name in ("fan_in", "fan_out") if fans and _drawn(members[0].expected)),
        ),
        partners=_partners(members),
        confirmed=group.alike,
        how=f"mean, std, shape and range of {values:,} values held against that distribution",
        after=group.off / TOLD if group.alike else None,
        equally=tuple(f"{CODE}: {other.name}" for other in group.others),
    )  # fmt: skip


def _by_no_rule(members: Sequence[TensorResult]) -> Finding:
    return Finding(
        code=UNEXPLAINED,
        title=f"{which(members)} are drawn by no rule that is known, expected {expected_words(members)}",
        layers=_layers(members),
        change=change_words(members),
        evidence=evidence_of(members),
        partners=_partners(members),
    )


def _loaded(moved: Sequence[TensorResult], unnamed: Sequence[TensorResult]) -> Finding:
    """Running estimates that are no longer where they begin: the network was trained, or came with weights."""
    members = [*moved, *unnamed]
    title = "the running estimates of the batch norms have moved: it is not fresh from its constructor"
    if unnamed:
        title = "it came with weights: its running estimates have moved, and the rest is drawn by no rule that is known"
    return Finding(
        code=UNEXPLAINED,
        title=title,
        layers=_layers(members),
        change="build it without weights, and run nothing in training mode while it is built",
        evidence=evidence_of(members),
        partners=_partners(members),
    )


def _layers(members: Sequence[TensorResult]) -> tuple[str, ...]:
    return tuple(one.name for one in members)


def _partners(members: Sequence[TensorResult]) -> tuple[str, ...]:
    return tuple(one.partner for one in members if one.partner is not None)
