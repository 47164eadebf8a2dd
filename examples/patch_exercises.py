"""Example 2: shapes and counts of convolutions, such as are set as exercises, and small ones done by hand.

    python examples/patch_exercises.py

Work each one out on paper first. A convolution is a product of two matrices: every window of the image is a column,
every kernel a row.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from example_kit import Figures, example, run, say, table
from numpy.typing import NDArray

from layerdiff.handwritten import numpy_ops as ops
from layerdiff.handwritten.geometry import Padding
from layerdiff.handwritten.numpy_layers import Conv2d

Array = NDArray[np.floating[Any]]


def shapes(padding: Padding, stride: int = 1) -> dict[str, Any]:
    """An RGB image 32x32 under 16 filters 3x3: the patch matrix, the output, and how many parameters there are."""
    image = np.zeros((1, 3, 32, 32), dtype=np.float32)
    layer = Conv2d(3, 16, kernel_size=3, stride=stride, padding=padding)
    return {
        "patches": ops.image_to_column(image, (3, 3), stride=stride, padding=padding).shape,
        "output": layer(image).shape,
        "parameters": layer.parameter_count(),
    }


def counted(first: int, *shape: int) -> Array:
    """`first`, `first + 1`, ... in the given shape."""
    return np.arange(first, first + math.prod(shape), dtype=np.float64).reshape(shape)


def by_hand() -> dict[str, Any]:
    """What can be worked out on paper, computed by the library."""
    one = counted(1, 1, 1, 3, 3)
    two = np.concatenate([counted(0, 1, 1, 3, 3), one], axis=1)
    square = counted(1, 1, 1, 4, 4)
    return {
        "[[0, 1], [2, 3]] over 1 to 9": ops.conv2d(one, counted(0, 1, 1, 2, 2))[0, 0].tolist(),
        "0 to 8 and 1 to 9, three filters of ones": ops.conv2d(two, np.ones((3, 2, 2, 2))).reshape(3, 4).tolist(),
        "1 to 16, the largest of each 2x2": ops.max_pool2d(square, 2).ravel().tolist(),
        "1 to 16, the mean of each 2x2": ops.avg_pool2d(square, 2).ravel().tolist(),
    }


@example
def command() -> Figures:
    """Shows the exercises and their answers."""
    padding = ops.determine_padding((3, 3), "same")
    sizes = {"same": shapes("same"), "valid": shapes("valid"), "valid, stride 2": shapes("valid", stride=2)}
    answers = by_hand()

    say(f'Padding "same" puts {padding} zeros around an image for a kernel 3x3.')
    say("An image (1, 3, 32, 32) under 16 filters 3x3:")
    say()
    table(("padding", *sizes["same"]), ((name, *found.values()) for name, found in sizes.items()))
    say()
    say(
        "27 rows, since a window has 3 channels of 3x3 pixels; a column for each window, and so for each pixel of the "
        "output. 448 parameters, since each of 16 filters has 27 weights and a bias."
    )
    say()
    table(("by hand", "answer"), ((exercise, _short(answer)) for exercise, answer in answers.items()))
    return {"padding": padding, "shapes": sizes, "by hand": answers}


def _short(answer: list[Any]) -> str:
    """A list in one line; rows that are all alike are told once."""
    if isinstance(answer[0], float):
        return f"[{', '.join(f'{value:g}' for value in answer)}]"
    if all(row == answer[0] for row in answer):
        return f"each {_short(answer[0])}"
    return f"[{', '.join(map(_short, answer))}]"


if __name__ == "__main__":
    run(command)
