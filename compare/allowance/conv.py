"""The allowance of a convolution: a sum of c_in/groups·kh·kw products for each output; see `accumulation`."""

from __future__ import annotations

import numpy as np

from layerdiff.compare.allowance.accumulation import CONSTANT, WHY, accumulation_line, row_norms, window_norms
from layerdiff.compare.allowance.rule import Array, Call, Rule, is_pair

__all__ = ["CONV2D", "conv2d_scale"]


def conv2d_scale(call: Call, times: float = 1.0) -> Array:
    """u·√n·‖w_o‖·‖patch‖, `times` as much, for output channel o and window patch: (n, c_out, h_out, w_out) float64."""
    (x,), weight = call.inputs, call.parameters["weight"]
    groups = int(call.attributes["groups"])
    batch, c_in, h, w = x.shape
    c_out, c_group, kh, kw = weight.shape
    grouped = x.reshape(batch, groups, c_in // groups, h, w)
    patches = window_norms(
        np.einsum("ngchw,ngchw->nghw", grouped, grouped, dtype=np.float64),
        kernel_size=(kh, kw),
        stride=call.attributes["stride"],
        padding=_top_left(call, (kh, kw)),
        dilation=call.attributes["dilation"],
        size=(call.output.shape[2], call.output.shape[3]),
    )
    n = c_group * kh * kw
    norms = row_norms(weight.reshape(c_out, n))
    slope, rest = accumulation_line(n, norms, x.dtype, bias=call.parameters.get("bias"), times=times)
    # slope·‖patch‖ + rest·1 for all filters and windows at once: a product of two thin matrices, one pass over memory.
    filters = np.stack([slope, np.broadcast_to(rest, c_out)], axis=-1).reshape(groups, c_out // groups, 2)
    windows = np.stack([patches, np.ones_like(patches)], axis=2).reshape(batch, groups, 2, -1)
    scale: Array = np.matmul(filters, windows)
    return scale.reshape(call.output.shape)


def _top_left(call: Call, kernel_size: tuple[int, int]) -> tuple[int, int]:
    padding = call.attributes["padding"]
    if padding == "valid":
        return (0, 0)
    if padding == "same":
        spans = [d * (k - 1) for d, k in zip(call.attributes["dilation"], kernel_size, strict=True)]
        return (spans[0] // 2, spans[1] // 2)
    top, left = padding
    return (top, left)


def _applies(call: Call) -> bool:
    weight, groups = call.parameters.get("weight"), call.attributes.get("groups")
    if len(call.inputs) != 1 or weight is None or not isinstance(groups, int):
        return False
    x, bias, padding = call.inputs[0], call.parameters.get("bias"), call.attributes.get("padding")
    return (
        (x.ndim, weight.ndim, call.output.ndim) == (4, 4, 4)
        and (weight.shape[1] * groups, weight.shape[0]) == (x.shape[1], call.output.shape[1])
        and (bias is None or bias.shape == weight.shape[:1])
        and all(is_pair(call.attributes.get(name)) for name in ("stride", "dilation"))
        and (padding in ("valid", "same") if isinstance(padding, str) else is_pair(padding))
        # Any other padding puts numbers at the border that `window_norms` does not see.
        and call.attributes.get("padding_mode", "zeros") == "zeros"
    )


CONV2D = Rule(conv2d_scale, CONSTANT, WHY, _applies, takes_times=True)
