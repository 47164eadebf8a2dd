"""What a network's weights say of how a picture is prepared for it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from layerdiff.compare.trace import Array

__all__ = ["Record"]


@dataclass(frozen=True)
class Record:
    """Resize the shorter side, cut out the centre, divide by 255, subtract the mean, divide by the deviation.

    Attributes:
        mean: of each channel, of values from 0 to 1.
        std: likewise.
        resize: the length of the shorter side; bilinear with antialiasing, as Pillow does it.
        crop: height and width of what is cut out of the centre.
    """

    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    resize: int = 256
    crop: tuple[int, int] = (224, 224)

    @property
    def slope(self) -> Array:
        """By how much a value of the input grows with one grey level, (3,) float64."""
        return 1 / (255 * np.array(self.std))

    @property
    def offset(self) -> Array:
        """The input's value for black, (3,) float64."""
        found: Array = -np.array(self.mean) / np.array(self.std)
        return found

    def levels(self, x: Array) -> Array:
        """The grey levels, 0 to 255, that an input (n, 3, h, w) was made of, in float64."""
        found: Array = (x - self.offset[:, None, None]) / self.slope[:, None, None]
        return found
