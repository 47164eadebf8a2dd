"""An optimiser written as text, such as `sgd:lr=0.1,momentum=0.9,weight_decay=1e-4`."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from layerdiff.handwritten._checks import refusal
from layerdiff.handwritten.optimisers.adadelta import Adadelta
from layerdiff.handwritten.optimisers.adagrad import Adagrad
from layerdiff.handwritten.optimisers.adam import Adam
from layerdiff.handwritten.optimisers.adamw import AdamW
from layerdiff.handwritten.optimisers.hyperparameters import Value
from layerdiff.handwritten.optimisers.optimiser import Optimiser, Parameters
from layerdiff.handwritten.optimisers.rmsprop import RMSprop
from layerdiff.handwritten.optimisers.sgd import SGD

__all__ = ["OPTIMISERS", "Specification", "by_name"]

OPTIMISERS: Mapping[str, type[Optimiser]] = MappingProxyType(
    {kind.__name__.lower(): kind for kind in (SGD, Adagrad, RMSprop, Adadelta, Adam, AdamW)}
)
"""The optimisers by name: that of torch.optim, in small letters."""


@dataclass(frozen=True)
class Specification:
    """An optimiser without its parameters.

    Attributes:
        name: one of `OPTIMISERS`.
        values: the hyperparameters that were given, as (name, value) in the order they were given in. With `name` they
            are what torch.optim's optimiser of that name takes, too.
    """

    name: str
    values: tuple[tuple[str, Value], ...] = ()

    def __str__(self) -> str:
        """The text that `by_name` makes this specification of."""
        values = ",".join(f"{key}={_text(value)}" for key, value in self.values)
        return f"{self.name}:{values}" if values else self.name

    def build(self, parameters: Parameters, **others: Any) -> Optimiser:
        """The optimiser of `parameters`.

        Args:
            parameters: as for every optimiser.
            others: in the place of the values of the same names, such as a `weight_decay` for each parameter.

        Raises:
            ValueError: see `Optimiser`.
        """
        # The base class takes any names; that of `name` takes those of its signature.
        kind: Any = OPTIMISERS[self.name]
        optimiser: Optimiser = kind(parameters, **{**dict(self.values), **others})
        return optimiser


def by_name(text: str) -> Specification:
    """The specification written as `<name>` or `<name>:<key>=<value>,<key>=<value>...`.

    Args:
        text: names and keys are torch.optim's, in small letters; a flag is `true` or `false`, a pair is `0.9/0.999`.

    Raises:
        ValueError: there is no such optimiser, it has no such hyperparameter, one comes twice, or a value cannot be
            read or used. All of a kind are named, with the nearest names that there are.
    """
    name, colon, rest = text.partition(":")
    if name not in OPTIMISERS:
        raise refusal(
            f"by_name: unknown optimiser, got {name!r}, expected one of {', '.join(OPTIMISERS)}",
            help=_nearest([name.lower()], OPTIMISERS),
        )
    entries = [entry.partition("=") for entry in rest.split(",")] if colon else []
    _check_keys(name, [key for key, _, _ in entries])
    specification = Specification(name, tuple(_read(name, {key: value for key, _, value in entries}).items()))
    OPTIMISERS[name].check(dict(specification.values))
    return specification


def _check_keys(name: str, keys: list[str]) -> None:
    kinds = OPTIMISERS[name].kinds
    unknown = [key for key in keys if key not in kinds]
    if unknown:
        raise refusal(
            f"by_name: unknown hyperparameters of {name}, got {', '.join(map(repr, unknown))}, "
            f"expected some of {', '.join(kinds)}",
            help=_nearest(unknown, kinds),
        )
    twice = sorted({key for key in keys if keys.count(key) > 1})
    if twice:
        raise refusal(
            f"by_name: hyperparameters of {name} that come twice, got {', '.join(twice)}, expected each once",
            help="leave one of the two out",
        )


def _read(name: str, texts: Mapping[str, str]) -> dict[str, Value]:
    kinds, values, wrong = OPTIMISERS[name].kinds, {}, []
    for key, text in texts.items():
        try:
            values[key] = kinds[key].read(text)
        except ValueError:
            wrong.append(key)
    if wrong:
        raise refusal(
            f"by_name: unreadable hyperparameters of {name}, got {', '.join(f'{key}={texts[key]}' for key in wrong)}, "
            f"expected {', '.join(f'{key} {kinds[key].expected}' for key in wrong)}",
            help="write <key>=<value>, such as lr=0.1, with commas between them",
        )
    return values


def _nearest(names: list[str], known: Collection[str]) -> str:
    near = [match for name in names for match in difflib.get_close_matches(name, known, n=1)]
    return f"did you mean {' and '.join(map(repr, near))}?" if near else "choose among the names above"


def _text(value: Value) -> str:
    if isinstance(value, tuple):
        return "/".join(map(repr, value))
    return str(value).lower() if isinstance(value, bool) else repr(value)
