"""What stands beside the values: parameters and settings of both sides, and the lines of code."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from layerdiff.compare.evidence.both_sides import attributes_of, parameters_of
from layerdiff.compare.evidence.code import lines_around
from layerdiff.compare.evidence.records import Line
from layerdiff.compare.trace import Op


def op(layer="conv1", *, keys=None, parameters=None, **attributes):
    """An operation that holds something."""
    return Op(layer, layer, "conv2d", ("input",), attributes, parameters or {}, (1,), "float32", keys=keys or {})


WEIGHT = np.arange(6, dtype=np.float32).reshape(2, 3)


def test_a_parameter_is_shown_on_both_sides():
    """Names, figures and hashes of both, and how far they are apart."""
    changed = WEIGHT.copy()
    changed[1, 1] = 10
    one = op(keys={"weight": "conv1.weight"}, parameters={"weight": WEIGHT})
    (found,) = parameters_of(one, op("stem.0", parameters={"weight": changed}))

    assert (found.name, found.shape) == ("weight", (2, 3))
    assert (found.expected, found.actual) == ("conv1.weight", "stem.0.weight")
    assert (found.equal, found.max_abs) == (False, 6.0)
    assert (found.mean_expected, found.std_expected) == (2.5, pytest.approx(np.sqrt(35 / 12)))
    assert (found.mean_actual, found.std_actual) == (3.5, pytest.approx(changed.std(dtype=np.float64)))
    want = hashlib.sha256(b"(2, 3) float32" + WEIGHT.tobytes()).hexdigest()
    assert found.sha256_expected == want != found.sha256_actual


def test_equal_parameters_are_equal_to_the_bit():
    """A copy is equal; what compares equal and has other bits is not."""
    zero = np.zeros(3, np.float32)
    same, signed = (
        parameters_of(op(parameters={"bias": zero}), op(parameters={"bias": other}))[0]
        for other in (zero.copy(), -zero)
    )

    assert (same.equal, same.max_abs, same.sha256_actual) == (True, 0.0, same.sha256_expected)
    assert (signed.equal, signed.max_abs) == (False, 0.0)


def test_a_parameter_of_another_shape_says_so():
    """Its shape stands behind its name, and nothing is compared."""
    (found,) = parameters_of(op(parameters={"weight": WEIGHT}), op(parameters={"weight": WEIGHT.T}))

    assert (found.actual, found.max_abs, found.equal) == ("conv1.weight (3, 2)", None, False)


def test_a_parameter_that_one_side_lacks_says_none():
    """Each side's own are all there."""
    bias = np.array([np.nan, 1], np.float32)
    first, second = parameters_of(op(parameters={"weight": WEIGHT}), op(parameters={"bias": bias}))

    assert (first.name, first.actual, first.sha256_actual, first.mean_actual) == ("weight", "none", "", None)
    assert (second.name, second.expected, second.shape) == ("bias", "none", (2,))
    assert (second.mean_actual, second.std_actual) == (None, None)
    assert [one.actual for one in parameters_of(op(parameters={"weight": WEIGHT}), None)] == ["none"]


def test_parameters_that_are_not_finite_have_no_distance():
    """NaN stays out of the record."""
    infinite = np.full_like(WEIGHT, np.inf)
    (found,) = parameters_of(op(parameters={"weight": WEIGHT}), op(parameters={"weight": infinite}))

    assert (found.max_abs, found.mean_actual) == (None, None)


def test_settings_are_shown_side_by_side():
    """All of both, as text; empty where one side has none; an address is left out, and what is long is cut."""

    class Rule:
        pass

    expected = op(stride=(1, 1), eps=1e-5)
    found = attributes_of(expected, op(stride=(2, 2), rule=Rule(), table="x" * 300))

    assert found[:2] == (("stride", "(1, 1)", "(2, 2)"), ("eps", "1e-05", ""))
    name, want, have = found[2]
    assert (name, want) == ("rule", "")
    assert have.endswith("Rule object>")
    assert len(found[3][2]) == 200
    assert attributes_of(expected, None) == (("stride", "(1, 1)", ""), ("eps", "1e-05", ""))


@pytest.mark.parametrize(
    ("at", "numbers"), [(1, range(1, 6)), (10, range(6, 15)), (20, range(16, 21))], ids=["first", "middle", "last"]
)
def test_code_is_shown_with_four_lines_on_both_sides(tmp_path, at, numbers):
    """As far as the file goes."""
    path = tmp_path / "net.py"
    path.write_text("".join(f"line {number}\n" for number in range(1, 21)))

    assert lines_around(f"{path}:{at}") == tuple(Line(number, f"line {number}") for number in numbers)


@pytest.mark.parametrize("source", [None, "", "net.py", "/nowhere/net.py:3", "<string>:1", "{}:0", "{}:3", "{}:x"])
def test_code_that_cannot_be_read_is_not_shown(tmp_path, source):
    """No file, no such line, or no place at all."""
    path = tmp_path / "short.py"
    path.write_text("one\ntwo\n")

    assert lines_around(source and source.format(path)) == ()


def test_a_very_long_line_is_cut(tmp_path):
    """Code on one line does not make the run large."""
    path = tmp_path / "long.py"
    path.write_text("x" * 10_000)

    (line,) = lines_around(f"{path}:1")
    assert len(line.text) == 500
    assert line.text.endswith("…")
