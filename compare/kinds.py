"""One vocabulary for operations, whoever wrote them: kinds by torch.nn.functional's names, attributes by torch.nn's."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = [
    "ARITHMETIC",
    "IDLE",
    "LOOKING",
    "MOVING",
    "PLAIN",
    "attributes_of",
    "family",
    "kind_of_class",
    "kind_of_function",
    "tidy",
]

_KINDS = {
    "Conv2d": "conv2d",
    "BatchNorm2d": "batch_norm",
    "SyncBatchNorm": "batch_norm",
    "ReLU": "relu",
    "ReLU6": "relu6",
    "LeakyReLU": "leaky_relu",
    "GELU": "gelu",
    "SiLU": "silu",
    "ELU": "elu",
    "SELU": "selu",
    "Mish": "mish",
    "Hardswish": "hardswish",
    "Hardsigmoid": "hardsigmoid",
    "Softplus": "softplus",
    "Sigmoid": "sigmoid",
    "Tanh": "tanh",
    "Softmax": "softmax",
    "LogSoftmax": "log_softmax",
    "MaxPool2d": "max_pool2d",
    "AvgPool2d": "avg_pool2d",
    "AdaptiveAvgPool2d": "adaptive_avg_pool2d",
    "AdaptiveMaxPool2d": "adaptive_max_pool2d",
    "Linear": "linear",
    "Flatten": "flatten",
    "ZeroPad2d": "pad",
    "ConstantPad2d": "pad",
    "Dropout": "dropout",
    "Dropout2d": "dropout",
    "Identity": "identity",
    "Add": "add",
}

_ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "conv2d": ("kernel_size", "stride", "padding", "dilation", "groups", "padding_mode"),
    "batch_norm": ("eps", "momentum", "training"),
    "max_pool2d": ("kernel_size", "stride", "padding", "dilation", "ceil_mode"),
    "avg_pool2d": ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override"),
    "adaptive_avg_pool2d": ("output_size",),
    "flatten": ("start_dim", "end_dim"),
    "dropout": ("p", "training"),
    "leaky_relu": ("negative_slope",),
    "elu": ("alpha",),
    "gelu": ("approximate",),
    "softplus": ("beta", "threshold"),
    "softmax": ("dim",),
    "log_softmax": ("dim",),
    "pad": ("padding", "value"),
    "mean": ("dim", "keepdim"),
    "clamp": ("min", "max"),
    "hardtanh": ("min_val", "max_val"),
}

_PAIRS = {"kernel_size", "stride", "padding", "dilation", "output_size"}

IDLE = frozenset({"identity", "dropout", "contiguous", "clone", "to", "type", "float", "detach", "data", "type_as",
                  "feature_dropout", "alpha_dropout", "dropout2d", "requires_grad", "cpu", "alias", "half", "double",
                  "bfloat16"})  # fmt: skip
"""Kinds that give back what they are given, in eval mode; whether one really does is seen when it is run."""

MOVING = frozenset({"flatten", "view", "reshape", "squeeze", "unsqueeze", "permute", "transpose", "getitem", "pad",
                    "t", "T", "unflatten", "expand", "narrow", "select", "swapaxes", "movedim", "view_as",
                    "reshape_as", "moveaxis"})  # fmt: skip
"""Kinds that only move numbers, or put constants beside them."""

ARITHMETIC = frozenset({"add", "sub", "rsub", "mul", "div", "truediv", "shift", "scale", "pow", "sqrt", "rsqrt",
                        "reciprocal", "neg", "square", "mean", "sum", "clamp", "clamp_min", "maximum", "gt", "ge",
                        "where", "amax", "max", "unfold", "matmul", "mm", "bmm", "einsum", "fold", "addmm", "baddbmm",
                        "as_strided", "tensordot", "lt", "le", "type", "zeros_like", "relu", "abs"})  # fmt: skip
"""Kinds from which people build a layer by hand."""

PLAIN = frozenset({"conv2d", "batch_norm", "relu", "max_pool2d", "avg_pool2d", "adaptive_avg_pool2d", "linear", "add",
                   "mean", "relu6", "leaky_relu", "gelu", "silu", "elu", "adaptive_max_pool2d", "hardtanh", "sigmoid",
                   "cat", "add_relu", "tanh", "selu", "mish", "hardswish", "hardsigmoid", "softplus", "softmax",
                   "log_softmax"}) | IDLE | MOVING  # fmt: skip
"""Kinds that stand for a layer of a network by themselves, so that a class made of them need not be one operation."""

LOOKING = frozenset({"bool", "item", "tolist", "numpy", "float_", "int", "index", "array", "equal", "allclose"})
"""Functions that give a network's code a value to look at, instead of a tensor to go on with."""

_FAMILIES: tuple[frozenset[str], ...] = (
    frozenset({"relu", "relu6", "leaky_relu", "gelu", "silu", "elu", "sigmoid", "tanh", "hardtanh", "clamp", "selu",
               "clamp_min", "maximum", "softplus", "hardswish", "mish", "celu", "prelu", "threshold", "softmax",
               "hardsigmoid", "log_softmax"}),
    frozenset({"max_pool2d", "avg_pool2d", "lp_pool2d", "adaptive_max_pool2d"}),
    frozenset({"adaptive_avg_pool2d", "mean", "sum", "avg_pool2d", "adaptive_max_pool2d", "amax"}),
    frozenset({"flatten", "view", "reshape", "squeeze", "getitem"}),
    frozenset({"add", "sub", "cat"}),
    frozenset({"linear", "matmul"}),
    frozenset({"batch_norm", "group_norm", "layer_norm", "instance_norm"}),
)  # fmt: skip


_SYNONYMS = {"truediv": "div", "true_divide": "div", "mm": "matmul", "multiply": "mul", "subtract": "sub"}


def kind_of_class(name: str) -> str:
    """The kind of a layer by its class's name; a class nobody knows is its own kind."""
    return _KINDS.get(name, name)


def kind_of_function(name: str) -> str:
    """The kind of a function or method by its name: `__iadd__`, `add_` and `__radd__` are all `add`.

    Source: torchvision's ids, which name such nodes for the plain function.
    """
    bare = name.strip("_")
    if name.startswith("__") and bare[:1] in "ri" and bare[1:] in {"add", "sub", "mul", "truediv", "matmul"}:
        bare = bare[1:]
    return _SYNONYMS.get(bare, bare)


def family(one: str, other: str) -> bool:
    """Whether two kinds do the same job, so that one may stand where the other is expected."""
    return one == other or any(one in kinds and other in kinds for kinds in _FAMILIES)


def attributes_of(kind: str, layer: object) -> dict[str, object]:
    """The attributes that matter for `kind`, read off `layer`, sizes as pairs."""
    return tidy(kind, {name: getattr(layer, name) for name in _ATTRIBUTES.get(kind, ()) if hasattr(layer, name)})


def tidy(kind: str, found: Mapping[str, object]) -> dict[str, object]:
    """The attributes that matter for `kind`, sizes as pairs, a pooling's stride spelled out."""
    kept = {name: found[name] for name in _ATTRIBUTES.get(kind, ()) if name in found}
    if kind in {"max_pool2d", "avg_pool2d"} and not kept.get("stride"):
        kept["stride"] = kept.get("kernel_size")
    if kept.get("padding_mode") == "zeros":
        del kept["padding_mode"]
    tidied = {name: _pair(value) if name in _PAIRS and kind != "pad" else value for name, value in kept.items()}
    if isinstance(tidied.get("padding"), str):
        tidied["padding"] = _in_numbers(tidied)
    return tidied


def _in_numbers(attributes: Mapping[str, object]) -> object:
    """`valid` and `same` as numbers; as they are where more is padded on one side than on the other."""
    padding, kernel_size = attributes["padding"], attributes.get("kernel_size")
    dilation = attributes.get("dilation", (1, 1))
    if padding == "valid":
        return (0, 0)
    if not isinstance(kernel_size, tuple) or not isinstance(dilation, tuple):
        return padding
    spans = [d * (k - 1) for k, d in zip(kernel_size, dilation, strict=True)]
    return padding if any(span % 2 for span in spans) else tuple(span // 2 for span in spans)


def _pair(value: object) -> object:
    if isinstance(value, int):
        return (value, value)
    if isinstance(value, (list, tuple)):
        return tuple(value) * 2 if len(value) == 1 else tuple(value)
    return value
