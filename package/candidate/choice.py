"""Which thing of a candidate's file is its network, where nobody said so."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterable, Iterator
from types import CodeType, FunctionType, ModuleType

from torch import nn

from layerdiff.candidate.contents import Thing, bare, example_call, is_network_class, listing, things
from layerdiff.errors import InputError

__all__ = ["choose"]

_VERBS = ("build", "make", "create", "get", "load", "init")
_NAMES = {"model", "net", "network"}
_BUILDERS = {"build"} | {f"{verb}{noun}" for verb in _VERBS for noun in _NAMES | {"resnet"}}

_BESIDE = (
    *("main", "test", "train", "demo", "run", "parse", "eval", "check", "print", "plot", "show", "seed", "set"),
    *("download", "export", "save", "fit", "benchmark", "count", "load_data", "get_data", "get_loader", "get_train"),
)
"""How functions begin that every such file has, and that make no network."""


def choose(module: ModuleType, place: str, *, architecture: str) -> tuple[str, str]:
    """The name of the one thing of a file that is its network, and why it was taken.

    That is the one that needs no arguments; of several the one called `build`, `make_model` or the like, else the one
    called after the architecture, else the one called `model`, `net` or `network`, else the one that no other of them
    uses.

    Raises:
        InputError: there is none, or several with equal right.
    """
    plausible = [thing for thing in things(module) if _is_plausible(thing)]
    wanted = _plain(architecture)
    for tier in (_BUILDERS, {wanted, *(f"{verb}{wanted}" for verb in _VERBS)}, _NAMES):
        called = _without_parts([thing for thing in plausible if _plain(thing.name) in tier])
        if called:
            return _only(called, place).name, f"took {called[0].name} for its name"
    rest = _without_parts([thing for thing in plausible if not _is_beside(thing)])
    if rest:
        return _only(rest, place).name, f"took {rest[0].name}, which needs no arguments and is no part of another"
    raise InputError(
        f"{place}: nothing in it is a network or makes one without arguments, expected one thing that does",
        notes=listing(module),
        help=f"say what to call, such as '{place}:{_example(things(module))}'",
    )


def _only(called: list[Thing], place: str) -> Thing:
    if len(called) > 1:
        raise InputError(
            f"{place}: could be {len(called)} networks, got {', '.join(thing.name for thing in called)}, expected one",
            help=f"say which, such as {place}:{called[0].name}",
        )
    return called[0]


def _is_plausible(thing: Thing) -> bool:
    if thing.kind == "network":
        # An activation or a loss, made once for the whole file, is not the network.
        return not isinstance(thing.value, nn.Module) or next(thing.value.children(), None) is not None
    if thing.kind == "class":
        if not is_network_class(thing.value):
            return False
        # A class that sets nothing up, such as everybody's own Flatten, is a part.
        if thing.value.__init__ is nn.Module.__init__:
            return False
    if inspect.iscoroutinefunction(thing.value) or inspect.isgeneratorfunction(thing.value):
        return False
    if getattr(thing.value, "__annotations__", {}).get("return", "") in {None, "None"}:
        return False
    return bare(thing.value)


def _is_beside(thing: Thing) -> bool:
    return thing.kind == "function" and thing.name.lower().startswith(_BESIDE)


def _without_parts(called: list[Thing]) -> list[Thing]:
    """Those that no other of them uses; all of them where they use each other."""
    # A second name for the same thing is no second thing.
    called = list({id(thing.value): thing for thing in reversed(called)}.values())[::-1]
    used = {thing: set(_names_used(thing)) for thing in called}
    whole = [
        thing for thing in called if not any(thing.name in names for user, names in used.items() if user is not thing)
    ]
    return whole or called


def _names_used(thing: Thing) -> Iterator[str]:
    value = thing.value
    if isinstance(value, nn.Module):
        yield from (type(module).__name__ for module in value.modules())
    elif isinstance(value, functools.partial):
        yield from (getattr(part, "__name__", "") for part in (value.func, *value.args))
    elif isinstance(value, type):
        yield from (base.__name__ for base in value.__mro__[1:])
        for member in vars(value).values():
            yield from _names_in(getattr(member, "__func__", member))
    else:
        yield from _names_in(value)


def _names_in(function: object) -> Iterator[str]:
    function = inspect.unwrap(function) if callable(function) else function
    codes = [function.__code__] if isinstance(function, FunctionType) else []
    while codes:
        code = codes.pop()
        yield from code.co_names
        codes += [constant for constant in code.co_consts if isinstance(constant, CodeType)]


def _plain(name: str) -> str:
    return name.lower().replace("_", "")


def _example(found: Iterable[Thing]) -> str:
    for thing in found:
        if thing.kind == "class" and is_network_class(thing.value) and "net" in thing.name.lower():
            return example_call(thing.name, thing.value)
    return "ResNet(depth=50)"
