"""The gradients of a convolution and of a linear layer: sums of products, see `bound`.

    dx of a linear layer            Σ over outputs of g·w            n = out_features
    dw                              Σ over rows of g·x               n = rows
    db                              Σ over rows of g                 n = rows
    dx of a convolution             Σ over the windows that see it   n = c_out/groups · taps of a window on one pixel
    dw                              Σ over images and windows        n = images · h_out · w_out
    db                              the same of g alone

For dw and db n becomes n·m where values of g are equal, see `bound`; for dx it does not, though weights may be equal:
learned ones are not. The taps that a pixel can meet: along an axis those p of the k with p·d = y + padding modulo the
stride s, at most every (s/gcd(s, d))-th.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch.nn import functional
from torch.nn.grad import conv2d_input, conv2d_weight

from layerdiff.compare.allowance.rule import is_pair
from layerdiff.compare.gradients.bound import Allowed, alike, of_sum, tensor
from layerdiff.compare.trace import Array, Op

__all__ = ["conv2d", "linear"]


def linear(op: Op, inputs: Sequence[Array], covector: Array) -> Allowed | None:
    """C·u·√n·Σ|t| for the gradients of x, weight and bias."""
    weight = op.parameters.get("weight")
    if len(inputs) != 1 or weight is None or weight.shape != (covector.shape[-1], inputs[0].shape[-1]):
        return None
    (x,) = inputs
    features, dtype = weight.shape[0], x.dtype
    g = np.abs(covector, dtype=np.float64).reshape(-1, features)
    rows = np.abs(x, dtype=np.float64).reshape(len(g), -1)
    dx = of_sum(features, g @ np.abs(weight, dtype=np.float64), dtype).reshape(x.shape)
    n = len(g) * alike(covector.reshape(g.shape))
    parameters = {"weight": of_sum(n[:, None], g.T @ rows, dtype)}
    if "bias" in op.parameters:
        parameters["bias"] = of_sum(n, g.sum(axis=0), dtype)
    return Allowed((dx,), parameters)


def conv2d(op: Op, inputs: Sequence[Array], covector: Array) -> Allowed | None:
    """C·u·√n·Σ|t| for the gradients of x, weight and bias; the sums are torch's gradients of the magnitudes."""
    if not _is_known(op, inputs, covector):
        return None
    (x,), weight, dtype = inputs, op.parameters["weight"], inputs[0].dtype
    steps: dict[str, Any] = {name: op.attributes[name] for name in ("stride", "dilation", "groups")}
    left, right, top, bottom = _padding(op.attributes, weight.shape[2:])
    seen = functional.pad(tensor(x), (left, right, top, bottom))
    g, w = tensor(covector), tensor(weight)
    padded = conv2d_input(seen.shape, w, g, **steps)  # type: ignore[no-untyped-call]
    dx = padded[:, :, top : top + x.shape[2], left : left + x.shape[3]].numpy()
    dw = conv2d_weight(seen, w.shape, g, **steps).numpy()  # type: ignore[no-untyped-call]
    taps = weight.shape[0] // steps["groups"] * _taps(weight.shape[2:], steps["stride"], steps["dilation"])
    positions = covector.size // covector.shape[1] * alike(covector)
    parameters = {"weight": of_sum(positions[:, None, None, None], dw, dtype)}
    if "bias" in op.parameters:
        parameters["bias"] = of_sum(positions, g.sum(dim=(0, 2, 3)).numpy(), dtype)
    return Allowed((of_sum(taps, dx, dtype),), parameters)


def _taps(kernel_size: Sequence[int], stride: Sequence[int], dilation: Sequence[int]) -> int:
    return math.prod(-(-k // (s // math.gcd(s, d))) for k, s, d in zip(kernel_size, stride, dilation, strict=True))


def _padding(attributes: Mapping[str, Any], kernel_size: Sequence[int]) -> tuple[int, int, int, int]:
    """Left, right, top, bottom."""
    padding = attributes["padding"]
    if padding == "valid":
        return (0, 0, 0, 0)
    if padding == "same":
        rows, columns = (d * (k - 1) for d, k in zip(attributes["dilation"], kernel_size, strict=True))
        return (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2)
    rows, columns = padding
    return (columns, columns, rows, rows)


def _is_known(op: Op, inputs: Sequence[Array], covector: Array) -> bool:
    weight, groups = op.parameters.get("weight"), op.attributes.get("groups")
    if len(inputs) != 1 or weight is None or not isinstance(groups, int):
        return False
    x, padding = inputs[0], op.attributes.get("padding")
    return (
        (x.ndim, weight.ndim, covector.ndim) == (4, 4, 4)
        and (weight.shape[1] * groups, weight.shape[0]) == (x.shape[1], covector.shape[1])
        and all(is_pair(op.attributes.get(name)) for name in ("stride", "dilation"))
        and (padding in ("valid", "same") if isinstance(padding, str) else is_pair(padding))
        and op.attributes.get("padding_mode", "zeros") == "zeros"
    )
