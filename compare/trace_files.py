"""Traces from any language or framework: `.safetensors`, `.npz`, or a folder of `.npy` files; docs/traces.md."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from layerdiff.compare.saved import read_trace
from layerdiff.compare.trace import INPUT, Array, Op, Trace, digest
from layerdiff.compare.trace_folder import open_folder
from layerdiff.compare.trace_manifest import Listed, Manifest, read_manifest
from layerdiff.compare.trace_npz import open_npz
from layerdiff.compare.trace_safetensors import is_own, open_safetensors
from layerdiff.compare.trace_stored import Container, Stored, refuse, refuse_size
from layerdiff.errors import InputError

__all__ = ["read_any_trace"]

_LAYER_ID = re.compile(r"[A-Za-z_]\w*(\.\w+)*", re.ASCII)
_RANKS = (2, 4)


def read_any_trace(path: Path) -> Trace:
    """The trace in a file or folder, whoever wrote it; its operations cannot be run, and it may lack layers.

    What layerdiff wrote itself comes back as it was. Anything else is arrays by layer id: every operation has the
    kind its manifest gives, or none (""), and no inputs; `values["input"]` is the network's input where it was saved
    beside them. Arrays come as float32 or float64 in NCHW.

    Args:
        path: a `.safetensors` or `.npz` file, or a folder of `.npy` files.

    Raises:
        InputError: no such file, none of these, spoilt, too large, or arrays that are no layers' values; all
            problems of a kind at once.
    """
    if not path.exists():
        raise InputError(f"{path}: no such file, expected a trace: .safetensors, .npz, or a folder of .npy files")
    container = _open(path)
    if container is None:
        return read_trace(path)
    manifest = read_manifest(str(path), container.manifest)
    listed = _layers(path, container, manifest)
    given = container.arrays.get(manifest.input)
    chosen = {one.layer: container.arrays[one.name] for one in listed}
    _refuse_wrong(path, chosen, given, listed, manifest)
    refuse_size(path, chosen | ({} if given is None else {INPUT: given}))
    values = {one.layer: _nchw(chosen[one.layer].load(), manifest) for one in listed}
    if given is not None:
        values[INPUT] = _nchw(given.load(), manifest)
    return _trace(path, manifest, listed, values)


def _open(path: Path) -> Container | None:
    """What lies at `path`; None for what layerdiff wrote itself."""
    suffix = path.suffix.lower()
    if path.is_dir():
        return open_folder(path)
    if suffix == ".npz":
        return open_npz(path)
    if suffix == ".safetensors":
        return None if is_own(path) else open_safetensors(path)
    got = f"a {suffix} file" if suffix else "a file without a suffix"
    raise InputError(f"{path}: not a trace, got {got}, expected .safetensors, .npz, or a folder of .npy files")


def _layers(path: Path, container: Container, manifest: Manifest) -> tuple[Listed, ...]:
    """Which array is which layer.

    Raises:
        InputError: there is none, an id is none, or the manifest and the arrays are not of one another.
    """
    names = [name for name in container.arrays if name != manifest.input]
    if not names:
        raise InputError(f"{path}: empty, got no array of a layer, expected at least one, named by its layer id")
    if manifest.input_named and manifest.input not in container.arrays:
        near = _near(manifest.input, names)
        raise InputError(f"{path}: its manifest names the input {manifest.input!r}, got no such array{near}")
    listed = manifest.layers
    if listed is None:
        listed = tuple(Listed(name, name) for name in names)
    stored = {one.name for one in listed}
    absent = [one.name for one in listed if one.name not in names]
    refuse(str(path), [f"its manifest lists {name!r}, got no such array{_near(name, names)}" for name in absent])
    refuse(str(path), [f"its manifest does not list {name!r}, got its array" for name in names if name not in stored])
    bad = [one.layer for one in listed if not _LAYER_ID.fullmatch(one.layer) or one.layer == INPUT]
    refuse(
        str(path),
        [f"not a layer id, got {name!r}, expected one like layer1.0.conv1" for name in bad],
        help='map your names to layer ids in a manifest: {"layers": {"your name": "layer1.0.conv1"}}',
    )
    return listed


def _near(name: str, names: list[str]) -> str:
    near = difflib.get_close_matches(name, names, n=1)
    return f", perhaps {near[0]!r}" if near else ""


def _refuse_wrong(
    path: Path, chosen: Mapping[str, Stored], given: Stored | None, listed: tuple[Listed, ...], manifest: Manifest
) -> None:
    """Refuse by the headers what cannot be a layer's value.

    Raises:
        InputError: a dtype or rank that is no activation's, no element, or not what the manifest says.
    """
    everything = dict(chosen) if given is None else {INPUT: given, **chosen}
    dtypes = {layer: stored.dtype for layer, stored in everything.items()}
    refuse(
        str(path),
        [
            f"{layer}: wrong dtype, got {dtype}, expected float32 or float64"
            for layer, dtype in dtypes.items()
            if dtype not in {"float32", "float64"}
        ],
        help="save what the network computed in single or double precision, as it is",
    )
    found = sorted({dtypes[layer] for layer in chosen})
    if len(found) > 1:
        first = [next(layer for layer in chosen if dtypes[layer] == dtype) for dtype in found]
        raise InputError(f"{path}: two dtypes, got float32 for {first[0]} and float64 for {first[1]}, expected one")
    ranks = {layer: (4,) if layer == INPUT else _RANKS for layer in everything}
    refuse(
        str(path),
        [
            f"{layer}: wrong shape, got {stored.shape}, expected {' or '.join(_FORMS[rank] for rank in ranks[layer])}"
            for layer, stored in everything.items()
            if len(stored.shape) not in ranks[layer]
        ],
        help="keep the axis of the batch, also for one picture",
    )
    none = [layer for layer, stored in everything.items() if 0 in stored.shape]
    refuse(str(path), [f"{layer}: empty, got shape {everything[layer].shape}" for layer in none])
    refuse(f"{path}: its manifest", _contradictions(chosen, listed, manifest))


_FORMS = {2: "(n, features)", 4: "(n, c, h, w)"}


def _contradictions(chosen: Mapping[str, Stored], listed: tuple[Listed, ...], manifest: Manifest) -> list[str]:
    problems = []
    for one in listed:
        stored, dtype = chosen[one.layer], one.dtype or manifest.dtype
        if one.shape is not None and one.shape != stored.shape:
            problems.append(f"{one.layer}: says the shape is {one.shape}, got an array of {stored.shape}")
        if dtype is not None and dtype != stored.dtype:
            problems.append(f"{one.layer}: says the dtype is {dtype}, got an array of {stored.dtype}")
    return problems


def _nchw(array: Array, manifest: Manifest) -> Array:
    if manifest.layout == "NHWC" and array.ndim == 4:
        array = array.transpose(0, 3, 1, 2)
    return np.ascontiguousarray(array)


def _trace(path: Path, manifest: Manifest, listed: tuple[Listed, ...], values: Mapping[str, Array]) -> Trace:
    ops = tuple(
        Op(
            layer=one.layer,
            path=one.layer,
            kind=one.kind or "",
            inputs=(),
            attributes={},
            parameters={},
            shape=values[one.layer].shape,
            dtype=values[one.layer].dtype.name,
        )
        for one in listed
    )
    given = values.get(INPUT)
    if given is not None and not np.isfinite(given).all():
        bad = int(given.size - np.isfinite(given).sum())
        raise InputError(f"{path}: its input has {bad:,} of {given.size:,} values that are not finite")
    return Trace(
        network=manifest.network or path.name,
        ops=ops,
        values=values,
        final=ops[-1].layer,
        input_digest="" if given is None else digest(_narrowed(given)),
    )


def _narrowed(array: Array) -> Array:
    """A float64 array whose values all are float32's as float32: then it is the same input."""
    with np.errstate(over="ignore"):
        narrow = array.astype(np.float32)
    return narrow if np.array_equal(narrow, array) else array
