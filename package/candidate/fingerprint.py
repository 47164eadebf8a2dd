"""The functions and classes of the libraries, as they are, and what somebody's code has put in their place."""

from __future__ import annotations

import builtins
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import numpy as np
import torch
from torch import nn

# The reference: imported before any candidate can be, so that none can change it unseen.
from torchvision.models import resnet

__all__ = ["Fingerprint", "Replaced", "fingerprint", "replaced", "undo"]

_COSMETIC = {"__repr__", "__str__", "__format__", "extra_repr", "print", "display", "help", "input"}
"""What they are for is to show things; libraries that show things better replace them."""

_INCIDENTAL = {"__doc__", "__annotations__", "__dict__", "__weakref__", "__abstractmethods__", "__module__"}

_TORCH_SETS = {"Storage"}
"""What torch itself replaces, with its default dtype."""

_GONE = object()

Owner = ModuleType | type
Body = tuple[object, ...]
Fingerprint = dict[tuple[Owner, str], tuple[object, Body]]


@dataclass(frozen=True)
class Replaced:
    """One name that holds something else than before, or nothing; `value` and `body` are what it held."""

    owner: Owner
    attribute: str
    value: object
    body: Body

    @property
    def name(self) -> str:
        """In full, such as `torch.nn.functional.relu`."""
        owner = self.owner.__name__
        if isinstance(self.owner, type):
            owner = f"{self.owner.__module__}.{self.owner.__qualname__}"
        return f"{owner}.{self.attribute}"

    @property
    def harmful(self) -> bool:
        """Whether it could change what a network computes."""
        return self.attribute not in _COSMETIC


def fingerprint() -> Fingerprint:
    """Every public name of torch's, torchvision's and NumPy's that networks use, and the builtins, with what it holds.

    For a function in Python its code and defaults too: they can be replaced without the function.
    """
    return {(owner, name): (value, _body(value)) for owner in _owners() for name, value in _contents(owner)}


def replaced(before: Fingerprint) -> tuple[Replaced, ...]:
    """What is not as it was; names that were added are left aside, unless they hide one that a class inherits."""
    found = []
    for (owner, name), (value, body) in before.items():
        now = vars(owner).get(name, _GONE)
        if (now is not value or not _same(_body(now), body)) and not _is_torchs_own(now, value):
            found.append(Replaced(owner, name, value, body))
    for owner in {owner: None for owner, _ in before if isinstance(owner, type)}:
        for name, _ in _contents(owner):
            if (owner, name) not in before and any(name in vars(base) for base in owner.__mro__[1:]):
                found.append(Replaced(owner, name, _GONE, ()))
    return tuple(found)


def undo(changes: tuple[Replaced, ...]) -> None:
    """Put everything back."""
    for change in changes:
        if isinstance(change.value, FunctionType):
            code, defaults, names, *values = change.body
            change.value.__code__ = code  # type: ignore[assignment]
            change.value.__defaults__ = defaults  # type: ignore[assignment]
            change.value.__kwdefaults__ = dict(zip(names, values, strict=True)) or None  # type: ignore[call-overload]
        if change.value is _GONE:
            delattr(change.owner, change.attribute)
        else:
            setattr(change.owner, change.attribute, change.value)


def _owners() -> Iterator[Owner]:
    yield from (builtins, math, np, np.linalg, torch, nn, nn.functional, nn.init, resnet)
    classes: dict[type, None] = {torch.Tensor: None}
    for module in (nn, resnet):
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, nn.Module):
                # With what it inherits from: nn.Conv2d computes in a private class that all convolutions share.
                classes.update(dict.fromkeys(base for base in value.__mro__ if issubclass(base, nn.Module)))
    yield from classes


def _contents(owner: Owner) -> Iterator[tuple[str, Any]]:
    for name, value in list(vars(owner).items()):
        if isinstance(owner, type):
            if name not in _INCIDENTAL:
                yield name, value
        elif not name.startswith("_") and not isinstance(value, ModuleType) and name not in _TORCH_SETS:
            yield name, value


def _body(value: object) -> Body:
    if not isinstance(value, FunctionType):
        return ()
    keywords = value.__kwdefaults__ or {}
    return (value.__code__, value.__defaults__, tuple(keywords), *keywords.values())


def _same(now: Body, before: Body) -> bool:
    # By identity: a default may be a tensor, which has no one answer to ==. The names of keywords are text.
    if len(now) != len(before) or now[2:3] != before[2:3]:
        return False
    return all(one is other for i, (one, other) in enumerate(zip(now, before, strict=True)) if i != 2)


def _is_torchs_own(now: object, before: object) -> bool:
    # torch's compiler wraps a function or two of its own when it is first imported or used.
    if not isinstance(now, FunctionType):
        return False
    file, torchs = now.__code__.co_filename, f"{Path(torch.__file__).parent}/"
    return file.startswith(f"{torchs}_dynamo/") or (
        file.startswith(torchs) and getattr(now, "__wrapped__", None) is before
    )
