"""torch's functions as operations: which argument is what, which of them are parameters, and which attributes matter.

Source: the signatures of torch.nn.functional and of the functions of the same name in torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from layerdiff.compare.kinds import kind_of_function, tidy

__all__ = ["ROLES", "argument_name", "name_of_function", "named_arguments", "places_of", "settings"]

ROLES = ("weight", "bias", "running_mean", "running_var")
"""What a parameter of an operation can be, by torch's names."""

_SIGNATURES: dict[str, tuple[str, ...]] = {
    "conv2d": ("input", "weight", "bias", "stride", "padding", "dilation", "groups"),
    "linear": ("input", "weight", "bias"),
    "batch_norm": ("input", "running_mean", "running_var", "weight", "bias", "training", "momentum", "eps"),
    "max_pool2d": ("input", "kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices"),
    "avg_pool2d": ("input", "kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override"),
    "adaptive_avg_pool2d": ("input", "output_size"),
    "flatten": ("input", "start_dim", "end_dim"),
    "dropout": ("input", "p", "training", "inplace"),
    "leaky_relu": ("input", "negative_slope", "inplace"),
    "elu": ("input", "alpha", "inplace"),
    "gelu": ("input", "approximate"),
    "softplus": ("input", "beta", "threshold"),
    "softmax": ("input", "dim"),
    "log_softmax": ("input", "dim"),
    "mean": ("input", "dim", "keepdim"),
    "pad": ("input", "padding", "mode", "value"),
    "clamp": ("input", "min", "max"),
    "hardtanh": ("input", "min_val", "max_val"),
    "max_pool2d_with_indices": ("input", "kernel_size", "stride", "padding", "dilation", "ceil_mode"),
}

_TORCH_BATCH_NORM = ("input", "weight", "bias", "running_mean", "running_var", "training", "momentum", "eps")

_DEFAULTS: dict[str, dict[str, object]] = {
    "conv2d": {"stride": 1, "padding": 0, "dilation": 1, "groups": 1},
    "batch_norm": {"training": False, "momentum": 0.1, "eps": 1e-5},
    "max_pool2d": {"stride": None, "padding": 0, "dilation": 1, "ceil_mode": False},
    "avg_pool2d": {"stride": None, "padding": 0, "ceil_mode": False, "count_include_pad": True,
                   "divisor_override": None},
    "flatten": {"start_dim": 0, "end_dim": -1},
    "dropout": {"p": 0.5, "training": True},
    "leaky_relu": {"negative_slope": 0.01},
    "elu": {"alpha": 1.0},
    "gelu": {"approximate": "none"},
    "softplus": {"beta": 1, "threshold": 20},
    "mean": {"dim": None, "keepdim": False},
    "pad": {"value": 0},
}  # fmt: skip

_OTHER_NAMES = {"self": "input", "pad": "padding", "axis": "dim", "kernel": "kernel_size"}


def name_of_function(function: Callable[..., Any]) -> str:
    """The kind of a torch function: `relu_` is `relu`, `Tensor.T` is `T`, `torch.clamp(x, min=0)` stays `clamp`."""
    name = getattr(function, "__name__", type(function).__name__)
    if name == "__get__":
        name = getattr(getattr(function, "__self__", None), "__name__", name)
    return kind_of_function(name)


def named_arguments(
    function: Callable[..., Any], kind: str, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> dict[str, Any]:
    """The arguments of a call by name, as far as the function's signature is known here."""
    names = places_of(function, kind)
    if kind == "mean" and len(args) > 2 and not isinstance(args[1], (tuple, list)) and not isinstance(args[2], bool):
        args = (args[0], tuple(args[1:]))
    return dict(zip(names, args, strict=False)) | {argument_name(name): v for name, v in kwargs.items()}


def places_of(function: Callable[..., Any], kind: str) -> tuple[str, ...]:
    """The names of a function's arguments in order, as far as its signature is known here."""
    if kind == "batch_norm" and getattr(function, "__module__", None) != "torch.nn.functional":
        return _TORCH_BATCH_NORM
    return _SIGNATURES.get(kind, ("input",))


def argument_name(keyword: str) -> str:
    """The name by which an argument goes here, for a keyword of torch's: `dim` for `axis`."""
    return _OTHER_NAMES.get(keyword, keyword)


def settings(kind: str, named: Mapping[str, Any]) -> dict[str, object]:
    """The attributes that matter for `kind`, out of a call's named arguments, defaults filled in."""
    return tidy(kind, {**_DEFAULTS.get(kind, {}), **named})
