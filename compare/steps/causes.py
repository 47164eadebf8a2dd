"""Why a step moves a network otherwise: fitted to what a step can be made of, gradient, weights and velocity.

Source: the signatures of J1 and J2 in the catalogue: one step from a known state is a sum of a few known directions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from layerdiff.compare.finding import UNEXPLAINED, Finding
from layerdiff.compare.result import Steps
from layerdiff.compare.steps.judge_steps import Moved
from layerdiff.compare.trace import Array

__all__ = ["causes_of_steps"]

_EXACT = 1e-8
"""What may be left of a step by a sum of directions that explains it: float64 leaves a millionth of it, or less."""
_HOW = "a step with just this mistake gives what it gives; without the mistake"


def causes_of_steps(steps: Steps, moves: Sequence[Moved]) -> tuple[Finding, ...]:
    """The causes of tensors that were moved otherwise, as far as they are found; unexplained for the rest.

    Args:
        steps: settled.
        moves: every one of them.
    """
    wrong = {one.name for one in steps.tensors if one.status == "fault" and one.kind == "parameter"}
    found = [*_still(wrong, moves), *_running(steps, moves)]
    told = {layer for one in found for layer in one.layers}
    rest = sorted(wrong - told)
    if rest:
        found.append(_direction(rest, moves) or _unexplained(rest))
    return tuple(found)


def _still(wrong: set[str], moves: Sequence[Moved]) -> Iterator[Finding]:
    """Parameters that do not move at all."""
    names = tuple(
        sorted(
            name for name in wrong
            if all(np.array_equal(one.actual[name], one.before[name]) for one in moves)
            and any(not np.array_equal(one.after[name], one.before[name]) for one in moves)
        )
    )  # fmt: skip
    if names:
        yield Finding(
            "J12", f"{len(names)} parameter{'s are' if len(names) > 1 else ' is'} never moved", names,
            "give all parameters to the optimiser, with requires_grad, and register every layer", confirmed=True,
            how="it is what it was before every step; moved as expected", after=0.0,
        )  # fmt: skip


def _running(steps: Steps, moves: Sequence[Moved]) -> Iterator[Finding]:
    """Running estimates that move by another part of the way."""
    groups: dict[tuple[str, float], list[str]] = {}
    for one in steps.tensors:
        if one.kind != "running" or one.status != "fault":
            continue
        ratio = _ratio(moves[0].actual[one.name] - moves[0].before[one.name],
                       moves[0].after[one.name] - moves[0].before[one.name])  # fmt: skip
        if ratio is not None:
            groups.setdefault((one.name.rpartition(".")[2], round(ratio, 9)), []).append(one.name)
    for (role, ratio), names in groups.items():
        words = "do not move" if ratio == 0 else f"move {ratio:.6g} times as far"
        yield Finding(
            "C2", f"the {role.replace('running_', 'running ')}s {words}", tuple(names),
            "check the momentum of the batch norm (torch's is the weight of the new batch), and that it is in training "
            "mode", confirmed=True, how=_HOW, after=0.0,
        )  # fmt: skip


def _ratio(actual: Array, expected: Array) -> float | None:
    size = float((expected**2).sum())
    if size == 0:
        return None
    ratio = float((actual * expected).sum()) / size
    left = float(np.linalg.norm(actual - ratio * expected))
    return ratio if left <= _EXACT * float(np.sqrt(size)) else None


def _direction(names: Sequence[str], moves: Sequence[Moved]) -> Finding | None:
    """One sum of directions for all parameters that are wrong, the same in the last step."""
    last = len(moves) - 1
    basis = _basis(names, moves, last)
    have = _fit(basis, _flat(names, moves[last].actual) - _flat(names, moves[last].before))
    want = _fit(basis, _flat(names, moves[last].after) - _flat(names, moves[last].before))
    if have is None or want is None:
        return None
    base = Finding("", "", tuple(names), "", (f"moves by {_sum(have)}", f"expected {_sum(want)}"), confirmed=True,
                   how=_HOW, after=0.0)  # fmt: skip
    return _named(base, have, want)


def _named(base: Finding, have: Mapping[str, float], want: Mapping[str, float]) -> Finding:
    apart = {name for name in have if not _near(have[name], want[name])}
    if "the gradient before" in apart:
        return replace(
            base, code="J2", title="the gradient of the step before is still in it", evidence=(),
            change="call optimizer.zero_grad() before every backward",
        )  # fmt: skip
    if apart == {"the weight"}:
        return replace(
            base, code="J1",
            title=f"weight decay moves by {have['the weight']:.6g} · w, expected {want['the weight']:.6g} · w",
            change="add weight_decay · w to the gradient, before momentum and the learning rate, as torch's SGD does",
        )  # fmt: skip
    rate = have["the gradient"] / want["the gradient"] if want["the gradient"] else float("nan")
    if all(_near(have[name], rate * want[name]) for name in have):
        return replace(
            base, code="J11", title=f"the step is {rate:.6g} times as long", change="use the expected learning rate"
        )
    return replace(
        base, code="J1", title=f"the step is another sum: {', '.join(sorted(apart))} in another measure",
        change="compare the order of weight decay, momentum and learning rate with torch's",
    )  # fmt: skip


def _near(one: float, other: float) -> bool:
    return abs(one - other) <= 1e-6 * max(abs(one), abs(other), 1e-6)


def _basis(names: Sequence[str], moves: Sequence[Moved], number: int) -> dict[str, Array]:
    found = {"the gradient": _flat(names, moves[number].gradients), "the weight": _flat(names, moves[number].before)}
    velocity = {name: moves[number].before.get(f"{name}.momentum_buffer") for name in names}
    if all(array is not None for array in velocity.values()):
        found["the velocity"] = _flat(names, {name: array for name, array in velocity.items() if array is not None})
    if number:
        found["the gradient before"] = _flat(names, moves[number - 1].gradients)
    return found


def _fit(basis: Mapping[str, Array], step: Array) -> dict[str, float] | None:
    """How much of each direction a step is made of; None where it is not made of these."""
    sizes = {name: float(np.linalg.norm(direction)) or 1.0 for name, direction in basis.items()}
    matrix = np.stack([direction / sizes[name] for name, direction in basis.items()], axis=1)
    amounts, *_ = np.linalg.lstsq(matrix, step, rcond=None)
    if float(np.linalg.norm(matrix @ amounts - step)) > _EXACT * max(float(np.linalg.norm(step)), 1e-300):
        return None
    found = {name: float(amount) / sizes[name] for name, amount in zip(basis, amounts, strict=True)}
    largest = float(np.abs(amounts).max())
    return {
        name: value if abs(value) * sizes[name] > _EXACT * largest else 0.0 for name, value in found.items()
    }  # fmt: skip


def _flat(names: Sequence[str], arrays: Mapping[str, Array]) -> Array:
    return np.concatenate([arrays[name].ravel() for name in names])


def _sum(amounts: Mapping[str, float]) -> str:
    return " + ".join(f"{amount:.6g} · {name}" for name, amount in amounts.items() if amount) or "nothing"


def _unexplained(names: Sequence[str]) -> Finding:
    return Finding(
        UNEXPLAINED, "the way its parameters move is unexplained", tuple(names),
        "compare the training step with the reference's, by hand",
    )  # fmt: skip
