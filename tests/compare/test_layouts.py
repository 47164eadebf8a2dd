"""Orders of axes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from layerdiff.compare.layouts import fitting, laid_out, layout_between, name_of


@given(st.permutations(range(4)), st.tuples(*[st.integers(1, 4)] * 4), st.booleans())
def test_the_layout_is_read_off_the_values(axes, shape, flat):
    """Whatever order of axes a network uses, the one that is found lays the tensor out just as the network holds it."""
    effective = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    raw = effective.transpose(axes)
    raw = raw.reshape(raw.shape[0], -1) if flat else raw

    found = layout_between(effective, raw)

    if effective.size > 1:
        assert np.array_equal(laid_out(effective, found, raw.shape), raw)


@pytest.mark.parametrize(
    ("expected", "actual", "name"),
    [
        ((64, 3, 7, 7), (7, 7, 3, 64), "HWIO"),
        ((64, 3, 7, 7), (64, 7, 7, 3), "OHWI"),
        ((10, 5), (5, 10), "(in, out)"),
        ((64, 3, 7, 7), (64, 147), "OIHW"),
        ((8, 4, 3, 3), (36, 8), "IHWO"),
    ],
)
def test_a_layout_is_known_by_its_shape(expected, actual, name):
    """The usual layouts are told from the shapes alone, axes that are run together too."""
    assert name_of(fitting(expected, actual)[0]) == name


def test_what_cannot_fit_fits_nowhere():
    """Another number of elements, or axes that cannot be cut so: no layout."""
    assert fitting((64, 3, 7, 7), (64, 3, 3, 3)) == []
    assert fitting((4, 6), (3, 8)) == []


def test_values_that_say_nothing_give_no_layout():
    """A tensor that is all one number lies in every layout, and a tensor made of other numbers in none."""
    assert layout_between(np.ones((2, 2), np.float32), np.ones((2, 2), np.float32)) is None
    assert layout_between(np.arange(4.0).reshape(2, 2), np.arange(4.0).reshape(2, 2) + 1) is None
