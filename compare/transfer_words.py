"""What a transfer of weights did and could not do, in sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Set

from layerdiff.compare.layouts import name_of
from layerdiff.compare.transfer import Transfer

__all__ = ["transfer_doubts", "transfer_notes"]


def transfer_notes(transfer: Transfer, needed: Set[str]) -> tuple[str, ...]:
    """What was carried over and how; what changes no verdict.

    Args:
        transfer: as it was done.
        needed: the expected tensors that what is judged uses.
    """
    reasons = Counter(one.reason for one in transfer.carried)
    by = ", ".join(f"{count} by {reason}" for reason, count in reasons.most_common())
    count = len(transfer.carried)
    notes = [f"weights: {count} tensor{'s' * (count != 1)} carried over ({by})"]
    layouts = Counter(name_of(one.axes) for one in transfer.carried if one.axes is not None)
    notes += [f"weights: {count} lie as {layout} in the candidate" for layout, count in layouts.items()]
    if transfer.zeroed:
        notes.append(f"weights: {_some(transfer.zeroed)}: biases the expected network has not, set to zero")
    if transfer.unused:
        notes.append(f"weights: {_some(transfer.unused)}: in its state dict, and never used by its forward pass")
    rest = [name for name in transfer.unplaced if name not in needed]
    if rest:
        notes.append(f"weights: {_some(rest)}: not carried over, and not needed for what was judged")
    return tuple(notes)


def transfer_doubts(transfer: Transfer, needed: Set[str]) -> tuple[str, ...]:
    """What stands against the verdict `same`."""
    doubts = list(transfer.suspicions)
    lacking = [name for name in transfer.unplaced if name in needed]
    if lacking:
        doubts.append(f"{_some(lacking)}: no place for them was found in the candidate")
    if transfer.unfilled:
        doubts.append(f"{_some(transfer.unfilled)}: used by the candidate, and nothing was found to put there")
    return tuple(doubts)


def _some(names: tuple[str, ...] | list[str]) -> str:
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"
