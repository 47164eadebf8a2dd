"""From the words of the command line to networks, weights and inputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from layerdiff.errors import InputError

if TYPE_CHECKING:
    from layerdiff.compare.modes import Mode
    from layerdiff.compare.preprocessing import Record
    from layerdiff.compare.trace import Trace
    from layerdiff.handwritten.numpy_ops import Grade
    from layerdiff.reference import Picture, Weights

__all__ = ["LARGEST", "SMALLEST", "Subject", "capture_expected", "handwritten_network", "load_subject"]

SMALLEST = 33
"""Pixels a side: below it the last stage's map is one pixel, and eight of nine weights of its kernels meet padding."""

LARGEST = 4096
"""Pixels a side: beyond it one activation takes gigabytes."""


@dataclass(frozen=True)
class Subject:
    """What a run is about: the architecture, its weights, the pictures and the input made of them."""

    architecture: str
    weights: Weights
    pictures: tuple[Picture, ...]
    x: NDArray[np.float32] = field(repr=False)

    @property
    def record(self) -> Record:
        """How the input was made of the pictures."""
        from layerdiff.compare.preprocessing import Record
        from layerdiff.reference import weights_record

        made = weights_record(self.architecture, _version(self.weights)).transforms()
        h, w = self.x.shape[2:]
        resize = max(h, w) * made.resize_size[0] // made.crop_size[0]
        return Record(tuple(made.mean), tuple(made.std), resize, (h, w))

    @property
    def notes(self) -> tuple[str, ...]:
        """What must be said first: a fallback, then what was done to weights and pictures on the way in."""
        fallback = (self.weights.fallback,) if self.weights.fallback else ()
        pictures = tuple(f"{picture.name}: {note}" for picture in self.pictures for note in picture.notes)
        return tuple(dict.fromkeys((*fallback, *self.weights.notes, *pictures)))


def load_subject(
    expected: str, weights: str, images: Sequence[Path], size: tuple[int, int] | None, batch: int | None
) -> Subject:
    """Load weights and pictures and preprocess them.

    Raises:
        InputError: any of them cannot be used, or the size is too small for the network.
    """
    from layerdiff.reference import load_image, load_weights, preprocess

    architecture = _architecture(expected)
    if size is not None and min(size) < SMALLEST:
        raise InputError(
            f"size: too small for {architecture}, got {size[0]}x{size[1]}, expected at least {SMALLEST}x{SMALLEST}",
            notes=["below that the last stage's map is one pixel, and most weights of its kernels meet only padding"],
        )
    if size is not None and max(size) > LARGEST:
        raise InputError(f"size: too large, got {size[0]}x{size[1]}, expected at most {LARGEST} pixels a side")
    pictures = tuple(load_image(path) for path in (images or (None,)))
    loaded = load_weights(weights, architecture)
    x = preprocess(pictures, architecture=architecture, version=_version(loaded), size=size, batch=batch)
    return Subject(architecture, loaded, pictures, x)


def capture_expected(subject: Subject, *, until: str | None, keep: bool = False, mode: Mode = "eval") -> Trace:
    """The trace of torchvision's network with the subject's weights.

    Raises:
        InputError: part of what is to be judged lacks weights.
    """
    from layerdiff.compare.capture import capture
    from layerdiff.compare.modes import in_mode
    from layerdiff.reference import covered_prefix, torchvision_model

    weights = subject.weights
    prefix = covered_prefix(weights) if weights.missing else None
    help_ = f"--until {prefix} judges what they cover" if prefix else None
    if weights.missing and until is None:
        raise InputError(
            f"weights: {len(weights.missing)} tensors are lacking in {weights.source}, expected none to be",
            help=help_,
        )
    name = f"torchvision {subject.architecture}, weights {weights.source}, {describe_input(subject)}"
    network = torchvision_model(subject.architecture, weights)
    with in_mode(network, mode):
        trace = capture(network, subject.x, name=name, until=until, keep=keep)
    lacking = [op.layer for op in trace.ops if any(np.isnan(array).any() for array in op.parameters.values())]
    if lacking:
        raise InputError(
            f"weights: {len(lacking)} layers up to {until} lack theirs in {weights.source}, the first {lacking[0]}",
            help=help_,
        )
    return trace


def handwritten_network(kind: str, subject: Subject, *, grade: Grade = "gemm") -> tuple[Any, str]:
    """The handwritten network of one kind with the subject's weights, and what it is in words."""
    if kind == "torch":
        import torch

        from layerdiff.handwritten import torch_resnet
        from layerdiff.reference import state_dict

        # It takes the tensors of the state dict for its own, and draws none that they would replace.
        with torch.device("meta"):
            network = torch_resnet.build(subject.architecture)
        network.load_state_dict(state_dict(subject.weights), strict=True, assign=True)
        return network.eval().requires_grad_(False), f"handwritten torch {subject.architecture}"
    from layerdiff.handwritten import numpy_resnet
    from layerdiff.handwritten.configurations import configuration
    from layerdiff.reference import expected_tensors

    # Not `build`, which draws what is loaded a line below.
    twin = numpy_resnet.ResNet(configuration(subject.architecture), grade=grade)
    shapes = expected_tensors(subject.architecture)
    lacking = {name: np.zeros(shapes[name], dtype=np.float32) for name in subject.weights.missing}
    twin.load_state_dict({**subject.weights.state, **lacking})
    layers = dict(twin.named_layers())
    for name in lacking:
        # What a partial dump lacks must show wherever it is used.
        path, _, tensor = name.rpartition(".")
        layers[path].arrays[tensor] = np.full(shapes[name], np.nan, dtype=np.float32)
    return twin, f"handwritten NumPy {subject.architecture}" + (f", {grade}" if grade != "gemm" else "")


def describe_input(subject: Subject) -> str:
    """The pictures and the input's shape, in words."""
    names = ", ".join(picture.name for picture in subject.pictures)
    return f"image {names} {tuple(subject.x.shape)}"


def _architecture(expected: str) -> str:
    from layerdiff.reference import ARCHITECTURES

    source, _, name = expected.partition(":")
    if source != "torchvision" or name not in ARCHITECTURES:
        raise InputError(
            f"expected: no such reference, got {expected!r}, expected torchvision:NAME",
            help="NAME is one of " + ", ".join(ARCHITECTURES),
        )
    return name


def _version(weights: Weights) -> str:
    return "imagenet1k_v2" if weights.spec.lower() == "imagenet1k_v2" else "imagenet1k_v1"
