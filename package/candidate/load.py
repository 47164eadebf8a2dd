"""From the name of somebody's network to the network."""

from __future__ import annotations

import ast
import hashlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from layerdiff.candidate.accept import accept
from layerdiff.candidate.blame import first_line, is_own_failure, shown, source_note
from layerdiff.candidate.choice import choose
from layerdiff.candidate.contents import did_you_mean, example_call, is_network, listing, signature_of
from layerdiff.candidate.expression import dotted, evaluate, parse_call
from layerdiff.candidate.guard import foreign
from layerdiff.candidate.home import Home
from layerdiff.candidate.importing import import_file, import_module, read_source
from layerdiff.candidate.spec import Spec
from layerdiff.errors import InputError

__all__ = ["Loaded", "load_network", "load_value"]


@dataclass(frozen=True)
class Loaded:
    """A candidate, ready to be judged.

    Attributes:
        network: a torch module in eval mode, on the CPU, in float32; or a NumPy network. Of `load_value`, anything.
        name: what it is called, such as `net.py:build`.
        source_file: the file it was made in; None for a module that has none.
        sha256: of that file.
        imported: SHA-256 of each file that it imported from its own folder, by path.
        notes: what was done on the way, and what its code did beside making it.
        home: where it lives, for `foreign`, in which its forward pass must run.
    """

    network: Any
    name: str
    source_file: str | None
    sha256: str | None
    imported: Mapping[str, str]
    notes: tuple[str, ...]
    home: Home = field(repr=False)


def load_network(spec: Spec, *, architecture: str = "resnet50", seed: int = 0) -> Loaded:
    """The network that a spec of kind `file` or `module` names.

    This runs its code, with the rights of whoever calls it. `guard.foreign` says what is watched and put back.

    Args:
        spec: of kind `file` or `module`.
        architecture: which of several networks in a file is wanted, where the spec does not say.
        seed: of the generators while it is built.

    Raises:
        InputError: it does not import, is not there, cannot be built, or is not a network that can be judged.
    """

    def pick(module: ModuleType, target: str) -> tuple[str, str]:
        return choose(module, target, architecture=architecture)

    def make(module: ModuleType, call: str, target: str, home: Home) -> tuple[Any, tuple[str, ...]]:
        return _accept(_make(module, call, target, home), f"{target}:{call}", home)

    return _load(spec, pick, make, seed)


def load_value(spec: Spec, pick: Callable[[ModuleType, str], tuple[str, str]], *, seed: int = 0) -> Loaded:
    """What a spec of kind `file` or `module` names, whatever it is: a name's own value, or what a call gives.

    Args:
        spec: of kind `file` or `module`.
        pick: takes the module and its file, where the spec names nothing in it; gives a name, and why it was taken.
        seed: of the generators while it is built.

    Raises:
        InputError: it does not import, is not there, or cannot be built.
    """

    def make(module: ModuleType, call: str, target: str, home: Home) -> tuple[Any, tuple[str, ...]]:
        return _value(module, parse_call(call, target), target, home), ()

    return _load(spec, pick, make, seed)


def _load(
    spec: Spec,
    pick: Callable[[ModuleType, str], tuple[str, str]],
    make: Callable[[ModuleType, str, str, Home], tuple[Any, tuple[str, ...]]],
    seed: int,
) -> Loaded:
    if spec.kind not in {"file", "module"}:
        raise ValueError(f"load_network: got a spec of kind {spec.kind}, expected file or module")
    path, content = read_source(spec.target) if spec.kind == "file" else (None, b"")
    home = Home(path.parent if path else Path.cwd())
    notes = []
    with foreign(spec.target, "import", home=home, seed=seed) as imported:
        module = import_file(path, content, spec.target, home) if path else import_module(spec.target, home)
        call = spec.call
        if call is None:
            call, why = pick(module, spec.target)
            notes.append(f"{spec.target}: {why}")
    place = f"{spec.target}:{call}"
    with foreign(place, "building", home=home, seed=seed) as built:
        made, done = make(module, call, spec.target, home)
    notes += [*imported.notes, *built.notes, *done]
    file = getattr(module, "__file__", None)
    if path is None and isinstance(file, str) and Path(file).is_file():
        path, content = Path(file), Path(file).read_bytes()
    return Loaded(
        network=made,
        name=place,
        source_file=None if path is None else str(path),
        sha256=None if path is None else hashlib.sha256(content).hexdigest(),
        imported=_hashes(home, beside=path),
        notes=tuple(dict.fromkeys(notes)),
        home=home,
    )


def _hashes(home: Home, *, beside: Path | None) -> dict[str, str]:
    files = {getattr(module, "__file__", None) for module in home.neighbours.values()}
    paths = sorted(Path(file) for file in files if isinstance(file, str))
    return {
        shown(str(path)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in paths
        if path != beside and path.is_file()
    }


def _accept(made: Any, place: str, home: Home) -> tuple[Any, tuple[str, ...]]:
    try:
        return accept(made, place)
    except Exception as error:
        if not is_own_failure(error):
            raise
        # Its own eval, cpu, float or named_parameters.
        raise InputError(
            f"{place}: cannot be made ready, got {type(error).__name__}: {first_line(error)}, "
            "expected it to go into eval mode, to the CPU and to float32",
            notes=source_note(error, home),
        ) from error


def _make(module: ModuleType, call: str, target: str, home: Home) -> Any:
    """What the call gives; a network that is named is taken as it is, anything else that is named is called."""
    tree = parse_call(call, target)
    made = _value(module, tree, target, home)
    name = dotted(tree)
    if name is None or is_network(made):
        return made
    return _call(f"{target}:{'.'.join(name)}", made, (), {}, home)


def _value(module: ModuleType, tree: ast.expr, target: str, home: Home) -> Any:
    def lookup(name: Sequence[str]) -> Any:
        return _find(module, name, target)

    def run(name: str, function: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        return _call(f"{target}:{name}", function, args, kwargs, home)

    return evaluate(tree, lookup, run)


def _find(module: ModuleType, name: Sequence[str], target: str) -> Any:
    value: Any = module
    for i, part in enumerate(name):
        try:
            value = getattr(value, part)
        except AttributeError:
            inside = ".".join(name[:i])
            near = did_you_mean(part, dir(value))
            raise InputError(
                f"{target}: no such name, got {part!r}, expected one that is there"
                + (f" in {inside}" if inside else ""),
                notes=listing(module) if i == 0 else (),
                help=near or f"a text is written in quotes: '{part}'",
            ) from None
    return value


def _call(place: str, function: Any, args: Sequence[Any], kwargs: Mapping[str, Any], home: Home) -> Any:
    if is_network(function):
        raise InputError(f"{place}: is a network already, got a call of it", help=f"leave out the parentheses: {place}")
    if not callable(function):
        raise InputError(
            f"{place}: is no network and cannot be called, got a {type(function).__name__}, "
            "expected a network, a function or a class"
        )
    target, _, name = place.rpartition(":")
    _check_arguments(place, function, args, kwargs, f"{target}:{example_call(name, function)}")
    try:
        return function(*args, **kwargs)
    except Exception as error:
        if not is_own_failure(error):
            raise
        raise InputError(
            f"{place}: cannot be built, got {type(error).__name__}: {first_line(error)}",
            notes=source_note(error, home),
        ) from error


def _check_arguments(place: str, function: Any, args: Sequence[Any], kwargs: Mapping[str, Any], example: str) -> None:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        # Some classes tell nothing; the call itself will say.
        return
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        unknown = [name for name in kwargs if name not in signature.parameters]
        near = did_you_mean(unknown[0], signature.parameters) if unknown else None
        raise InputError(
            f"{place}: wrong arguments: {first_line(error)}",
            notes=[f"it takes {signature_of(function)}"],
            help=near or f"give them in parentheses, such as '{example}'; names are looked up in the file",
        ) from None
