"""Whether freed memory stays with the process."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

AGAIN = """
import resource
import numpy as np
from layerdiff.handwritten.training import keep_freed_memory

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def step():
    arrays = [np.ones(2**18) for _ in range(100)]

if {keep}:
    assert keep_freed_memory()
step()
before = faults()
step()
print(faults() - before)
"""

PAGES = 100 * 2**21 // 4096


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "gnu_get_libc_version"), reason="another C library than glibc")
def test_what_is_freed_is_used_again():
    """Two hundred megabytes that were freed are had again without a page from the system, and only where so asked."""
    kept, given_back = (
        int(subprocess.check_output([sys.executable, "-c", AGAIN.format(keep=keep)])) for keep in (True, False)
    )
    assert kept < PAGES / 50
    assert given_back > PAGES / 2


def test_another_library_is_left_as_it_is(monkeypatch):
    """Where there is no glibc nothing is asked of it."""
    from layerdiff.handwritten.training import heap

    monkeypatch.setattr(heap.ctypes, "CDLL", lambda name: object())
    assert heap.keep_freed_memory() is False
