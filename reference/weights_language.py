"""The weights language: one short word or path that says which weights to load, the same everywhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from layerdiff.errors import InputError
from layerdiff.reference import download, synthetic
from layerdiff.reference.architectures import expected_tensors, weights_record
from layerdiff.reference.checks import checked_tensors
from layerdiff.reference.files import read_checkpoint
from layerdiff.reference.text_dump import read_text_dump
from layerdiff.reference.weights import Weights, make_weights

__all__ = ["LANGUAGE", "load_weights"]

LANGUAGE = (
    "imagenet1k_v1 or imagenet1k_v2: torchvision's own, from its cache or downloaded",
    "FILE.pth or FILE.pt: a state dict saved by torch",
    "FILE.safetensors: a state dict in safetensors",
    "txt:DIR: a text dump, one file a tensor",
    "synthetic or synthetic:SEED: made up, calibrated, the same on every machine",
    "auto: imagenet1k_v1, or synthetic:0 where it cannot be had",
)


def load_weights(spec: str, architecture: str, *, on_progress: Callable[[str], None] | None = None) -> Weights:
    """Loads the weights that `spec` names, checked against `architecture`.

    Args:
        spec: a sentence of the weights language (`LANGUAGE`).
        architecture: one of `ARCHITECTURES`.
        on_progress: told what a download is doing, a line at a time.

    Returns:
        The weights; `fallback` is set when `auto` could not have torchvision's.

    Raises:
        InputError: no such spec or architecture, a file that cannot be read, a wrong hash, no network, or tensors that
            do not fit: missing, extra, misshapen, of a wrong dtype, not finite, a variance below zero. All in one.
    """
    expected_tensors(architecture)
    if spec == "auto":
        return _auto(architecture, on_progress)
    if spec.lower() in ("imagenet1k_v1", "imagenet1k_v2"):
        return _published(spec, architecture, on_progress)
    if spec == "synthetic" or spec.startswith("synthetic:"):
        return _synthetic(spec, architecture)
    if spec.startswith("txt:"):
        return _text_dump(spec, architecture)
    if Path(spec).suffix in (".pth", ".pt", ".safetensors"):
        return _file(spec, architecture)

    raise InputError(
        f"weights: no such spec, got {spec!r}, expected one of {len(LANGUAGE)} forms",
        notes=LANGUAGE,
        help=f"for a text dump: txt:{spec}" if spec and Path(spec).is_dir() else None,
    )


def _auto(architecture: str, on_progress: Callable[[str], None] | None) -> Weights:
    try:
        return replace(_published("imagenet1k_v1", architecture, on_progress), spec="auto")
    except download.DownloadFailedError as failed:
        sentence = (
            f"Not torchvision's weights: {failed.file} could not be downloaded ({failed.reason}), "
            "so these are synthetic:0."
        )
    weights = _synthetic("synthetic:0", architecture)
    return replace(weights, spec="auto", notes=(sentence, *weights.notes), fallback=sentence)


def _published(spec: str, architecture: str, on_progress: Callable[[str], None] | None) -> Weights:
    record = weights_record(architecture, spec)
    path = download.fetch(record.url, on_progress=on_progress)
    found = read_checkpoint(path)
    state = checked_tensors(path.name, found.tensors, architecture)
    return make_weights(architecture, spec, f"torchvision {record} ({path.name})", state, found.notes)


def _file(spec: str, architecture: str) -> Weights:
    found = read_checkpoint(Path(spec).expanduser())
    state = checked_tensors(spec, found.tensors, architecture)
    return make_weights(architecture, spec, f"the file {spec}", state, found.notes)


def _text_dump(spec: str, architecture: str) -> Weights:
    directory = spec.removeprefix("txt:")
    dump = read_text_dump(Path(directory).expanduser(), architecture)
    state = checked_tensors(spec, dump.tensors, architecture, partial=True)
    weights = make_weights(architecture, spec, f"the text dump {directory}", state, dump.notes)
    if not weights.missing:
        return weights

    total = len(expected_tensors(architecture))
    lacking = f"The text dump lacks {len(weights.missing)} of {total} tensors."
    return replace(weights, notes=(*weights.notes, lacking))


def _synthetic(spec: str, architecture: str) -> Weights:
    word = spec.removeprefix("synthetic").removeprefix(":") if spec != "synthetic" else "0"
    if not (word.isascii() and word.isdigit()):
        raise InputError(f"weights: the seed is not a number, got {spec!r}, expected synthetic:SEED, as in synthetic:0")

    state = checked_tensors(spec, synthetic.synthetic_state(architecture, int(word)), architecture)
    return make_weights(architecture, spec, f"synthetic weights, seed {int(word)}", state)
