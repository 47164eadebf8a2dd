"""The manifest of a trace from anywhere: which array is which layer, and how it is laid out."""

from __future__ import annotations

import difflib
import json
from collections import Counter
from dataclasses import dataclass
from typing import Any, Literal

from layerdiff.compare.trace import INPUT
from layerdiff.compare.trace_stored import refuse
from layerdiff.errors import InputError

__all__ = ["FORMAT", "Listed", "Manifest", "read_manifest"]

FORMAT = "layerdiff trace manifest 1"

_KEYS = ("format", "network", "input", "layout", "layers", "dtype")
_LISTED_KEYS = ("id", "file", "kind", "shape", "dtype")
_DTYPES = ("float32", "float64")


@dataclass(frozen=True)
class Listed:
    """One layer as the manifest lists it.

    Attributes:
        layer: torchvision's layer id.
        name: under which name its array is stored.
        kind: what it is, if that is said.
        shape: of the array as it is stored, if that is said.
        dtype: of the array, if that is said.
    """

    layer: str
    name: str
    kind: str | None = None
    shape: tuple[int, ...] | None = None
    dtype: str | None = None


@dataclass(frozen=True)
class Manifest:
    """What a trace says of itself.

    Attributes:
        network: what ran, in words; None where it is not said.
        input: the stored name of the array that was the network's input.
        input_named: whether the manifest says so itself.
        layout: of the arrays of four axes.
        layers: in the order listed; None where it lists none and every array is named by its layer id.
        dtype: of all arrays, if that is said.
    """

    network: str | None = None
    input: str = INPUT
    input_named: bool = False
    layout: Literal["NCHW", "NHWC"] = "NCHW"
    layers: tuple[Listed, ...] | None = None
    dtype: str | None = None


def read_manifest(place: str, text: str | None) -> Manifest:
    """The manifest in `text`; the defaults for None.

    Raises:
        InputError: not JSON, not such an object, or of another format; with everything that is wrong with it.
    """
    if text is None:
        return Manifest()
    try:
        found = json.loads(text, object_pairs_hook=_each_once)
    except (json.JSONDecodeError, RecursionError) as error:
        raise InputError(f"{place}: its manifest is not JSON, got {error}") from None
    except _TwiceError as error:
        raise InputError(f"{place}: its manifest says {error} twice, expected once") from None
    if not isinstance(found, dict):
        raise InputError(f"{place}: its manifest is no object, got a {type(found).__name__}, expected {{…}}")
    refuse(f"{place}: its manifest", _problems(found), help="docs/traces.md describes the manifest")
    listed = _listed(found["layers"]) if "layers" in found else None
    twice = [f"two entries are for {layer}" for layer, n in Counter(one.layer for one in listed or ()).items() if n > 1]
    names = Counter(one.name for one in listed or ())
    twice += [f"two entries are for the file {name}" for name, n in names.items() if n > 1]
    refuse(f"{place}: its manifest", twice)
    return Manifest(
        network=found.get("network"),
        input=_stored_name(found.get("input", INPUT)),
        input_named="input" in found,
        layout=found.get("layout", "NCHW"),
        layers=listed,
        dtype=found.get("dtype"),
    )


class _TwiceError(Exception):
    pass


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _TwiceError(next(repr(key) for key, n in Counter(key for key, _ in pairs).items() if n > 1))
    return found


def _problems(found: dict[str, Any]) -> list[str]:
    problems = [_unknown(key, _KEYS) for key in found if key not in _KEYS]
    if found.get("format", FORMAT) != FORMAT:
        problems.append(f"format: got {found['format']!r}, expected {FORMAT!r}")
    problems += [
        f"{key}: got {found[key]!r}, expected text"
        for key in ("network", "input")
        if key in found and not (isinstance(found[key], str) and found[key])
    ]
    problems += [
        f"{key}: got {found[key]!r}, expected {' or '.join(choices)}"
        for key, choices in (("layout", ("NCHW", "NHWC")), ("dtype", _DTYPES))
        if key in found and found[key] not in choices
    ]
    return problems + _layer_problems(found.get("layers", []))


def _unknown(key: str, known: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(key.lower(), known, n=1)
    return f"no such key, got {key!r}, expected {f'perhaps {near[0]}' if near else ', '.join(known)}"


def _layer_problems(layers: Any) -> list[str]:
    if isinstance(layers, dict):
        return [
            f"layers: got {name!r}: {layer!r}, expected a layer id in quotes"
            for name, layer in layers.items()
            if not isinstance(layer, str)
        ]
    if not isinstance(layers, list):
        return [f"layers: got {layers!r}, expected a list, or an object from your names to layer ids"]
    problems = []
    for entry in layers:
        if isinstance(entry, dict):
            problems += [_unknown(key, _LISTED_KEYS) for key in entry if key not in _LISTED_KEYS]
            problems += [f"layers: {problem}" for problem in _entry_problems(entry)]
        elif not isinstance(entry, str):
            problems.append(f"layers: got {entry!r}, expected a layer id, or an object with one")
    return problems


def _entry_problems(entry: dict[str, Any]) -> list[str]:
    layer, shape = entry.get("id"), entry.get("shape", [])
    problems = []
    if not isinstance(layer, str) or not layer:
        problems.append(f"got the id {layer!r}, expected a layer id")
    problems += [
        f"{layer}: got the {key} {entry[key]!r}, expected text"
        for key in ("file", "kind")
        if key in entry and not (isinstance(entry[key], str) and entry[key])
    ]
    if not isinstance(shape, list) or not all(type(size) is int for size in shape):
        problems.append(f"{layer}: got the shape {shape!r}, expected a list of whole numbers")
    if entry.get("dtype", "float32") not in _DTYPES:
        problems.append(f"{layer}: got the dtype {entry['dtype']!r}, expected {' or '.join(_DTYPES)}")
    return problems


def _listed(layers: Any) -> tuple[Listed, ...]:
    if isinstance(layers, dict):
        return tuple(Listed(layer, _stored_name(name)) for name, layer in layers.items())
    return tuple(_one(entry) for entry in layers)


def _one(entry: Any) -> Listed:
    if isinstance(entry, str):
        return Listed(entry, entry)
    shape = entry.get("shape")
    return Listed(
        layer=entry["id"],
        name=_stored_name(entry.get("file", entry["id"])),
        kind=entry.get("kind"),
        shape=None if shape is None else tuple(shape),
        dtype=entry.get("dtype"),
    )


def _stored_name(name: str) -> str:
    return name.removesuffix(".npy")
