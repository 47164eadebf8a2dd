"""The largest difference that rounding can explain between two vector-Jacobian products of one operation.

One file for each family of kinds, with its formulas and where they come from; a new kind gets a function there and a
line in `BOUNDS`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from layerdiff.compare.gradients.bound import Allowed, Bound
from layerdiff.compare.gradients.bounds_norm import batch_norm
from layerdiff.compare.gradients.bounds_pointwise import add, elu, exact, leaky_relu, mul, selu, sigmoid, sub, tanh
from layerdiff.compare.gradients.bounds_pool import adaptive_avg_pool2d, avg_pool2d, max_pool2d, mean
from layerdiff.compare.gradients.bounds_product import conv2d, linear
from layerdiff.compare.gradients.bounds_softmax import cross_entropy, log_softmax, softmax
from layerdiff.compare.trace import Array, Op

__all__ = ["BOUNDS", "Allowed", "allowed"]

BOUNDS: Mapping[str, Bound] = MappingProxyType(
    {
        "conv2d": conv2d,
        "linear": linear,
        "batch_norm": batch_norm,
        "max_pool2d": max_pool2d,
        "avg_pool2d": avg_pool2d,
        "adaptive_avg_pool2d": adaptive_avg_pool2d,
        "mean": mean,
        "add": add,
        "sub": sub,
        "mul": mul,
        "leaky_relu": leaky_relu,
        "tanh": tanh,
        "sigmoid": sigmoid,
        "elu": elu,
        "selu": selu,
        "softmax": softmax,
        "log_softmax": log_softmax,
        "cross_entropy": cross_entropy,
        **dict.fromkeys(("relu", "relu6", "hardtanh", "clamp", "dropout", "identity"), exact),
        **dict.fromkeys(("flatten", "view", "reshape", "squeeze", "unsqueeze", "permute", "transpose"), exact),
        **dict.fromkeys(("contiguous", "clone", "to", "cat", "chunk"), exact),
    }
)
"""The bound of each kind of operation; the gradients of a kind that is not here cannot be judged."""


def allowed(op: Op, inputs: Sequence[Array], covector: Array) -> Allowed | None:
    """How far apart rounding may take the gradients of two right implementations of `op`.

    Args:
        op: the expected network's; its kind, attributes and parameters by role are looked at, nothing of it is run.
        inputs: that it is given, in the dtype that is computed in; labels are whole numbers.
        covector: the gradient of its output, of its shape.

    Returns:
        Allowances for the gradients of inputs and parameters; None where the kind, or its form, is not known.
    """
    bound = BOUNDS.get(op.kind)
    return None if bound is None else bound(op, inputs, covector)
