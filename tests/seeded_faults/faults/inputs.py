"""Group I: the network is right, and what it is given or gives is not."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F

from .edits import Edit
from .model import Fault, Truth, exactly

__all__ = ["INPUTS"]

Array = np.ndarray[Any, Any]
Prepare = Callable[[Image.Image], Array]

MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
SIDE, SHORTER = 64, 73


def shorter(image: Image.Image, length: int = SHORTER) -> tuple[int, int]:
    """Width and height with this shorter side."""
    w, h = image.size
    return (length, int(length * h / w)) if w <= h else (int(length * w / h), length)


def resized(image: Image.Image, length: int = SHORTER, by: Image.Resampling = Image.Resampling.BILINEAR) -> Image.Image:
    """The picture with this shorter side."""
    return image.resize(shorter(image, length), by)


def middle(image: Image.Image) -> Image.Image:
    """The square in the middle."""
    left, top = (round((length - SIDE) / 2) for length in image.size)
    return image.crop((left, top, left + SIDE, top + SIDE))


def normalised(pixels: Any, *, mean: Any = MEAN, std: Any = STD, by: float = 255) -> Array:
    """The input, (1, 3, h, w) float32."""
    x = (np.asarray(pixels, np.float64) / by - mean) / std
    return np.ascontiguousarray(x.transpose(2, 0, 1)[None], dtype=np.float32)


def right(image: Image.Image) -> Array:
    """As the reference does it."""
    return normalised(middle(resized(image)))


def blue_green_red(image: Image.Image) -> Array:
    """OpenCV's order."""
    return normalised(np.asarray(middle(resized(image)))[..., ::-1])


def as_tensor_resized(image: Image.Image) -> Array:
    """Torch's interpolation, which has no antialiasing."""
    w, h = shorter(image)
    x = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float()
    y = F.interpolate(x, (h, w), mode="bilinear", align_corners=False)[0].permute(1, 2, 0).numpy()
    top, left = round((h - SIDE) / 2), round((w - SIDE) / 2)
    return normalised(y[top : top + SIDE, left : left + SIDE])


def wrapped(image: Image.Image) -> Array:
    """The mean is taken away in eight bits."""
    pixels = np.asarray(middle(resized(image)))
    return normalised(pixels - np.array([124, 116, 104], np.uint8), mean=0)


def brightened(image: Image.Image) -> Array:
    """Brighter by 100 levels, in eight bits."""
    return normalised(np.asarray(middle(resized(image))) + np.uint8(100))


def decoded(quality: int) -> Prepare:
    """Through a JPEG of high quality, whose rounding is another one in each block."""

    def prepare(image: Image.Image) -> Array:
        stream = io.BytesIO()
        image.save(stream, "jpeg", quality=quality, subsampling=0)
        return right(Image.open(stream).convert("RGB"))

    return prepare


def fault(code: str, name: str, title: str, prepare: Prepare, **more: Any) -> Fault:
    return Fault(code, name, title, lambda edit, place: None, lambda host: ["input"], lambda host, place: exactly(place),
                 prepare=prepare, **{"count": 2, **more})  # fmt: skip


WRAPS = {"also": ("I2",), "why_causes": "a constant that is taken away in eight bits is another mean too"}

PREPARATIONS: tuple[Fault, ...] = (
    fault("I1", "blue-green-red", "red and blue are swapped", blue_green_red, count=3),
    fault("I2", "one-half", "mean and deviation are 0.5", lambda image: normalised(middle(resized(image)), mean=0.5, std=0.5)),
    fault("I2", "mean-reversed", "the mean is that of B, G, R",
          lambda image: normalised(middle(resized(image)), mean=MEAN[::-1])),
    fault("I2", "not-normalised", "neither mean nor deviation",
          lambda image: normalised(middle(resized(image)), mean=0, std=1)),
    fault("I3", "not-divided", "not divided by 255", lambda image: normalised(middle(resized(image)), by=1)),
    fault("I3", "divided-twice", "divided by 255 twice", lambda image: normalised(middle(resized(image)), by=255 * 255)),
    fault("I4", "nearest", "the nearest pixel", lambda image: normalised(middle(resized(image, by=Image.Resampling.NEAREST)))),
    fault("I4", "bicubic", "a bicubic filter", lambda image: normalised(middle(resized(image, by=Image.Resampling.BICUBIC)))),
    fault("I4", "no-antialias", "resized as a tensor, without antialiasing", as_tensor_resized),
    fault("I5", "squashed", "squashed to a square", lambda image: normalised(image.resize((SIDE, SIDE), Image.Resampling.BILINEAR))),
    fault("I5", "shorter-66", "the shorter side is that of the other weights", lambda image: normalised(middle(resized(image, 66)))),
    fault("I5", "upper-left", "the upper left corner is cut out",
          lambda image: normalised(resized(image).crop((0, 0, SIDE, SIDE)))),
    fault("I6", "mean-in-bytes", "the mean is taken away in eight bits", wrapped, **WRAPS),
    fault("I6", "brighter", "a hundred levels brighter, in eight bits", brightened, **WRAPS),
    fault("I7", "decoded-otherwise", "decoded otherwise: each pixel is rounded elsewhere", decoded(97)),
)  # fmt: skip


def permuted_head(edit: Edit, order: Any) -> None:
    fc: nn.Linear = copy.deepcopy(edit.like("fc"))
    index = order(fc.out_features)
    fc.weight.data, fc.bias.data = fc.weight.data[index].clone(), fc.bias.data[index].clone()
    edit.put("fc", fc)


def shifted(count: int) -> list[int]:
    return [(i - 1) % count for i in range(count)]


def shuffled(count: int) -> list[int]:
    return [int(i) for i in np.random.default_rng(3).permutation(count)]


def alphabetical(count: int) -> list[int]:
    """Class folders in the order of their names as text: 0, 1, 10, 100, ..."""
    return sorted(range(count), key=str)


LABELS: tuple[Fault, ...] = tuple(
    Fault("I8", name, title, lambda e, layer, order=order: permuted_head(e, order), lambda host: ["fc"],
          lambda host, place: (Truth(frozenset({"fc"})),), keep=True, count=2)
    for name, title, order in (
        ("shifted-by-one", "the classes are counted from one", shifted),
        ("alphabetical", "the classes are in the order of their numbers as text", alphabetical),
        ("shuffled", "the classes are in some other order", shuffled),
    )
)  # fmt: skip

INPUTS: tuple[Fault, ...] = (*PREPARATIONS, *LABELS)
