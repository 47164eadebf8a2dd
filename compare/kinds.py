"""One vocabulary for operations, whoever wrote them: kinds by torch.nn.functional's names, attributes by torch.nn's."""

from __future__ import annotations

__all__ = ["attributes_of", "kind_of_class", "kind_of_function"]

_KINDS = {
    "Conv2d": "conv2d",
    "BatchNorm2d": "batch_norm",
    "ReLU": "relu",
    "MaxPool2d": "max_pool2d",
    "AvgPool2d": "avg_pool2d",
    "AdaptiveAvgPool2d": "adaptive_avg_pool2d",
    "Linear": "linear",
    "Flatten": "flatten",
    "Dropout": "dropout",
    "Identity": "identity",
    "Add": "add",
}

_ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "conv2d": ("kernel_size", "stride", "padding", "dilation", "groups"),
    "batch_norm": ("eps", "momentum", "training"),
    "max_pool2d": ("kernel_size", "stride", "padding", "dilation", "ceil_mode"),
    "avg_pool2d": ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override"),
    "adaptive_avg_pool2d": ("output_size",),
    "flatten": ("start_dim", "end_dim"),
    "dropout": ("p", "training"),
}

_PAIRS = {"kernel_size", "stride", "padding", "dilation", "output_size"}


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
    return bare


def attributes_of(kind: str, layer: object) -> dict[str, object]:
    """The attributes that matter for `kind`, read off `layer`, sizes as pairs."""
    found = {name: getattr(layer, name) for name in _ATTRIBUTES.get(kind, ()) if hasattr(layer, name)}
    return {name: _pair(value) if name in _PAIRS else value for name, value in found.items()}


def _pair(value: object) -> object:
    if isinstance(value, int):
        return (value, value)
    return tuple(value) if isinstance(value, list) else value
