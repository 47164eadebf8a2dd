"""The BLAS under NumPy gets one thread while networks are judged.

Torch and NumPy take turns there, layer by layer, each with threads of its own, and threads that are done wait for more
work by spinning: on as many cores as threads, each library takes the other's cores away. On two cores the judgement of
a NumPy network takes nearly twice as long with two threads in the BLAS as with one.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cache
from typing import Any

from threadpoolctl import ThreadpoolController

__all__ = ["one_blas_thread"]


def one_blas_thread() -> AbstractContextManager[Any]:
    """While it is entered, every BLAS in the process has one thread; afterwards as many as before."""
    context: AbstractContextManager[Any] = _controller().limit(limits=1)
    return context


@cache
def _controller() -> ThreadpoolController:
    # Looking through the loaded libraries takes a millisecond, and thousands of judgements are made in a session.
    return ThreadpoolController().select(user_api="blas")
