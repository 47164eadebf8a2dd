"""The comparison in one call: two networks and an input in, a report out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from layerdiff.compare.capture import capture
from layerdiff.compare.judge import DTYPES, Dtype, judge
from layerdiff.compare.result import LayerResult, Report
from layerdiff.compare.trace import Array, Trace, upto
from layerdiff.compare.verdict import settle
from layerdiff.errors import InputError

__all__ = ["compare_networks", "compare_with"]


def compare_networks(
    expected: Any,
    actual: Any,
    x: Array,
    *,
    dtypes: Sequence[Dtype] = DTYPES,
    seed: int = 0,
    until: str | None = None,
) -> Report:
    """Whether `actual` is the same network as `expected`, layer by layer, on the input `x`.

    Args:
        expected: the reference, a torch or NumPy network in eval mode.
        actual: the candidate, likewise, with the same layer ids and weights.
        x: (n, c, h, w) float32.
        dtypes: precisions to judge in.
        seed: of the dense probe and the end-to-end floor.
        until: judge only this part, by layer id or the start of one.

    Raises:
        InputError: see `capture` and `judge`.
    """
    trace = capture(expected, x, until=until)
    return compare_with(trace, actual, x, dtypes=dtypes, seed=seed, until=until)


def compare_with(
    expected: Trace,
    actual: Any,
    x: Array,
    *,
    name: str | None = None,
    dtypes: Sequence[Dtype] = DTYPES,
    seed: int = 0,
    until: str | None = None,
    on_layer: Callable[[str], None] | None = None,
) -> Report:
    """`compare_networks` with a reference that is captured already; a candidate that raises is different."""
    try:
        trace = capture(actual, x, name=name, until=until)
    except InputError:
        raise
    except Exception as error:
        if _runs(actual, x):
            reason = f"{type(error).__name__}: {error}"
            raise InputError(
                f"capture: {type(actual).__name__} runs, but not while it is watched, got {reason}"
            ) from error
        return _crashed(expected, name or type(actual).__name__, error, until)
    return judge(expected, trace, x, dtypes=dtypes, seed=seed, until=until, on_layer=on_layer)


def _runs(network: Any, x: Array) -> bool:
    """Whether the network's forward pass goes through when nobody watches."""
    try:
        if hasattr(network, "named_modules"):
            import torch

            with torch.no_grad():
                network(torch.from_numpy(x.copy()))
        else:
            network(x.copy())
    except Exception:
        return False
    return True


def _crashed(expected: Trace, name: str, error: Exception, until: str | None) -> Report:
    layers = tuple(
        LayerResult(i, op.layer, None, op.kind, op.shape, op.inputs) for i, op in enumerate(upto(expected.ops, until))
    )
    message = str(error).splitlines()[0] if str(error) else "no message"
    crash = f"its forward pass raised {type(error).__name__}: {message}"
    return settle(Report(expected.network, name, layers, crash=crash, until=until))
