"""layerdiff: is a network written by hand the same network, layer by layer?

The names below are the public ones. They are imported when they are first used, so that the NumPy twin can be run
where torch is not installed.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from layerdiff.errors import InputError

if TYPE_CHECKING:
    from layerdiff.compare.capture import capture
    from layerdiff.compare.check import compare_networks
    from layerdiff.compare.judge import judge
    from layerdiff.compare.render.terminal import render_terminal
    from layerdiff.compare.result import LayerResult, Measure, Report, Run
    from layerdiff.compare.saved import read_run, read_trace, write_trace
    from layerdiff.compare.trace import Op, Trace
    from layerdiff.compare.traces import compare_traces
    from layerdiff.initial import compare_initial
    from layerdiff.reference import Weights, load_image, load_weights, preprocess, state_dict, torchvision_model
    from layerdiff.running import run
    from layerdiff.training import trained

__all__ = [
    "InputError",
    "LayerResult",
    "Measure",
    "Op",
    "Report",
    "Run",
    "Trace",
    "Weights",
    "capture",
    "compare_initial",
    "compare_networks",
    "compare_traces",
    "judge",
    "load_image",
    "load_weights",
    "preprocess",
    "read_run",
    "read_trace",
    "render_terminal",
    "run",
    "state_dict",
    "torchvision_model",
    "trained",
    "write_trace",
]

_HOMES = {
    "capture": "compare.capture",
    "compare_networks": "compare.check",
    "judge": "compare.judge",
    "render_terminal": "compare.render.terminal",
    "LayerResult": "compare.result",
    "Measure": "compare.result",
    "Report": "compare.result",
    "Run": "compare.result",
    "read_run": "compare.saved",
    "read_trace": "compare.saved",
    "write_trace": "compare.saved",
    "Op": "compare.trace",
    "Trace": "compare.trace",
    "compare_traces": "compare.traces",
    "compare_initial": "initial",
    "run": "running",
    "trained": "training",
    "Weights": "reference",
    "load_image": "reference",
    "load_weights": "reference",
    "preprocess": "reference",
    "state_dict": "reference",
    "torchvision_model": "reference",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'layerdiff' has no attribute {name!r}")
    return getattr(importlib.import_module(f"layerdiff.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
