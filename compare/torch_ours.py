"""Our own work while a network is watched, kept apart from what the network does and raises."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

from layerdiff.compare.recorder import StopForward, ValueLeftError

__all__ = ["WatchingFailed", "first_line", "ours"]


class WatchingFailed(BaseException):
    """What watches the network failed: no network catches it, and it is no crash of the network's."""


@contextlib.contextmanager
def ours(what: str) -> Iterator[None]:
    """Our own work, which is not the network's: neither what it does to tensors nor what it raises.

    Raises:
        WatchingFailed: in the place of any error of ours.
    """
    try:
        with torch._C.DisableTorchFunction():
            yield
    except (StopForward, ValueLeftError):
        raise
    except Exception as error:
        raise WatchingFailed(f"{what}: {type(error).__name__}: {first_line(error)}") from error


def first_line(error: BaseException) -> str:
    """The first line of what an error says."""
    return (str(error).splitlines() or ["no message"])[0]
