"""The assertions: a comparison, and a failure whose first line says which layer and why."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from layerdiff.errors import InputError
from layerdiff.testing.recording import Recorder, current
from layerdiff.training import OPTIMIZER, check_training, trained

if TYPE_CHECKING:
    from layerdiff.compare.judge import Dtype
    from layerdiff.compare.modes import Mode
    from layerdiff.compare.result import Report
    from layerdiff.compare.steps.mover import Training
    from layerdiff.compare.trace import Array, Trace

__all__ = ["as_input", "assert_same_network", "assert_traces_close", "compared", "conclude", "filed"]


def assert_same_network(
    actual: Any,
    expected: Any,
    x: Any,
    *,
    carry_weights: bool = False,
    until: str | None = None,
    backward: Mode | None = None,
    dtypes: Sequence[Dtype] = ("float32", "float64"),
    seed: int = 0,
    diagnose: bool = True,
    steps: int = 0,
    optimizer: str = OPTIMIZER,
    step: Callable[[Any, Any, Any], object] | None = None,
) -> Report:
    """Whether `actual` is the same network as `expected`, layer by layer, on the input `x`.

    Args:
        actual: your network, torch or NumPy, with the weights it has and in the mode it is in.
        expected: the reference, in eval mode.
        x: (n, c, h, w) float32, an array or a torch tensor.
        carry_weights: give it the expected network's weights meanwhile, whatever its tensors are called, and judge it
            in eval mode; afterwards weights and mode are as they were.
        until: judge only this part, by the expected network's layer id or the start of one.
        backward: compare the gradients of every layer as well, with batch norms in `train` or `eval` mode.
        dtypes: precisions to judge in.
        seed: of the dense probe and the end-to-end floor.
        diagnose: look for the causes of what is different.
        steps: compare so many steps of training as well, each from the expected state; 0 for none. The expected network
            must be one in torch that gives (n, classes).
        optimizer: by which both are trained, with the names of torch.optim: `adam:lr=1e-3,betas=0.9/0.999`.
        step: a training step of your own: moves your network once, given it, images and labels.

    Returns:
        The report; its verdict is `same`, or all that is different is known (`--layerdiff-known`).

    Raises:
        AssertionError: it is not, or nobody could tell; the first line names a layer and says why.
        InputError: something that was given cannot be judged.
    """
    __tracebackhide__ = True
    try:
        report = compared(
            actual, expected, x, carry_weights=carry_weights, until=until, backward=backward, dtypes=dtypes, seed=seed,
            diagnose=diagnose, steps=steps, optimizer=optimizer, step=step,
        )  # fmt: skip
    except InputError as error:
        raise error.with_traceback(None) from None
    conclude(report)
    return report


def assert_traces_close(
    actual: Trace | str | Path,
    expected: Trace | str | Path,
    *,
    rtol: float | None = None,
    atol: float | None = None,
    until: str | None = None,
) -> Report:
    """Whether two recorded traces agree, layer by layer, end to end; the first that differs is named.

    Args:
        actual: the candidate's trace, or its file (docs/traces.md).
        expected: the reference's, as `layerdiff capture` writes it.
        rtol: relative tolerance; goes with `atol`, and replaces the floors in the expected trace.
        atol: absolute tolerance: a value may be off by `atol + rtol·|expected|`.
        until: judge only this part.

    Returns:
        The report.

    Raises:
        AssertionError: they do not agree.
        InputError: see `compare_traces`; or a file that is no trace.
    """
    __tracebackhide__ = True
    from layerdiff.compare.traces import compare_traces

    try:
        report = compare_traces(_trace(expected), _trace(actual), rtol=rtol, atol=atol, until=until)
    except InputError as error:
        raise error.with_traceback(None) from None
    conclude(report)
    return report


def compared(
    actual: Any,
    expected: Any,
    x: Any,
    *,
    carry_weights: bool = False,
    steps: int = 0,
    optimizer: str = OPTIMIZER,
    step: Callable[[Any, Any, Any], object] | None = None,
    **options: Any,
) -> Report:
    """The report on `actual`; see `assert_same_network`."""
    from layerdiff.compare.check import compare_networks

    array = as_input(x)
    options["training"] = _training(expected, steps, optimizer, step, options.get("until"))
    if not carry_weights:
        return compare_networks(expected, actual, array, **options)
    from layerdiff.compare.capture import capture
    from layerdiff.compare.foreign import judge_foreign
    from layerdiff.compare.judging import tensors_of
    from layerdiff.compare.modes import Backward, in_mode

    # All of the expected network, whatever is judged of it: the rest needs its weights too.
    mode, back = options.pop("backward", None), None
    if mode is not None:
        with in_mode(expected, mode):
            back = Backward(mode, capture(expected, array))
    weights = {name: tensor.copy() for name, tensor in tensors_of(expected).items()}
    trace = capture(expected, array)
    return judge_foreign(trace, actual, array, weights=weights, backward=back, **options)


def _training(
    expected: Any, steps: int, optimizer: str, step: Callable[[Any, Any, Any], object] | None, until: str | None
) -> Training | None:
    """What steps of training are held against, if they were asked for.

    Raises:
        InputError: something of it cannot be used.
    """
    if not steps and step is not None:
        raise InputError("step: no steps are compared, got step alone", help="steps=3 compares three of them")
    if not steps:
        return None
    check_training(steps, optimizer, until)
    return trained(expected, steps, optimizer, step)


def conclude(report: Report) -> None:
    """Keep the report as the session wants it, and fail for what is different and not known.

    Raises:
        AssertionError: something is.
    """
    __tracebackhide__ = True
    from layerdiff.testing.differences import differences
    from layerdiff.testing.message import failure

    recorder = current()
    left = [one for one in differences(report) if recorder.accepts(one) is None]
    link, problem = filed(recorder, report, failed=bool(left))
    if left:
        recorder.failed_for(left, link)
        raise AssertionError(failure(report, left, link, problem))


def filed(recorder: Recorder, report: Report, *, failed: bool) -> tuple[str, str]:
    """The link to the report, where it is kept; and why it could not be written, which hides no failure.

    Raises:
        InputError: it could not be written, and nothing failed that could say so.
    """
    __tracebackhide__ = True
    try:
        return recorder.filed(report, failed=failed), ""
    except InputError as error:
        if not failed:
            raise error.with_traceback(None) from None
        return "", str(error)


def as_input(x: Any) -> Array:
    """The input as an array; `capture` refuses one that no image network takes."""
    if hasattr(x, "detach"):
        x = x.detach().cpu().numpy()
    return np.ascontiguousarray(x) if isinstance(x, np.ndarray) else x


def _trace(given: Trace | str | Path) -> Trace:
    if not isinstance(given, str | Path):
        return given
    from layerdiff.compare.trace_files import read_any_trace

    return read_any_trace(Path(given))
