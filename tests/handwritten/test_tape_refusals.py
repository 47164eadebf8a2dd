"""What the tape refuses, and in which words."""

from __future__ import annotations

import numpy as np
import pytest

from layerdiff.handwritten.numpy_ops import tanh
from layerdiff.handwritten.tape import Tape


def drawn(shape=(2, 3)):
    """Random values of a float64 array."""
    return np.random.default_rng(0).standard_normal(shape)


@pytest.mark.parametrize(
    ("covector", "got"),
    [(None, "none"), (np.ones((3, 2)), r"\(3, 2\) float64"), (np.ones((2, 3), dtype=np.float32), r"\(2, 3\) float32")],
)
def test_a_covector_that_does_not_fit_is_refused(covector, got):
    """None for more than a number, another shape, another dtype."""
    x = drawn()
    with Tape() as tape:
        y = tanh(x)
    expected = rf"^Tape\.gradients: unusable covector, got {got}, expected \(2, 3\) float64 as the output\nhelp: a loss"
    with pytest.raises(ValueError, match=expected):
        tape.gradients(y, [x], covector)


def test_what_is_not_on_the_tape_has_no_gradients():
    """A result of NumPy's own, an input, or what was made behind the `with`."""
    x = drawn()
    with Tape() as tape:
        y = tanh(x)
    expected = r"^Tape\.gradients: the output is not on the tape, got an array of shape \(2, 3\), expected what an oper"
    for output in (y * 2, x, tanh(x)):
        with pytest.raises(ValueError, match=expected + r"(.|\n)*\nhelp: operations of numpy_ops are written down"):
            tape.gradients(output, [x], drawn())


def test_arrays_that_took_no_part_are_named_all_at_once():
    """A copy, a view, and what was used elsewhere on the tape; the right one among them is not named."""
    x, other = drawn(), drawn((4,))
    with Tape() as tape:
        y = tanh(x)
        tanh(other)
    expected = (
        r"^Tape\.gradients: nothing on the tape leads to the output, got of\[1\] \(2, 3\), of\[2\] \(3, 2\), "
        r"of\[3\] \(4,\), expected arrays that took part in it\nhelp: ask for the very array that went in: a copy"
    )
    with pytest.raises(ValueError, match=expected):
        tape.gradients(y, [x, x.copy(), x.T, other], drawn())
