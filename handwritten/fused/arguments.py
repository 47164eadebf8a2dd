"""What a network that runs by plans is given, checked: threads, a dtype, images; here and in `kept`."""

from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np
from numpy.typing import DTypeLike

from layerdiff.handwritten._checks import refusal
from layerdiff.handwritten.numpy_ops._arrays import Array

__all__ = ["check_images", "checked_dtype", "checked_threads", "ends_of", "usable_cpus"]


def usable_cpus() -> int:
    """How many CPUs this process may run on."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def checked_dtype(where: str, dtype: DTypeLike) -> np.dtype[np.floating]:
    """`dtype`, which is float32 or float64.

    Raises:
        ValueError: it is another one; the error begins with `where`.
    """
    for usable in (np.dtype(np.float32), np.dtype(np.float64)):
        if np.dtype(dtype) == usable:
            return usable
    raise refusal(
        f"{where}: unusable dtype, got {np.dtype(dtype)}, expected float32 or float64",
        help="the matrix products of NumPy are fast in these two",
    )


def checked_threads(where: str, threads: int | None) -> int:
    """`threads`, or where there are none given as many as this process has CPUs.

    Raises:
        ValueError: less than one; the error begins with `where`.
    """
    found = usable_cpus() if threads is None else threads
    if found < 1:
        raise refusal(
            f"{where}: unusable threads, got {found}, expected at least 1",
            help="leave it out for all CPUs that this process may use",
        )
    return found


def ends_of(state: Mapping[str, Array]) -> tuple[int, int]:
    """Channels of the images and classes, as the weights have them; where those are amiss, what is usual."""
    first, last = np.shape(state.get("conv1.weight", ())), np.shape(state.get("fc.weight", state.get("fc.bias", ())))
    return first[1] if len(first) == 4 else 3, last[0] if last else 1000


def check_images(where: str, x: Array, channels: int, dtype: np.dtype[np.floating]) -> None:
    """Refuses what is not (n, channels, h, w) of `dtype`.

    Raises:
        ValueError: it is so; the error begins with `where` and lists all that is wrong.
    """
    array = isinstance(x, np.ndarray)
    problems = []
    if not array:
        problems.append(f"not an array but {type(x).__name__}")
    if array and x.dtype != dtype:
        problems.append(f"dtype {x.dtype} instead of {dtype}")
    if array and x.ndim != 4:
        problems.append(f"shape {x.shape}, not (n, c, h, w)")
    if array and x.ndim == 4 and x.shape[1] != channels:
        problems.append(f"{x.shape[1]} channels instead of {channels}")
    if array and 0 in x.shape:
        problems.append(f"no pixels in shape {x.shape}")
    if problems:
        raise refusal(
            f"{where}: not images for this network, got {'; '.join(problems)}, "
            f"expected {dtype} of (n, {channels}, h, w)",
            help="channels come first, and x.astype(np.float32) converts; one image is a batch of one with x[None]",
        )
