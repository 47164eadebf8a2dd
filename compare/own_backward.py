"""Functions with a backward that somebody wrote: `torch.autograd.Function`, seen while a network runs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from torch.autograd import Function

__all__ = ["applications_seen"]

Apply = Callable[..., Any]


@contextlib.contextmanager
def applications_seen(see: Callable[[type[Function], Apply, tuple[Any, ...], dict[str, Any]], Any]) -> Iterator[None]:
    """Has `see(cls, apply, args, kwargs)` called in the place of every `cls.apply(*args, **kwargs)`.

    No mode and no hook of torch's sees these calls, only what is done inside of them, and by that nobody can tell how
    the gradient goes.
    """
    original = Function.__dict__["apply"]

    def apply(cls: type[Function], *args: Any, **kwargs: Any) -> Any:
        return see(cls, original.__get__(None, cls), args, kwargs)

    Function.apply = classmethod(apply)
    try:
        yield
    finally:
        Function.apply = original
