"""The largest difference that rounding can explain, one file for each kind of operation.

A new kind gets a file with its formula, derivation and constant, and a line in `RULES`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from layerdiff.compare.allowance.add import ADD
from layerdiff.compare.allowance.average import ADAPTIVE_AVG_POOL2D, AVG_POOL2D, MEAN
from layerdiff.compare.allowance.batch_norm import BATCH_NORM
from layerdiff.compare.allowance.conv import CONV2D
from layerdiff.compare.allowance.exact import EXACT
from layerdiff.compare.allowance.linear import LINEAR
from layerdiff.compare.allowance.product import PRODUCT, SLOPE
from layerdiff.compare.allowance.rule import Call, Rule, is_pair, unit_roundoff
from layerdiff.compare.allowance.smooth import SMOOTH
from layerdiff.compare.allowance.softmax import LOG_SOFTMAX, SOFTMAX
from layerdiff.compare.allowance.together import allowance_together, is_known_together

__all__ = ["RULES", "Call", "Rule", "allowance_together", "is_known_together", "is_pair", "unit_roundoff"]

RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "conv2d": CONV2D,
        "linear": LINEAR,
        "avg_pool2d": AVG_POOL2D,
        "adaptive_avg_pool2d": ADAPTIVE_AVG_POOL2D,
        "batch_norm": BATCH_NORM,
        "add": ADD,
        "mean": MEAN,
        "sub": ADD,
        "mul": PRODUCT,
        "div": PRODUCT,
        "leaky_relu": SLOPE,
        **SMOOTH,
        "softmax": SOFTMAX,
        "log_softmax": LOG_SOFTMAX,
        **dict.fromkeys(("relu", "relu6", "hardtanh", "clamp", "max_pool2d", "dropout", "identity"), EXACT),
        **dict.fromkeys(("flatten", "view", "reshape", "squeeze", "unsqueeze", "permute", "transpose"), EXACT),
        **dict.fromkeys(("contiguous", "clone", "detach", "to", "getitem", "pad", "cat", "chunk"), EXACT),
    }
)
"""The rule of each kind of operation. A kind that is not here cannot be judged, and the verdict says so."""
