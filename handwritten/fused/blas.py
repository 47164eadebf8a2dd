"""What the BLAS under NumPy says of itself, and how many threads it may use while a plan runs.

A plan brings its own threads, so the BLAS gets one: two layers of threads on two cores only wait for each other.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cache
from typing import Any

from threadpoolctl import ThreadpoolController

__all__ = ["has_small_kernels", "one_thread"]

_AVX512 = {"skylakex", "cooperlake", "sapphirerapids"}


def has_small_kernels() -> bool:
    """Whether every BLAS in use is an OpenBLAS whose kernels for small matrices are written for AVX-512.

    Those read the operands where they lie. The others copy ("pack") them first, and for them a small product is a slow
    one. Source: OpenBLAS, kernel/x86_64/sgemm_small_kernel_permit_skylakex.c.
    """
    found = _controller().info()
    return bool(found) and all(
        library["internal_api"] == "openblas" and str(library.get("architecture", "")).lower() in _AVX512
        for library in found
    )


def one_thread() -> AbstractContextManager[Any]:
    """While it is entered, every BLAS in the process has one thread; afterwards as many as before."""
    context: AbstractContextManager[Any] = _controller().limit(limits=1)
    return context


@cache
def _controller() -> ThreadpoolController:
    # Looking through the loaded libraries takes a millisecond, so it is done once.
    return ThreadpoolController().select(user_api="blas")
