"""Ways to resize a picture, as libraries do it: most are run, the others written down here.

Each gives grey levels and says how far another right implementation of the same may be from them. Where whole levels
come out, that is nothing, except where the exact value lies so near to a half that rounding may go either way. Where
levels stay real numbers, a float32 implementation puts each sample off by at most 4u(h + w) pixels (its coordinate
and its weight), and neighbours differ by at most 255 levels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from PIL import Image
from torch.nn import functional

from layerdiff.compare.preprocessing.allowance import UNIT
from layerdiff.compare.preprocessing.prediction import Fault
from layerdiff.compare.trace import Array

__all__ = ["KERNELS", "REFERENCE", "Kernel", "Levels"]

_CHANGE = "resize with Pillow's bilinear filter, on the uint8 picture, before anything else"

Size = tuple[int, int]


@dataclass(frozen=True)
class Levels:
    """Grey levels (h, w, 3) float64, by how much others may differ, and whether they are whole numbers."""

    levels: Array = field(repr=False)
    slack: Array = field(repr=False)
    whole: bool


@dataclass(frozen=True)
class Kernel:
    """A way to resize: `run` takes a picture (h0, w0, 3) uint8 and (h, w)."""

    name: str
    run: Callable[[Array, Size], Levels] = field(repr=False)
    fault: Fault | None = None


def _whole(levels: Array) -> Levels:
    return Levels(levels.astype(np.float64), np.zeros(1), True)


def _pillow(filter_: Image.Resampling) -> Callable[[Array, Size], Levels]:
    def run(picture: Array, size: Size) -> Levels:
        image = Image.fromarray(np.ascontiguousarray(picture))
        return _whole(np.asarray(image.resize((size[1], size[0]), filter_)))

    return run


def _torch(dtype: torch.dtype, **options: object) -> Callable[[Array, Size], Array]:
    def run(picture: Array, size: Size) -> Array:
        x = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].to(dtype)
        y = functional.interpolate(x, size, **options)  # type: ignore[arg-type]
        found: Array = y[0].permute(1, 2, 0).numpy()
        return found

    return run


def _area(picture: Array, size: Size) -> Array:
    """The mean over the area that each result covers, as OpenCV's INTER_AREA."""
    found = picture.astype(np.float64)
    for axis, want in enumerate(size):
        have = found.shape[axis]
        total = np.concatenate([np.zeros_like(found.take([0], axis)), found.cumsum(axis)], axis)
        edge = np.arange(want + 1) * (have / want)
        below = np.minimum(edge.astype(int), have - 1)
        part = np.expand_dims(edge - below, [i for i in range(3) if i != axis])
        integral = total.take(below, axis) * (1 - part) + total.take(below + 1, axis) * part
        found = np.diff(integral, axis=axis) * (want / have)
    return found


def _asymmetric(picture: Array, size: Size) -> Array:
    """Bilinear between the corners i·scale, as TensorFlow 1 did it by default."""
    found = picture.astype(np.float64)
    for axis, want in enumerate(size):
        have = found.shape[axis]
        at = np.minimum(np.arange(want) * (have / want), have - 1)
        below = np.minimum(at.astype(int), max(have - 2, 0))
        part = np.expand_dims(at - below, [i for i in range(3) if i != axis])
        above = np.minimum(below + 1, have - 1)
        found = found.take(below, axis) * (1 - part) + found.take(above, axis) * part
    return found


def _corner(picture: Array, size: Size) -> Levels:
    """The pixel at floor(i·scale), as OpenCV's INTER_NEAREST, which takes the scale as 1/(want/have)."""
    rows, columns = (
        np.minimum((np.arange(want) * (1 / (want / have))).astype(int), have - 1)
        for have, want in zip(picture.shape, size, strict=False)
    )
    return _whole(picture[rows][:, columns])


def _opencv_linear(picture: Array, size: Size) -> Levels:
    """OpenCV's INTER_LINEAR of bytes: weights in units of 2^-11, shifted right in two steps on the way back.

    Source: OpenCV, modules/imgproc/src/resize.cpp, `VResizeLinear`.
    """
    found = picture.astype(np.int64)
    columns, rows = _opencv_taps(picture.shape[1], size[1]), _opencv_taps(picture.shape[0], size[0])
    below, above, left, right = columns
    found = found[:, below] * left[:, None] + found[:, above] * right[:, None]
    below, above, upper, lower = rows
    first = (upper[:, None, None] * (found[below] >> 4)) >> 16
    second = (lower[:, None, None] * (found[above] >> 4)) >> 16
    return _whole(((first + second + 2) >> 2).clip(0, 255))


def _opencv_taps(have: int, want: int) -> tuple[Array, Array, Array, Array]:
    at = ((np.arange(want) + 0.5) * (have / want) - 0.5).astype(np.float32)
    below = np.floor(at).astype(int)
    part = np.where((below < 0) | (below >= have - 1), np.float32(0), at - below.astype(np.float32))
    below = below.clip(0, have - 1)
    weights = [np.rint(share * np.float32(2048)).astype(np.int64) for share in (1 - part, part)]
    return below, np.minimum(below + 1, have - 1), weights[0], weights[1]


def _skimage(picture: Array, size: Size) -> Array:
    from skimage.transform import resize

    found: Array = resize(  # type: ignore[no-untyped-call]
        picture.astype(np.float64), (*size, 3), order=1, anti_aliasing=True, preserve_range=True
    )
    return found


_REAL: tuple[tuple[str, Callable[[Array, Size], Array]], ...] = (
    (
        "bilinear with antialiasing, in floating point",
        _torch(torch.float64, mode="bilinear", antialias=True, align_corners=False),
    ),
    (
        "bilinear without antialiasing (half-pixel centres: torch, TensorFlow 2, OpenCV)",
        _torch(torch.float64, mode="bilinear", align_corners=False),
    ),
    (
        "bicubic without antialiasing (torch, OpenCV)",
        _torch(torch.float64, mode="bicubic", align_corners=False),
    ),
    (
        "bicubic with antialiasing, in floating point",
        _torch(torch.float64, mode="bicubic", antialias=True, align_corners=False),
    ),
    ("the mean over areas (OpenCV's INTER_AREA)", _area),
    ("bilinear without antialiasing, corners at i·scale (TensorFlow 1)", _asymmetric),
    ("bilinear without antialiasing, corners aligned", _torch(torch.float64, mode="bilinear", align_corners=True)),
    ("bilinear behind a Gaussian (scikit-image)", _skimage),
)


def _slack(picture: Array) -> float:
    h, w = picture.shape[:2]
    return float(255 * 4 * UNIT * (h + w))


def _left(function: Callable[[Array, Size], Array]) -> Callable[[Array, Size], Levels]:
    return lambda picture, size: Levels(function(picture, size), np.array([_slack(picture)]), False)


def _rounded(function: Callable[[Array, Size], Array]) -> Callable[[Array, Size], Levels]:
    return lambda picture, size: _to_whole(function(picture, size) + 0.5, _slack(picture))


def _truncated(function: Callable[[Array, Size], Array]) -> Callable[[Array, Size], Levels]:
    return lambda picture, size: _to_whole(function(picture, size), _slack(picture))


def _to_whole(levels: Array, slack: float) -> Levels:
    unsure = np.abs(levels - np.rint(levels)) <= slack
    return Levels(np.floor(levels).clip(0, 255), unsure.astype(np.float64), True)


def _otherwise(name: str, run: Callable[[Array, Size], Levels]) -> Kernel:
    title = f"the picture is resized otherwise: {name}; expected bilinear with antialiasing (Pillow)"
    return Kernel(name, run, Fault("I4", title, _CHANGE))


def _kernels() -> Iterator[Kernel]:
    named = {
        Image.Resampling.NEAREST: "nearest (Pillow)",
        Image.Resampling.BICUBIC: "bicubic (Pillow)",
        Image.Resampling.LANCZOS: "Lanczos (Pillow)",
        Image.Resampling.BOX: "box (Pillow)",
        Image.Resampling.HAMMING: "Hamming (Pillow)",
    }
    for filter_, name in named.items():
        yield _otherwise(name, _pillow(filter_))
    yield _otherwise("bilinear without antialiasing, of bytes (OpenCV's INTER_LINEAR)", _opencv_linear)
    yield _otherwise("nearest, at floor(i·scale) (OpenCV)", _corner)
    nearest = _torch(torch.uint8, mode="nearest")
    yield _otherwise("nearest, at floor(i·scale) (torch)", lambda picture, size: _whole(nearest(picture, size)))
    for mode in ("bilinear", "bicubic"):
        run = _torch(torch.uint8, mode=mode, antialias=True, align_corners=False)
        name = f"{mode} with antialiasing, of a uint8 tensor (torch)"
        yield _otherwise(name, lambda picture, size, run=run: _whole(run(picture, size)))  # type: ignore[misc]
    for name, function in _REAL:
        yield _otherwise(name, _left(function))
        yield _otherwise(f"{name}, rounded", _rounded(function))
        yield _otherwise(f"{name}, cut off to whole levels", _truncated(function))


REFERENCE = Kernel("bilinear (Pillow)", _pillow(Image.Resampling.BILINEAR))
"""The reference's own."""

KERNELS = tuple(_kernels())
"""All others, what is seen most often first."""
