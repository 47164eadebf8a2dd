"""What both halves refuse, and how: one line that says where and what, then a line of help.

Nothing here knows an array: shapes come as tuples.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = [
    "check_channels",
    "check_divisor",
    "check_groups",
    "check_image_batch",
    "check_probability",
    "refusal",
]


def refusal(message: str, *, help: str) -> ValueError:
    """A ValueError for the caller to raise.

    Args:
        message: `<where>: <what is wrong>, got <actual>, expected <expected>`.
        help: what to do about it, shown below the message as `help: ...`.
    """
    error = ValueError(message)
    error.add_note(f"help: {help}")
    return error


def check_image_batch(where: str, shape: Sequence[int]) -> None:
    """Refuses a shape that is not (n, c, h, w)."""
    if len(shape) != 4:
        raise refusal(
            f"{where}: not a batch of images, got shape {tuple(shape)}, expected (n, c, h, w)",
            help="a single image becomes a batch of one with x[None]",
        )


def check_channels(where: str, shape: Sequence[int], channels: int) -> None:
    """Refuses images of (n, c, h, w) with c other than `channels`."""
    if shape[1] != channels:
        raise refusal(
            f"{where}: wrong number of channels, got {shape[1]}, expected {channels}",
            help=f"x is {tuple(shape)}, read as (n, c, h, w): is it channels last?",
        )


def check_groups(where: str, in_channels: int, out_channels: int, groups: int) -> None:
    """Refuses channels that cannot be shared out among `groups`."""
    if groups < 1 or in_channels % groups or out_channels % groups:
        raise refusal(
            f"{where}: channels that groups do not divide, got {in_channels} in and {out_channels} out, "
            f"expected multiples of {groups}",
            help="groups is at least 1 and divides the channels in and the channels out",
        )


def check_divisor(where: str, divisor_override: int | None) -> None:
    """Refuses to divide by zero."""
    if divisor_override == 0:
        raise refusal(
            f"{where}: unusable divisor_override, got 0, expected another int or None",
            help="None divides by the number of values in the window",
        )


def check_probability(where: str, p: float) -> None:
    """Refuses what is not a probability."""
    if not 0 <= p <= 1:
        raise refusal(
            f"{where}: not a probability, got {p}, expected between 0 and 1",
            help="p is the share of values that are dropped",
        )
