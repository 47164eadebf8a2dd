"""Why the running estimates of batch norms move otherwise: by another momentum, another count, or not at all."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np

from layerdiff.compare.finding import Finding
from layerdiff.compare.steps.judge_steps import Moved
from layerdiff.compare.trace import Array

__all__ = ["running_causes", "still_norms"]

_EXACT = 1e-9
"""What may be left of an estimate that is explained, by its size."""
_HOW = "the expected batch's statistics, taken in so, give what it has after every step"


def still_norms(names: Collection[str], moves: Sequence[Moved]) -> tuple[str, ...]:
    """The norms none of whose running estimates moves though the expected ones do."""
    norms = sorted({name.rpartition(".")[0] for name in names})
    return tuple(norm for norm in norms if all(_is_still(name, moves) for name in names if _of(name) == norm))


def running_causes(
    names: Collection[str], moves: Sequence[Moved], momenta: Mapping[str, float | None]
) -> Iterator[Finding]:
    """One finding for each way in which running estimates are others.

    Args:
        names: of the running estimates at fault.
        moves: all steps.
        momenta: of the expected norms: the weight of the new batch, as torch has it; None for a norm that averages all
            batches, of which nothing is found.
    """
    groups: dict[tuple[str, str, str], list[str]] = {}
    worst = 0.0
    for name in sorted(names):
        momentum = momenta.get(_of(name))
        found = None if not momentum else _fitted(name, moves, momentum)
        if found is not None:
            groups.setdefault(found[:3], []).append(name)
            worst = max(worst, found[3])
    for (code, title, change), members in groups.items():
        yield Finding(code, title, tuple(members), change, confirmed=True, how=_HOW, after=worst)


def _fitted(name: str, moves: Sequence[Moved], momentum: float) -> tuple[str, str, str, float] | None:
    """Code, title, change and the worst ratio, if one sum of the old estimate and the batch's explains all steps."""
    role = name.rpartition(".")[2].replace("_", " ")
    old = [move.before[name] for move in moves]
    batch = [(move.after[name] - (1 - momentum) * move.before[name]) / momentum for move in moves]
    new = [move.actual[name] for move in moves]
    kept, taken = _amounts(old, batch, new)
    left = [np.abs(kept * o + taken * b - n) for o, b, n in zip(old, batch, new, strict=True)]
    allowed = [_EXACT * (np.abs(o) + np.abs(b)).max(initial=0.0) for o, b in zip(old, batch, strict=True)]
    worst = max(float(one.max(initial=0.0)) / (most or 1.0) for one, most in zip(left, allowed, strict=True))
    if worst > 1:
        return None
    share = taken / (1 - kept) if abs(1 - kept) > _EXACT else 1.0
    if abs(taken) < _EXACT:
        return (
            "C2",
            f"the {role} does not move",
            "leave the batch norm in training mode, with track_running_stats",
            worst,
        )
    if abs(share - 1) < 1e-7:
        title = f"the {role} takes in {taken:.6g} of a batch, expected {momentum:g}"
        return "C2", title, "torch's momentum is the weight of the new batch; Keras's that of the old mean", worst
    count = 1 / (1 - share) if share < 1 else 0.0
    if role == "running var" and abs(kept - (1 - momentum)) < 1e-7 and abs(count - round(count)) < 1e-3 * count:
        title = "the running var takes in the biased variance, divided by n"
        return "C3", title, "divide by n - 1 for the running estimate, and by n to normalise", worst
    title = f"the {role} is {kept:.6g} of itself and {taken:.6g} of the batch's"
    return "C2", title, f"{1 - momentum:g} and {momentum:g} are expected", worst


def _amounts(old: Sequence[Array], batch: Sequence[Array], new: Sequence[Array]) -> tuple[float, float]:
    """How much of the old estimate and of the batch's there is in the new one; they sum to 1 where the old one is 0."""
    columns = np.stack([np.concatenate([one.ravel() for one in part]) for part in (old, batch)], axis=1)
    sizes = np.linalg.norm(columns, axis=0)
    if not sizes[0]:
        share = float(columns[:, 1] @ np.concatenate([one.ravel() for one in new]) / (sizes[1] ** 2 or 1.0))
        return 1 - share, share
    amounts, *_ = np.linalg.lstsq(
        columns / np.where(sizes, sizes, 1), np.concatenate([n.ravel() for n in new]), rcond=None
    )
    kept, taken = (amounts / np.where(sizes, sizes, 1)).tolist()
    return kept, taken


def _is_still(name: str, moves: Sequence[Moved]) -> bool:
    return all(np.array_equal(move.actual[name], move.before[name]) for move in moves)


def _of(name: str) -> str:
    return name.rpartition(".")[0]
