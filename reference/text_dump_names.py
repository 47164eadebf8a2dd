"""What a text dump's files are called and how their values are laid out.

The tensor `layer1.0.downsample.1.bias` of resnet50 lies in `resnet50_layer1_bottleneck0_downsample_batchnorm_bias.txt`;
the blocks of resnet18 and resnet34 are called `basicblock0`. Convolution kernels are laid out (c_out, kh, kw, c_in).
Beside its tensors a convolution has a `_param.txt` with `[in, out, kernel, stride, pad]`, a batch norm one with
`[eps, momentum]`, and the linear layer none. The format has no place for groups or dilation, which are the
architecture's.

Source: the parser of the GitHub repository dongtuoc/cv_learning_resnet50, whose dumps these are.
"""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray
from torch import nn

from layerdiff.reference.architectures import blank_network, expected_tensors

__all__ = ["from_dump_layout", "param_files", "tensor_files", "to_dump_layout"]


def tensor_files(architecture: str) -> dict[str, str]:
    """Returns the file of each tensor, `{"resnet50_conv1_weight.txt": "conv1.weight", ...}`."""
    return {f"{_stem(architecture, name)}.txt": name for name in expected_tensors(architecture)}


def param_files(architecture: str) -> dict[str, tuple[float, ...]]:
    """Returns what each `_param.txt` holds, `{"resnet50_conv1_param.txt": (3, 64, 7, 2, 3), ...}`."""
    params: dict[str, tuple[float, ...]] = {}
    for layer, module in blank_network(architecture).named_modules():
        file = f"{_stem(architecture, layer)}_param.txt"
        if isinstance(module, nn.Conv2d):
            sizes = (module.kernel_size[0], module.stride[0], int(module.padding[0]))
            params[file] = (module.in_channels, module.out_channels, *sizes)
        elif isinstance(module, nn.BatchNorm2d):
            params[file] = (module.eps, module.momentum or 0.0)

    return params


def to_dump_layout(value: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns the values in the dump's order, (size,), which is (c_out, kh, kw, c_in) for a kernel."""
    return np.moveaxis(value, 1, -1).ravel() if value.ndim == 4 else value.ravel()


def from_dump_layout(values: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Returns the values of a dump, (size,), in `shape`, torchvision's (c_out, c_in, kh, kw) for a kernel."""
    if len(shape) != 4:
        return values.reshape(shape)
    c_out, c_in, kh, kw = shape
    return np.moveaxis(values.reshape(c_out, kh, kw, c_in), -1, 1)


def _stem(architecture: str, name: str) -> str:
    block = "basicblock" if architecture in ("resnet18", "resnet34") else "bottleneck"
    name = re.sub(r"^(layer\d)\.(\d+)\.", rf"\1_{block}\2_", name)
    name = name.replace("downsample.0", "downsample_conv2d").replace("downsample.1", "downsample_batchnorm")
    return f"{architecture}_{name.replace('.', '_')}"
