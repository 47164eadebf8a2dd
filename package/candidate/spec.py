"""The small language by which a network is named on the command line."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from pathlib import PurePath
from typing import Literal

from layerdiff.candidate.expression import parse_call
from layerdiff.errors import InputError

__all__ = ["Kind", "Spec", "parse_spec"]

Kind = Literal["own", "torchvision", "file", "module", "onnx", "trace"]

_OWN = ("torch", "numpy", "fused", "kept")

_FORMS = (
    "torch, numpy, kept or fused: the handwritten networks",
    "torchvision:NAME",
    "FILE.py or FILE.py:CALL, where CALL is a name such as build, or a call such as ResNet(depth=50)",
    "package.module:CALL",
    "FILE.onnx",
    "FILE.safetensors, FILE.npz or FOLDER/: a saved trace",
)

_ELSEWHERE = {
    (".pth", ".pt", ".ckpt", ".bin", ".h5"): "weights alone are no network: give its code, such as net.py:build, and "
    "the weights by --weights",
    (".ipynb",): "save the notebook's code as a .py file and give that",
    (".keras", ".pb", ".tflite", ".mlmodel"): "export it to ONNX, or save a trace of it",
    (".npy",): "a trace is a folder of .npy files: give the folder, with a / at its end",
}


@dataclass(frozen=True)
class Spec:
    """A network, named.

    Attributes:
        text: the words it was named by.
        kind: `own` (a handwritten one of ours), `torchvision`, `file` (a Python file), `module` (one that is
            imported), `onnx`, or `trace` (a saved one, in a file or a folder).
        target: the word, torchvision's name, the path as given, or the dotted name of the module.
        call: what is called or taken there, as text; None where it is to be found.
    """

    text: str
    kind: Kind
    target: str
    call: str | None = None


def parse_spec(text: str, *, option: str = "network") -> Spec:
    """The network that `text` names; no file is looked at.

    A path may hold colons, spaces and parentheses: it ends at the first `.py:` behind which a name or a call stands.

    Args:
        text: `torch`, `numpy`, `kept`, `fused`, `torchvision:NAME`, `FILE.py[:CALL]`, `package.module:CALL`,
            `FILE.onnx`, `FILE.safetensors`, `FILE.npz` or `FOLDER/`.
        option: where it was given, for errors.

    Raises:
        InputError: it is none of these, or its call holds more than names, literals and calls.
    """
    if text in _OWN:
        return Spec(text, "own", text)
    source, _, name = text.partition(":")
    if source == "torchvision":
        if not name.isidentifier():
            raise InputError(
                f"{option}: not a name of torchvision's, got {text!r}, expected one such as torchvision:resnet50"
            )
        return Spec(text, "torchvision", name)
    return _file(text) or _data(text) or _module(text, option) or _refuse(text, option)


def _file(text: str) -> Spec | None:
    for path, call in _splits(text):
        if _is_call(call):
            return Spec(text, "file", path, call.strip())
    return Spec(text, "file", text) if re.search(r"[^/]\.py$", text) else None


def _splits(text: str) -> list[tuple[str, str]]:
    return [(text[: match.end() - 1], text[match.end() :]) for match in re.finditer(r"(?<=[^/])\.py:", text)]


def _module(text: str, option: str) -> Spec | None:
    source, colon, call = text.partition(":")
    if not colon or not all(part.isidentifier() for part in source.split(".")):
        return None
    parse_call(call, f"{option}: {source}")
    return Spec(text, "module", source, call.strip())


def _data(text: str) -> Spec | None:
    if text.endswith("/"):
        return Spec(text, "trace", text)
    suffix = PurePath(text).suffix.lower()
    if suffix == ".onnx":
        return Spec(text, "onnx", text)
    if suffix in {".safetensors", ".npz"}:
        return Spec(text, "trace", text)
    return None


def _refuse(text: str, option: str) -> Spec:
    for path, call in _splits(text)[:1]:
        # Says what is wrong with it.
        parse_call(call, f"{option}: {path}")
    suffix = PurePath(text).suffix.lower()
    fitting = [advice for suffixes, advice in _ELSEWHERE.items() if suffix in suffixes]
    near = difflib.get_close_matches(text, _OWN, n=1)
    raise InputError(
        f"{option}: not a network, got {text!r}, expected one of the forms below",
        notes=_FORMS,
        help=fitting[0] if fitting else f"did you mean {near[0]}?" if near else None,
    )


def _is_call(text: str) -> bool:
    try:
        parse_call(text, "")
    except InputError:
        return False
    return True
