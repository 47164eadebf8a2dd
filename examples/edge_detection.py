"""Example 1: a convolution whose kernel is written by hand finds the edges in a photo.

    python examples/edge_detection.py
    python examples/edge_detection.py --photo FILE --output DIR

Our Conv2d layer computes it, and SciPy is the witness: nothing of its code is ours.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np
from example_kit import Figures, example, output_option, picture, run, say, table
from numpy.typing import NDArray
from PIL import Image, ImageOps
from scipy import ndimage, signal

from layerdiff import load_image
from layerdiff.handwritten.numpy_layers import Conv2d

Array = NDArray[np.floating[Any]]

SIDE = 256

# Eight times a pixel less its eight neighbours: 0 where the picture is even, far from 0 where it changes.
LAPLACIAN = np.array([[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]])


def grey_photo(path: Path | None) -> tuple[str, Image.Image]:
    """A photo's name, and the largest square from its middle, grey, 256x256; a cat without a path."""
    photo = load_image(path)
    return photo.name, ImageOps.fit(photo.image.convert("L"), (SIDE, SIDE))


def edges(image: Array) -> Array:
    """The Laplacian of an image (h, w) by our layer, same shape and dtype."""
    layer = Conv2d(1, 1, kernel_size=3, padding="same", bias=False)
    layer.weight = LAPLACIAN.astype(image.dtype)[None, None]
    found: Array = layer(image[None, None])[0, 0]
    return found


def witnesses(image: Array) -> dict[str, Array]:
    """The Laplacian of an image (h, w) by SciPy, in its two ways."""
    kernel = LAPLACIAN.astype(image.dtype)
    return {
        "scipy.signal.correlate2d": signal.correlate2d(image, kernel, mode="same"),
        "scipy.ndimage.correlate": ndimage.correlate(image, kernel, mode="constant"),
    }


def rounding_bound(image: Array) -> Array:
    """By how much two ways to compute the Laplacian of `image` may differ at each pixel.

    Times 1 and times 8 are exact in binary. What rounds are the eight additions of nine terms, each by the unit
    roundoff u of the partial sum it gives; so each way errs by at most 8u/(1 - 8u) times the sum of the magnitudes.
    """
    u = np.finfo(image.dtype).eps / 2
    magnitudes = signal.correlate2d(np.abs(image.astype(np.float64)), np.abs(LAPLACIAN), mode="same")
    bound: Array = 2 * 8 * u / (1 - 8 * u) * magnitudes
    return bound


def part_of_bound(image: Array, theirs: Array) -> float:
    """The greatest difference from somebody's Laplacian of `image`, as a part of what rounding can explain."""
    difference = np.abs(edges(image).astype(np.float64) - theirs)
    bound = rounding_bound(image)
    # Where everything is 0 nothing rounds, and any difference is too large.
    return float(np.max(np.divide(difference, bound, out=np.where(difference > 0, np.inf, 0), where=bound > 0)))


def side_by_side(photo: Image.Image, laplacian: Array) -> Image.Image:
    """The photo, and beside it how far the Laplacian is from 0: white are the edges."""
    edge_map = np.clip(np.abs(laplacian), 0, 255).astype(np.uint8)
    return Image.fromarray(np.hstack([np.asarray(photo), edge_map]))


@example
@click.option("--photo", "path", type=click.Path(path_type=Path), help="Your own picture; without it, a cat.")
@output_option
def command(path: Path | None, output: Path) -> Figures:
    """Finds the edges in a photo, and compares them with SciPy's."""
    name, photo = grey_photo(path)
    levels = np.asarray(photo).astype(np.float32)  # 0 to 255
    shades = levels / np.float32(255)  # 0 to 1, of which most are no binary fractions

    found, expected = edges(levels), witnesses(levels)
    equal = {witness: int(np.count_nonzero(found == theirs)) for witness, theirs in expected.items()}
    parts = {witness: part_of_bound(shades, theirs) for witness, theirs in witnesses(shades).items()}

    say(f"The 8-neighbour Laplacian of {name}, {SIDE}x{SIDE}, by our Conv2d and by SciPy.")
    say()
    table(
        ("witness", "grey levels: equal pixels", "shades: of the bound"),
        [(witness, f"{equal[witness]:,} of {found.size:,}", f"{parts[witness]:.2f}") for witness in expected],
    )
    say()
    say(
        "Whole grey levels are exact: no sum exceeds 4,080, and float32 holds every whole number up to 2^24. "
        "Shades from 0 to 1 round; the last column is the greatest difference as a part of what eight additions, "
        "done twice, can explain."
    )
    picture(output, "edge_detection.png", side_by_side(photo, found).save)
    return {"photo": name, "pixels": found.size, "equal": equal, "part of the bound": parts}


if __name__ == "__main__":
    run(command)
