"""Photos sorted into a folder for each class, as 64x64 RGB; without any, drawn hands."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from layerdiff.errors import InputError
from layerdiff.reference.datasets.dataset import Dataset
from layerdiff.reference.datasets.drawn_hands import draw_hands
from layerdiff.reference.images import load_image

__all__ = ["load_photos"]

_NAMED = 10  # problems told one by one


def load_photos(path: str | Path | None = None, *, side: int = 64) -> Dataset:
    """Reads the photos in the folders of a folder, (n, 3, side, side), RGB from 0 to 1.

    Every folder is a class of its name; classes and files are taken in the order of their names, numbers by value.
    Files beside the folders (a licence, a list) and names that begin with a dot are passed over. A photo is read as
    `load_image` reads it, and scaled by Pillow's bilinear filter to `side` in both directions, whatever its own
    proportions.

    Args:
        path: the folder of folders; None for `draw_hands`: six classes of hands that are drawn, not photographed.
        side: rows and columns, from 1 up.

    Raises:
        InputError: no such folder, fewer than two folders in it, one without any file, or files that cannot be read as
            pictures or have too many pixels; all folders without files in one error, then all such files.
    """
    if side < 1:
        raise InputError(f"load_photos: a size without pixels, got side {side}, expected 1 or more")
    if path is None:
        return draw_hands(side=side)
    folder = Path(path)
    if not folder.is_dir():
        found = "a file" if folder.is_file() else "nothing there"
        raise InputError(f"{folder}: no such folder of photos, got {found}, expected a folder with one for each class")
    classes = _class_folders(folder)
    files = [(label, file) for label, entries in enumerate(classes.values()) for file in entries]
    images = _read_all(folder, [file for _, file in files], side)
    labels = np.array([label for label, _ in files], dtype=np.int64)
    source = f"photos in {folder} ({len(files)} in {len(classes)} classes, scaled to {side}x{side} bilinearly)"
    return Dataset(images, labels, tuple(classes), source)


def _class_folders(folder: Path) -> dict[str, list[Path]]:
    """The files of every class, in order."""
    classes = {entry.name: _visible(entry) for entry in _visible(folder) if entry.is_dir()}
    if len(classes) < 2:
        raise InputError(
            f"{folder}: no classes to tell apart, got {len(classes)} folders in it, expected two or more",
            help="sort the photos into folders, one for each class, called as the class is",
        )
    empty = [name for name, entries in classes.items() if not entries]
    if empty:
        raise InputError(
            f"{folder}: classes without photos, got {len(empty)} empty folders of {len(classes)}, "
            "expected a photo or more in each",
            notes=_first(empty),
        )
    return classes


def _read_all(folder: Path, files: list[Path], side: int) -> NDArray[np.float32]:
    images = np.empty((len(files), 3, side, side), dtype=np.float32)
    problems = []
    for place, file in enumerate(files):
        try:
            image = load_image(file).image.resize((side, side), Image.Resampling.BILINEAR)
        except InputError as error:
            problems.append(str(error))
            continue
        images[place] = np.asarray(image).transpose(2, 0, 1) / np.float32(255)
    if problems:
        raise InputError(
            f"{folder}: files that cannot be used as photos, got {len(problems)} of {len(files)}, expected none",
            notes=_first(problems),
            help="delete them, move them away, or get them anew",
        )
    return images


def _visible(folder: Path) -> list[Path]:
    return sorted((entry for entry in folder.iterdir() if not entry.name.startswith(".")), key=_by_value)


def _by_value(path: Path) -> tuple[bool, int, str]:
    number = int(path.name) if path.name.isdecimal() else 0
    return not path.name.isdecimal(), number, path.name


def _first(problems: list[str]) -> list[str]:
    more = len(problems) - _NAMED
    return problems[:_NAMED] + ([f"and {more} more"] if more > 0 else [])
