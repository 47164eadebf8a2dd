"""Planted faults of preprocessing: each made by operators written as people write them, alone and together."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data
from torch.nn import functional

from layerdiff.compare.preprocessing import Record, diagnose_input
from layerdiff.reference import preprocess_array

MEAN, STD = np.array([0.485, 0.456, 0.406], np.float32), np.array([0.229, 0.224, 0.225], np.float32)
SIDE, RESIZE = 64, 73
RECORD = Record(resize=RESIZE, crop=(SIDE, SIDE))


@pytest.fixture(scope="module")
def cat():
    """A real photo, (300, 451, 3) uint8."""
    return data.cat()


@pytest.fixture(scope="module")
def expected(cat):
    """The reference's input for it."""
    return preprocess_array(cat, resize=RESIZE, crop=(SIDE, SIDE))[None]


@dataclass(frozen=True)
class Plant:
    """A preprocessing, step by step; each step is right unless it is replaced.

    Attributes:
        codes: of what is wrong with it.
        read: from the picture to the picture that is used.
        resize: takes a picture and (h, w).
        geometry: takes a picture and `resize`, gives a picture.
        scale: from grey levels to what is normalised.
        normalise: the last step, channels last.
        swap: of the result, channels last.
    """

    codes: frozenset[str] = frozenset()
    read: Callable = field(default=lambda picture: picture)
    resize: Callable = field(default=lambda picture, size: bilinear(picture, size))  # noqa: PLW0108 - defined below
    geometry: Callable = field(default=lambda picture, resize: centre(resize(picture, shorter(picture, RESIZE))))
    scale: Callable = field(default=lambda picture: picture.astype(np.float32) / 255)
    normalise: Callable = field(default=lambda x: (x - MEAN) / STD)
    swap: Callable = field(default=lambda x: x)

    def __call__(self, picture):
        """The input, (1, 3, h, w) float32."""
        x = self.scale(self.geometry(self.read(picture), self.resize))
        return np.asarray(self.swap(self.normalise(x)), np.float32).transpose(2, 0, 1)[None]


def shorter(picture, length):
    """The size with this shorter side."""
    h, w = picture.shape[:2]
    return (int(length * h / w), length) if w <= h else (length, int(length * w / h))


def centre(picture, side=SIDE):
    """The square in the middle."""
    top, left = (round((size - side) / 2) for size in picture.shape[:2])
    return picture[top : top + side, left : left + side]


def pillow(filter_):
    """A filter of Pillow's."""
    return lambda picture, size: np.asarray(
        Image.fromarray(np.ascontiguousarray(picture)).resize((size[1], size[0]), filter_)
    )


bilinear = pillow(Image.Resampling.BILINEAR)


def tensor(*, rounded=False, **options):
    """A mode of torch's, on float tensors."""

    def resize(picture, size):
        x = torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)[None].float()
        y = functional.interpolate(x, size, **options)[0].permute(1, 2, 0).numpy()
        return np.rint(y.clip(0, 255)).astype(np.uint8) if rounded else y

    return resize


def middle_square(picture):
    """The largest square in the middle."""
    return centre(picture, min(picture.shape[:2]))


READ = {
    "B, G, R": ("I1", lambda picture: picture[..., ::-1]),
    "G, B, R": ("I1", lambda picture: picture[..., [1, 2, 0]]),
}
RESIZED = {
    "nearest": ("I4", pillow(Image.Resampling.NEAREST)),
    "bicubic": ("I4", pillow(Image.Resampling.BICUBIC)),
    "box": ("I4", pillow(Image.Resampling.BOX)),
    "Lanczos": ("I4", pillow(Image.Resampling.LANCZOS)),
    "no antialias": ("I4", tensor(mode="bilinear", align_corners=False)),
    "no antialias, rounded": ("I4", tensor(mode="bilinear", align_corners=False, rounded=True)),
    "float antialias": ("I4", tensor(mode="bilinear", align_corners=False, antialias=True)),
    "corner pixel": ("I4", tensor(mode="nearest")),
    "float bicubic": ("I4", tensor(mode="bicubic", align_corners=False)),
}
GEOMETRY = {
    "squash": ("I5", lambda picture, resize: resize(picture, (SIDE, SIDE))),
    "squash, crop": ("I5", lambda picture, resize: centre(resize(picture, (RESIZE, RESIZE)))),
    "shorter 66": ("I5", lambda picture, resize: centre(resize(picture, shorter(picture, 66)))),
    "shorter 64": ("I5", lambda picture, resize: centre(resize(picture, shorter(picture, SIDE)))),
    "shorter 92": ("I5", lambda picture, resize: centre(resize(picture, shorter(picture, 92)))),
    "square first": ("I5", lambda picture, resize: resize(middle_square(picture), (SIDE, SIDE))),
    "upper left": ("I5", lambda picture, resize: resize(picture, shorter(picture, RESIZE))[:SIDE, :SIDE]),
    "one off": ("I5", lambda picture, resize: resize(picture, shorter(picture, RESIZE))[5:69, 24:88]),
    "turned": ("I5", lambda picture, resize: centre(resize(picture, shorter(picture, RESIZE)))[:, ::-1]),
}
NO_RESIZE = {"no resize": ("I5", lambda picture, resize: centre(picture))}
SCALE = {
    "no / 255": ("I3", lambda picture: picture.astype(np.float32)),
    "/ 255 twice": ("I3", lambda picture: picture.astype(np.float32) / 255 / 255),
}
NORMALISE = {
    "none": ("I2", lambda x: x),
    "0.5": ("I2", lambda x: (x - np.float32(0.5)) / np.float32(0.5)),
    "std twice": ("I2", lambda x: (x - MEAN) / STD / STD),
    "no std": ("I2", lambda x: x - MEAN),
    "mean B, G, R": ("I2", lambda x: (x - MEAN[::-1]) / STD),
    "CIFAR": ("I2", lambda x: (x - np.float32([0.4914, 0.4822, 0.4465])) / np.float32([0.2023, 0.1994, 0.201])),
    "one for all": ("I2", lambda x: (x - np.float32(0.449)) / np.float32(0.226)),
}
BEFORE_SCALE = {"mean before / 255": ("I2", lambda picture: (picture.astype(np.float32) - MEAN) / 255)}
WRAPPED = {
    "uint8 mean": ("I6", lambda picture: (picture - np.array([124, 116, 104], np.uint8)).astype(np.float32) / 255),
    "brighter by 100": ("I6", lambda picture: (picture + np.uint8(100)).astype(np.float32) / 255),
}
STEPS = {"read": READ, "resize": RESIZED, "geometry": GEOMETRY, "scale": SCALE, "normalise": NORMALISE}


def plants():
    """Every fault alone, and of every two steps some pairs, spread over all of their faults."""
    for step, faults in STEPS.items():
        for name, (code, function) in faults.items():
            yield name, Plant(frozenset({code}), **{step: function})
    yield "no resize", Plant(frozenset({"I5"}), geometry=NO_RESIZE["no resize"][1])
    mean_before = BEFORE_SCALE["mean before / 255"][1]
    yield "mean before / 255", Plant(frozenset({"I2"}), scale=mean_before, normalise=lambda x: x / STD)
    yield "swapped at the end", Plant(frozenset({"I1"}), swap=lambda x: x[..., ::-1])
    for name, (code, function) in WRAPPED.items():
        normalise = (lambda x: x / STD) if "mean" in name else Plant().normalise
        yield name, Plant(frozenset({code}), scale=function, normalise=normalise)
        yield (
            f"B, G, R; {name}",
            Plant(frozenset({code, "I1"}), READ["B, G, R"][1], scale=function, normalise=normalise),
        )
    for (one, first), (two, second) in itertools.combinations(STEPS.items(), 2):
        for i in range(min(6, max(len(first), len(second)))):
            a, b = list(first.items())[i % len(first)], list(second.items())[(i * 2 + 1) % len(second)]
            yield f"{a[0]}; {b[0]}", Plant(frozenset({a[1][0], b[1][0]}), **{one: a[1][1], two: b[1][1]})
    yield (
        "OpenCV's way: B, G, R; squashed without antialiasing; 0.5",
        Plant(
            frozenset({"I1", "I2", "I4", "I5"}),
            READ["B, G, R"][1],
            RESIZED["no antialias, rounded"][1],
            GEOMETRY["squash"][1],
            normalise=NORMALISE["0.5"][1],
        ),
    )


PLANTS = dict(plants())


def test_there_are_enough():
    """At least sixty are planted, of each of the groups I1 to I6."""
    assert len(PLANTS) >= 60
    assert frozenset[str]().union(*(plant.codes for plant in PLANTS.values())) == {"I1", "I2", "I3", "I4", "I5", "I6"}


@pytest.mark.parametrize("name", PLANTS)
def test_exactly_the_planted_causes_are_confirmed(name, cat, expected):
    """All planted causes are confirmed within the allowance, and no other; a constant that wraps is a mean too."""
    plant = PLANTS[name]
    findings = diagnose_input(expected, plant(cat), cat, RECORD)

    codes = {finding.code for finding in findings if finding.confirmed}
    assert codes - ({"I2"} if "I6" in plant.codes else set()) == plant.codes
    assert all(finding.after is not None and finding.after <= 1 for finding in findings)
    assert all(finding.layers == ("input",) and finding.change for finding in findings)


def test_the_operators_are_right_where_nothing_is_planted(cat, expected):
    """Without a fault the operators give the reference's input, and nothing is found."""
    assert diagnose_input(expected, Plant()(cat), cat, RECORD) == ()
