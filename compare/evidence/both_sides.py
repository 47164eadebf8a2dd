"""An operation's parameters and settings beside those of its counterpart."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from layerdiff.compare.evidence.records import Parameter
from layerdiff.compare.trace import Array, Op, digest

__all__ = ["attributes_of", "parameters_of"]

_LONGEST = 200


def parameters_of(expected: Op, actual: Op | None) -> tuple[Parameter, ...]:
    """Every parameter that one of both operations has, by its role, on both sides."""
    theirs = {} if actual is None else actual.parameters
    names = dict.fromkeys((*expected.parameters, *theirs))
    return tuple(_parameter(name, expected, actual) for name in names)


def _parameter(name: str, expected: Op, actual: Op | None) -> Parameter:
    want, have = expected.parameters.get(name), None if actual is None else actual.parameters.get(name)
    alike = want is not None and have is not None and want.shape == have.shape
    text = _called(name, actual, have)
    sha256_expected, sha256_actual = ("" if one is None else digest(one) for one in (want, have))
    mean_expected, std_expected = _spread(want)
    mean_actual, std_actual = _spread(have)
    shaped = want if want is not None else have
    return Parameter(
        name=name,
        shape=() if shaped is None else shaped.shape,
        expected=_called(name, expected, want),
        actual=text if alike or want is None or have is None else f"{text} {have.shape}",
        equal=sha256_expected == sha256_actual,
        max_abs=_greatest(want, have) if alike else None,
        mean_expected=mean_expected,
        std_expected=std_expected,
        mean_actual=mean_actual,
        std_actual=std_actual,
        sha256_expected=sha256_expected,
        sha256_actual=sha256_actual,
    )


def _called(name: str, op: Op | None, array: Array | None) -> str:
    if op is None or array is None:
        return "none"
    return op.keys.get(name, f"{op.layer}.{name}")


def _greatest(want: Array | None, have: Array | None) -> float | None:
    if want is None or have is None or not want.size:
        return None
    with np.errstate(all="ignore"):
        apart = float(np.abs(np.subtract(have, want, dtype=np.float64)).max())
    return apart if np.isfinite(apart) else None


def _spread(array: Array | None) -> tuple[float | None, float | None]:
    """Mean and standard deviation; None where they are not finite."""
    if array is None or not array.size:
        return None, None
    with np.errstate(all="ignore"):
        figures = float(array.mean(dtype=np.float64)), float(array.std(dtype=np.float64))
    return figures if np.isfinite(figures).all() else (None, None)


def attributes_of(expected: Op, actual: Op | None) -> tuple[tuple[str, str, str], ...]:
    """Name, expected and actual value of every setting that one of both operations has; empty for none."""
    theirs = {} if actual is None else actual.attributes
    names = dict.fromkeys((*expected.attributes, *theirs))
    return tuple((name, _text(expected.attributes, name), _text(theirs, name)) for name in names)


def _text(attributes: Mapping[str, object], name: str) -> str:
    if name not in attributes:
        return ""
    # An address is another in every run, and says nothing.
    text = re.sub(r" at 0x[0-9a-fA-F]+", "", str(attributes[name]))
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
