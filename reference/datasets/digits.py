"""Handwritten digits, 32x32: MNIST from its files, or scikit-learn's, which need no network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from layerdiff.errors import InputError
from layerdiff.reference.datasets.dataset import Dataset
from layerdiff.reference.datasets.idx_files import read_idx

__all__ = ["load_digits"]

_CLASSES = tuple("0123456789")
_SIDE = 32
_PARTS = ("train", "t10k")


def load_digits(path: str | Path | None = None) -> Dataset:
    """Reads digits as grey images, (n, 1, 32, 32), with ink 1 on paper 0.

    MNIST's 28x28 get two rows and columns of paper on each side; their values are divided by 255. Of a folder that
    holds both of MNIST's parts all images are taken, `train` before `t10k`.

    Without a path: the 1,797 digits of 8x8 that scikit-learn brings along (half of the UCI set "Optical Recognition of
    Handwritten Digits"). Their values, 0 to 16, are divided by 16, and they are scaled to 32x32 by Pillow's bilinear
    filter in float32, which stays between 0 and 1.

    Args:
        path: a folder with MNIST's files under their own names, each with or without `.gz`; None for scikit-learn's.

    Raises:
        InputError: no such folder, a missing file, one that is damaged, cut short or of another kind, images that are
            not 28x28, labels other than 0 to 9, or images and labels of different number; without a path, that
            scikit-learn is not installed.

    Source:
        http://yann.lecun.com/exdb/mnist; sklearn.datasets.load_digits.
    """
    return _embedded() if path is None else _mnist(Path(path))


def _embedded() -> Dataset:
    try:
        from sklearn import datasets
    except ImportError as error:
        raise InputError(
            "load_digits: scikit-learn is not there, got an ImportError, expected it to be installed",
            help='pip install "layerdiff[learn]", or give a folder with MNIST\'s files',
        ) from error

    found = datasets.load_digits()
    small = (found.images / 16).astype(np.float32)
    images = np.stack([_scaled(image) for image in small])[:, None]
    source = f"scikit-learn's digits ({len(images)} of 8x8, scaled to {_SIDE}x{_SIDE} bilinearly)"
    return Dataset(images, found.target.astype(np.int64), _CLASSES, source)


def _scaled(image: NDArray[np.float32]) -> NDArray[np.float32]:
    scaled: NDArray[np.float32] = np.asarray(Image.fromarray(image).resize((_SIDE, _SIDE), Image.Resampling.BILINEAR))
    return scaled


def _mnist(folder: Path) -> Dataset:
    if not folder.is_dir():
        found = "a file" if folder.is_file() else "nothing there"
        raise InputError(f"{folder}: no such folder of digits, got {found}, expected a folder with MNIST's idx files")
    parts = [part for part in _PARTS if _find(folder, part, "images") or _find(folder, part, "labels")]
    if not parts:
        raise InputError(
            f"{folder}: no digits there, got none of MNIST's idx files, "
            "expected t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte, or the same of train, with or without .gz"
        )
    images, labels = zip(*(_read_part(folder, part) for part in parts), strict=True)
    counts = ", ".join(f"{part} {len(found)}" for part, found in zip(parts, labels, strict=True))
    ink = np.concatenate(images).astype(np.float32) / np.float32(255)
    margin = (_SIDE - 28) // 2
    padded = np.pad(ink, ((0, 0), (margin, margin), (margin, margin)))[:, None]
    source = f"MNIST in {folder} ({counts} of 28x28, padded to {_SIDE}x{_SIDE})"
    return Dataset(padded, np.concatenate(labels).astype(np.int64), _CLASSES, source)


def _read_part(folder: Path, part: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Reads images (n, 28, 28) and labels (n,) of one part, once both are what they should be."""
    paths = {kind: _find(folder, part, kind) for kind in ("images", "labels")}
    missing = [f"{_names(part, kind)[0]}[.gz]" for kind, path in paths.items() if path is None]
    if paths["images"] is None or paths["labels"] is None:
        raise InputError(
            f"{folder}: half of MNIST's part {part!r} is missing, got no {missing[0]}, expected its images and labels"
        )
    images, labels = read_idx(paths["images"], 3), read_idx(paths["labels"], 1)
    if images.shape[1:] != (28, 28):
        raise InputError(
            f"{paths['images']}: images of another size, got {images.shape[1]}x{images.shape[2]}, expected 28x28"
        )
    wrong = labels[labels > 9]
    if wrong.size:
        raise InputError(
            f"{paths['labels']}: labels out of range, got {wrong.size} of {labels.size}, such as {wrong[0]}, "
            "expected 0 to 9"
        )
    if len(images) != len(labels):
        raise InputError(
            f"{folder}: images and labels of part {part!r} differ in number, got {len(images)} and {len(labels)}, "
            "expected a label for each image"
        )
    return images, labels


def _find(folder: Path, part: str, kind: str) -> Path | None:
    names = (f"{name}{packed}" for name in _names(part, kind) for packed in (".gz", ""))
    return next((folder / name for name in names if (folder / name).exists()), None)


def _names(part: str, kind: str) -> tuple[str, str]:
    """The file's name as published, and as unpacking by some programs leaves it."""
    axes = {"images": 3, "labels": 1}[kind]
    return f"{part}-{kind}-idx{axes}-ubyte", f"{part}-{kind}.idx{axes}-ubyte"
