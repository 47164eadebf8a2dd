"""The allowance of an average: a sum of n products with the weights 1/n, so √n·‖w‖ is 1 and u·‖window‖₂ remains.

See `accumulation`. The division, or the multiplication by 1/n, adds one rounding of |y| <= ‖window‖₂/√n, which the
constant covers.
"""

from __future__ import annotations

import math

import numpy as np

from layerdiff.compare.allowance.accumulation import CONSTANT, WHY, accumulation_scale, window_norms
from layerdiff.compare.allowance.rule import Array, Call, Rule, is_pair

__all__ = ["ADAPTIVE_AVG_POOL2D", "AVG_POOL2D", "MEAN", "adaptive_avg_pool2d_scale", "avg_pool2d_scale", "mean_scale"]


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
    weight_norm = np.sqrt(n) / abs(divisor or (n if whole else 1))
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


def mean_scale(call: Call) -> Array:
    """u·‖window‖₂ for the mean over the dims in `dim`, all of them for None: in the output's shape, float64."""
    (x,), dims = call.inputs, _dims(call)
    n = math.prod(x.shape[dim] for dim in dims)
    windows = np.sqrt(np.square(x, dtype=np.float64).sum(axis=dims))
    return accumulation_scale(n, 1 / np.sqrt(n), windows, x.dtype).reshape(call.output.shape)


def _dims(call: Call) -> tuple[int, ...]:
    dims, ndim = call.attributes.get("dim"), call.inputs[0].ndim
    if dims is None or dims == ():
        return tuple(range(ndim))
    return tuple(dim % ndim for dim in ((dims,) if isinstance(dims, int) else dims))


def _lone_map(call: Call) -> bool:
    return len(call.inputs) == 1 and call.inputs[0].ndim == call.output.ndim == 4


def _avg_pool2d_applies(call: Call) -> bool:
    divisor = call.attributes.get("divisor_override")
    return (
        _lone_map(call)
        and all(is_pair(call.attributes.get(name)) for name in ("kernel_size", "stride", "padding"))
        and (divisor is None or (isinstance(divisor, int) and divisor != 0))
    )


def _mean_applies(call: Call) -> bool:
    if len(call.inputs) != 1 or "dim" not in call.attributes:
        return False
    dims, shape = call.attributes["dim"], call.inputs[0].shape
    listed = () if dims is None else (dims,) if isinstance(dims, int) else dims
    if not isinstance(listed, tuple | list) or not all(
        isinstance(dim, int) and -len(shape) <= dim < len(shape) for dim in listed
    ):
        return False
    over = _dims(call)
    kept = tuple(size for dim, size in enumerate(shape) if dim not in over)
    apart = tuple(1 if dim in over else size for dim, size in enumerate(shape))
    return len(set(over)) == len(over) and call.output.shape in {kept, apart}


AVG_POOL2D = Rule(avg_pool2d_scale, CONSTANT, WHY, _avg_pool2d_applies)
ADAPTIVE_AVG_POOL2D = Rule(adaptive_avg_pool2d_scale, CONSTANT, WHY, _lone_map)
MEAN = Rule(mean_scale, CONSTANT, WHY, _mean_applies)
