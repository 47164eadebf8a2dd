"""Hands drawn by a program, showing nought to five fingers: what stands in for photos where there are none."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from layerdiff.errors import InputError
from layerdiff.reference.datasets.dataset import Dataset

__all__ = ["draw_hands"]

Colour = tuple[int, int, int]

_CLASSES = tuple("012345")
_SCALE = 4  # drawn so many times larger, then scaled down, for smooth edges

# Index, middle, ring and little finger, thumb: the angle from upright in degrees, and the length, palm radius 1.
_FINGERS = ((-18, 1.3), (2, 1.45), (21, 1.3), (42, 1.05), (-62, 1.1))


def draw_hands(count: int = 1200, *, side: int = 64, seed: int = 0) -> Dataset:
    """Draws hands as RGB images, (count, 3, side, side) from 0 to 1: no photos.

    The hand of class k stretches the first k of index, middle, ring and little finger and thumb. Place, size, turn,
    the fingers' angles and lengths, colours, light and noise are drawn at random.

    Args:
        count: images; the classes take turns.
        side: rows and columns, from 8 up.
        seed: the same seed gives the same hands.

    Raises:
        InputError: a count below 6, a side below 8, or a seed below 0.
    """
    if count < len(_CLASSES) or side < 8 or seed < 0:
        raise InputError(
            f"draw_hands: unusable sizes, got count {count}, side {side}, seed {seed}, "
            "expected a count from 6 up, a side from 8 up and a seed from 0 up"
        )
    labels = np.arange(count, dtype=np.int64) % len(_CLASSES)
    images = np.stack([_hand(int(label), side, np.random.default_rng([seed, i])) for i, label in enumerate(labels)])
    return Dataset(images, labels, _CLASSES, f"drawn hands, no photos ({count} of {side}x{side}, seed {seed})")


def _hand(fingers: int, side: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """One hand, float32 (3, side, side)."""
    large = side * _SCALE
    paper, skin = _colours(rng)
    image = Image.new("RGB", (large, large), paper)
    _draw_hand(ImageDraw.Draw(image), fingers, large, skin, rng)
    scaled = np.asarray(image.resize((side, side), Image.Resampling.BOX)).transpose(2, 0, 1) / np.float32(255)
    light = np.linspace(rng.uniform(-0.15, 0.15), rng.uniform(-0.15, 0.15), side, dtype=np.float32)
    noise = rng.standard_normal(scaled.shape, dtype=np.float32) * np.float32(0.03)
    shown: NDArray[np.float32] = np.clip(scaled + light + noise, 0, 1)
    return shown


def _draw_hand(draw: ImageDraw.ImageDraw, fingers: int, side: int, skin: Colour, rng: np.random.Generator) -> None:
    radius = side * rng.uniform(0.16, 0.21)  # of the palm
    x, y = side * rng.uniform(0.42, 0.58), side * rng.uniform(0.58, 0.68)
    turn = rng.uniform(-20, 20)
    _stroke(draw, (x, y), (x - radius * math.sin(math.radians(turn)), side * 1.3), 1.3 * radius, skin)  # the arm
    for angle, length in _FINGERS[:fingers]:
        bent = math.radians(angle + turn + rng.uniform(-4, 4))
        reach = radius * (1 + length * rng.uniform(0.85, 1.1))
        _stroke(draw, (x, y), (x + reach * math.sin(bent), y - reach * math.cos(bent)), 0.36 * radius, skin)
    _disc(draw, (x, y), radius, skin)


def _colours(rng: np.random.Generator) -> tuple[Colour, Colour]:
    """Of paper and skin: one dark, one pale."""
    dark, pale = (_tinted(rng.uniform(low, high), rng) for low, high in ((20, 90), (175, 235)))
    return (dark, pale) if rng.random() < 0.5 else (pale, dark)


def _tinted(grey: float, rng: np.random.Generator) -> Colour:
    red, green, blue = (int(grey + tint) for tint in rng.uniform(-20, 20, 3))
    return red, green, blue


def _stroke(
    draw: ImageDraw.ImageDraw,
    start: tuple[float, float],
    end: tuple[float, float],
    width: float,
    colour: Colour,
) -> None:
    draw.line((*start, *end), fill=colour, width=round(width))
    _disc(draw, end, width / 2, colour)


def _disc(draw: ImageDraw.ImageDraw, centre: tuple[float, float], radius: float, colour: Colour) -> None:
    x, y = centre
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)
