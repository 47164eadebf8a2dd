"""The kit from which hypotheses build models: torch's operations as steps that can be chained and run on arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from layerdiff.compare.trace import Array, Op

__all__ = [
    "Step",
    "adaptive_avg_pool2d",
    "add",
    "avg_pool2d",
    "batch_norm",
    "chain",
    "conv2d",
    "elementwise",
    "flatten",
    "linear",
    "max_pool2d",
    "move",
    "pad",
    "relu",
]


@dataclass(frozen=True)
class Step:
    """One operation of a model, before it has a place.

    Attributes:
        kind: by which its allowance is found (`allowance.RULES`, or `rules.KIT_RULES`).
        attributes: as a capture would give them.
        parameters: likewise, in any precision.
        function: takes its input tensors and its parameters, all in one precision; gives a tensor.
        takes: what it takes beside or instead of what the step before gives: ids of the model's inputs, or `""` for
            the step before. Empty for the step before alone (the first step: all of the model's inputs).
    """

    kind: str
    attributes: Mapping[str, object]
    parameters: Mapping[str, Array] = field(repr=False)
    function: Callable[[Sequence[Tensor], Mapping[str, Tensor]], Tensor] = field(repr=False)
    takes: tuple[str, ...] = ()


def chain(inputs: Sequence[str], *steps: Step) -> tuple[Op, ...]:
    """Steps as operations, each taking what the one before gives; the first takes `inputs`.

    Args:
        inputs: ids of what the model takes: those of the expected operation's `inputs`, each once.
        steps: in order.
    """
    ops: list[Op] = []
    for i, step in enumerate(steps):
        before = ops[-1].layer if ops else None
        default = tuple(inputs) if before is None else (before,)
        takes = tuple(name or before or "" for name in step.takes) or default
        name = f"model.{i}.{step.kind}"
        ops.append(
            Op(
                layer=name,
                path=name,
                kind=step.kind,
                inputs=takes,
                attributes=step.attributes,
                parameters=step.parameters,
                shape=(),
                dtype="",
                run=_runner(step),
            )
        )
    return tuple(ops)


def conv2d(
    weight: Array,
    bias: Array | None = None,
    *,
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int] = (0, 0),
    dilation: tuple[int, int] = (1, 1),
    groups: int = 1,
) -> Step:
    """A convolution: weight (o, c // groups, kh, kw), bias (o,)."""
    parameters = {"weight": weight} | ({} if bias is None else {"bias": bias})
    attributes = {
        "kernel_size": tuple(weight.shape[2:]),
        "stride": stride,
        "padding": padding,
        "dilation": dilation,
        "groups": groups,
    }

    def function(x: Sequence[Tensor], p: Mapping[str, Tensor]) -> Tensor:
        return functional.conv2d(x[0], p["weight"], p.get("bias"), stride, padding, dilation, groups)

    return Step("conv2d", attributes, parameters, function)


def batch_norm(
    running_mean: Array, running_var: Array, weight: Array | None, bias: Array | None, *, eps: float
) -> Step:
    """A batch norm with these statistics, (c,) each."""
    named = {"running_mean": running_mean, "running_var": running_var, "weight": weight, "bias": bias}
    parameters = {role: array for role, array in named.items() if array is not None}

    def function(x: Sequence[Tensor], p: Mapping[str, Tensor]) -> Tensor:
        return functional.batch_norm(x[0], p["running_mean"], p["running_var"], p.get("weight"), p.get("bias"), eps=eps)

    return Step("batch_norm", {"eps": eps, "training": False}, parameters, function)


def linear(weight: Array, bias: Array | None) -> Step:
    """A linear layer: weight (o, c), bias (o,)."""
    parameters = {"weight": weight} | ({} if bias is None else {"bias": bias})
    return Step("linear", {}, parameters, lambda x, p: functional.linear(x[0], p["weight"], p.get("bias")))


def relu() -> Step:
    """max(x, 0)."""
    return Step("relu", {}, {}, lambda x, p: functional.relu(x[0]))


def max_pool2d(
    kernel_size: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int] = (0, 0),
    *,
    dilation: tuple[int, int] = (1, 1),
    ceil_mode: bool = False,
) -> Step:
    """Max-pooling, padded with -inf."""
    attributes = {"kernel_size": kernel_size, "stride": stride, "padding": padding, "dilation": dilation,
                  "ceil_mode": ceil_mode}  # fmt: skip
    return Step("max_pool2d", attributes, {}, lambda x, p: functional.max_pool2d(
        x[0], kernel_size, stride, padding, dilation, ceil_mode))  # fmt: skip


def avg_pool2d(
    kernel_size: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int] = (0, 0),
    *,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Step:
    """Average pooling."""
    attributes = {"kernel_size": kernel_size, "stride": stride, "padding": padding, "ceil_mode": ceil_mode,
                  "count_include_pad": count_include_pad, "divisor_override": None}  # fmt: skip
    return Step("avg_pool2d", attributes, {}, lambda x, p: functional.avg_pool2d(
        x[0], kernel_size, stride, padding, ceil_mode, count_include_pad))  # fmt: skip


def adaptive_avg_pool2d(output_size: tuple[int, int]) -> Step:
    """Adaptive average pooling."""
    return Step("adaptive_avg_pool2d", {"output_size": output_size}, {},
                lambda x, p: functional.adaptive_avg_pool2d(x[0], output_size))  # fmt: skip


def flatten() -> Step:
    """All axes but the first in one."""
    return Step("flatten", {"start_dim": 1, "end_dim": -1}, {}, lambda x, p: torch.flatten(x[0], 1))


def pad(left: int, right: int, top: int, bottom: int, *, mode: str = "constant") -> Step:
    """Rows and columns beside a map: zeros, or as torch's `mode` says."""
    sizes = [left, right, top, bottom]
    return Step("pad", {"padding": sizes, "value": 0}, {}, lambda x, p: functional.pad(x[0], sizes, mode=mode))


def add(*takes: str) -> Step:
    """The sum of two terms; by default of the model's two inputs. `""` is what the step before gives."""
    return Step("add", {}, {}, lambda x, p: x[0] + x[1], takes)


def move(function: Callable[[Tensor], Tensor], *takes: str) -> Step:
    """Anything that only moves numbers: a slice, a flip, a permutation."""
    return Step("getitem", {}, {}, lambda x, p: function(x[0]), takes)


def elementwise(
    kind: str, function: Callable[[Tensor], Tensor], attributes: Mapping[str, object] | None = None
) -> Step:
    """A function of each element, such as `gelu`; `kind` must have a rule of allowance."""
    return Step(kind, attributes or {}, {}, lambda x, p: function(x[0]))


def _runner(step: Step) -> Callable[..., Array]:
    def run(*inputs: Array) -> Array:
        dtype = inputs[0].dtype
        tensors = [torch.from_numpy(np.ascontiguousarray(array)) for array in inputs]
        parameters = {role: _as(array, dtype) for role, array in step.parameters.items()}
        with torch.no_grad():
            result: Array = step.function(tensors, parameters).numpy()
        return result

    return run


def _as(array: Array, dtype: np.dtype[Any]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, dtype=dtype))
