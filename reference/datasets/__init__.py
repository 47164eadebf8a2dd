"""Sets of labelled images to learn from: digits, folders of photos, and their split into three parts."""

from __future__ import annotations

from layerdiff.reference.datasets.dataset import Dataset
from layerdiff.reference.datasets.digits import load_digits
from layerdiff.reference.datasets.drawn_hands import draw_hands
from layerdiff.reference.datasets.photo_folders import load_photos
from layerdiff.reference.datasets.splits import Splits, split

__all__ = ["Dataset", "Splits", "draw_hands", "load_digits", "load_photos", "split"]
