"""The allowance of an average: a sum of n products with the weights 1/n, so √n·‖w‖ is 1 and u·‖window‖₂ remains.

See `accumulation`. The division, or the multiplication by 1/n, adds one rounding of |y| <= ‖window‖₂/√n, which the
constant covers.
"""

from __future__ import annotations

import numpy as np

from layerdiff.compare.allowance.accumulation import CONSTANT, WHY, accumulation_scale, window_norms
from layerdiff.compare.allowance.rule import Array, Call, Rule

__all__ = ["ADAPTIVE_AVG_POOL2D", "AVG_POOL2D", "adaptive_avg_pool2d_scale", "avg_pool2d_scale"]


def avg_pool2d_scale(call: Call) -> Array:
    """u·‖window‖₂·√n/divisor for windows of one size: (n, c, h_out, w_out) float64."""
    (x,) = call.inputs
    kernel_size = call.attributes["kernel_size"]
    n = kernel_size[0] * kernel_size[1]
    patches = window_norms(
        np.square(x, dtype=np.float64),
        kernel_size=kernel_size,
        stride=call.attributes["stride"],
        padding=call.attributes["padding"],
        dilation=(1, 1),
        size=(call.output.shape[2], call.output.shape[3]),
    )
    divisor = call.attributes.get("divisor_override")
    # A window at the border may be divided by fewer elements than n: at worst by one.
    whole = call.attributes.get("count_include_pad", True) and not call.attributes.get("ceil_mode", False)
    weight_norm = np.sqrt(n) / (divisor or (n if whole else 1))
    return accumulation_scale(n, weight_norm, patches, x.dtype)


def adaptive_avg_pool2d_scale(call: Call) -> Array:
    """u·‖window‖₂ for windows that share the map out among the outputs: (n, c, h_out, w_out) float64."""
    (x,) = call.inputs
    h, w = x.shape[2:]
    h_out, w_out = call.output.shape[2:]
    squares = np.square(x, dtype=np.float64)
    scale = np.empty(call.output.shape)
    for i in range(h_out):
        for j in range(w_out):
            rows, columns = _share(i, h, h_out), _share(j, w, w_out)
            n = (rows.stop - rows.start) * (columns.stop - columns.start)
            patch = np.sqrt(squares[:, :, rows, columns].sum(axis=(2, 3)))
            scale[:, :, i, j] = accumulation_scale(n, 1 / np.sqrt(n), patch, x.dtype)
    return scale


def _share(i: int, size: int, parts: int) -> slice:
    return slice(i * size // parts, -(-(i + 1) * size // parts))


AVG_POOL2D = Rule(avg_pool2d_scale, CONSTANT, WHY)
ADAPTIVE_AVG_POOL2D = Rule(adaptive_avg_pool2d_scale, CONSTANT, WHY)
