"""A test for each layer from one function: the ids from the expected network's shape, the comparison made once."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from layerdiff.errors import InputError
from layerdiff.testing.recording import current

if TYPE_CHECKING:
    from layerdiff.compare.result import Report

__all__ = ["PARAMETER", "Layers", "each_layer"]

PARAMETER = "layerdiff_layer"
"""The name of the argument by which a test is told its layer."""


def each_layer(expected: Any, x: Any, **options: Any) -> Callable[[Callable[..., Any]], Callable[..., None]]:
    """Makes a function that returns your network a test for each layer of the expected one, named by the layer.

    A layer that is right by itself and only inherits a fault is skipped; a known difference is an expected failure.
    With `backward` its gradients are its test's too, and with `steps` what training makes of its tensors. What belongs
    to no layer, such as what the network returns, is the last layer's.

    The function is called once in a process, and so is the comparison. Ids are known without it: the expected network
    is run on meta tensors, which have shapes and no values; one in NumPy is run on zeros.

    Args:
        expected: the reference in eval mode, or a function that makes it; called once in a process.
        x: (n, c, h, w) float32, or a function that gives it.
        options: as for `assert_same_network`.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., None]:
        layers = Layers(expected, x, options)

        @functools.wraps(function)
        def test(*args: Any, **kwargs: Any) -> None:
            __tracebackhide__ = True
            layers.check(kwargs.pop(PARAMETER), lambda: function(*args, **kwargs))

        signature = inspect.signature(function)
        parameter = inspect.Parameter(PARAMETER, inspect.Parameter.KEYWORD_ONLY)
        ordered = sorted([*signature.parameters.values(), parameter], key=lambda one: one.kind)
        test.__signature__ = signature.replace(parameters=ordered)  # type: ignore[attr-defined]
        test.layerdiff_layers = layers  # type: ignore[attr-defined]
        return test

    return decorate


@dataclass
class _Done:
    """A comparison that was made, or what came of it instead."""

    report: Report | None = None
    error: BaseException | None = None
    link: str = ""
    problem: str = ""


@dataclass
class Layers:
    """One decorated function: its layers, and what came of comparing them.

    Attributes:
        expected: the reference, or what makes it.
        x: the input, or what gives it.
        options: of the comparison.
    """

    expected: Any
    x: Any
    options: dict[str, Any]
    _done: dict[str, _Done] = field(default_factory=dict)

    @functools.cached_property
    def network(self) -> Any:
        """The expected network."""
        made = not isinstance(self.expected, type) and (
            hasattr(self.expected, "named_modules") or hasattr(self.expected, "named_layers")
        )
        return self.expected if made else self.expected()

    @functools.cached_property
    def array(self) -> Any:
        """The input."""
        from layerdiff.compare.capture import check_input
        from layerdiff.testing.assertions import as_input

        array = as_input(self.x() if callable(self.x) else self.x)
        check_input(array)
        return array

    @functools.cached_property
    def ids(self) -> tuple[str, ...]:
        """Ids of the layers to be judged, in order; the same in every process.

        Raises:
            InputError: the expected network cannot be run on such an input.
        """
        from layerdiff.compare.structure import structure_of
        from layerdiff.compare.trace import upto

        structure = structure_of(self.network, self.array.shape)
        if structure.crash is not None:
            crash = structure.crash
            raise InputError(
                f"each_layer: the expected network raises, got {crash.error} in {crash.layer}: {crash.message}"
            )
        return tuple(op.layer for op in upto(structure.ops, self.options.get("until")))

    def check(self, layer: str, make: Callable[[], Any]) -> None:
        """Pass, fail or skip for one layer; compares if that was not done yet."""
        __tracebackhide__ = True
        import pytest

        recorder = current()
        done = self._done.get(recorder.test)
        if done is None:
            done = self._done[recorder.test] = _Done()
            try:
                done.report = self._compared(make)
            except BaseException as error:
                done.error = error
                raise
            self._file(done)
        if done.report is None:
            first = (str(done.error).splitlines() or ["no message"])[0]
            pytest.fail(f"{layer}: not compared: {type(done.error).__name__}: {first}", pytrace=False)
        self._conclude(layer, done.report, done)

    def _compared(self, make: Callable[[], Any]) -> Report:
        from layerdiff.testing.assertions import compared

        report = compared(make(), self.network, self.array, **self.options)
        found = tuple(layer.layer for layer in report.layers)
        if found != self.ids:
            missing = [one for one in (*self.ids, *found) if (one in self.ids) != (one in found)]
            raise InputError(
                "each_layer: the expected network runs other layers than it did when tests were collected, "
                f"got {', '.join(missing[:3])}",
                help="its layers must not depend on values; compare it with assert_same_network",
            )
        return report

    def _file(self, done: _Done) -> None:
        from layerdiff.testing.assertions import filed
        from layerdiff.testing.differences import differences

        assert done.report is not None
        recorder = current()
        failed = any(recorder.accepts(one) is None for one in differences(done.report))
        done.link, done.problem = filed(recorder, done.report, failed=failed)
        recorder.used.clear()

    def _conclude(self, layer: str, report: Report, done: _Done) -> None:
        __tracebackhide__ = True
        import pytest

        from layerdiff.testing.differences import differences
        from layerdiff.testing.message import failure

        recorder = current()
        mine = [one for one in differences(report) if self._is_of(one.place, layer)]
        entries = {one: recorder.accepts(one) for one in mine}
        left = [one for one, entry in entries.items() if entry is None]
        if left:
            recorder.failed_for(left, done.link)
            pytest.fail(failure(report, left, done.link, done.problem), pytrace=False)
        stale = [one for one in recorder.known if self._is_of(one.layer, layer) and one not in recorder.used]
        if stale:
            pytest.fail(stale_words(stale[0].layer, stale[0].where), pytrace=False)
        accepted = [entry for entry in entries.values() if entry is not None]
        if accepted:
            pytest.xfail(f"known difference: {accepted[0].reason}")
        back = report.gradients.layers if report.gradients is not None else ()
        if report.layers[self.ids.index(layer)].status == "inherited":
            pytest.skip("inherits: only what it is given differs")
        if any(one.layer == layer and one.status == "inherited" for one in back):
            pytest.skip("inherits: only the gradient that it is given differs")

    def _is_of(self, place: str, layer: str) -> bool:
        """Whether a difference belongs to this layer's test."""
        part, _, name = place.rpartition(" ")
        own = name if part == "backward" else self._home(name) if part == "training" else place
        return own == layer or (own not in self.ids and layer == self.ids[-1])

    def _home(self, tensor: str) -> str:
        """The layer that holds a tensor: `fc` holds `fc.weight` and `fc.weight.momentum_buffer`."""
        holders = [one for one in self.ids if tensor.startswith(f"{one}.")]
        return max(holders, key=len, default="")


def stale_words(layer: str, where: str) -> str:
    """What is said of a known difference that is not there any more."""
    return f"{layer}: stale: it is listed as a known difference, and is none ({where})\nhelp: take the entry out"
