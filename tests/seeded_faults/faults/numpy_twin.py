"""Faults in our NumPy network: attributes, arrays, and layers that are wrapped."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .hosts import Host
from .model import Fault, exactly, within
from .structure import identity_blocks, projection_norms, strided_basics

__all__ = ["NUMPY"]

Array = np.ndarray[Any, Any]
HERE = ("numpy18",)


def at(network: Any, layer: str) -> tuple[Any, str]:
    """The layer that holds a layer, and its name in it."""
    path, _, name = layer.rpartition(".")
    holder = dict(network.named_layers())[path]
    return holder, name


def of(network: Any, layer: str) -> Any:
    return dict(network.named_layers())[layer]


def attribute(**values: Any) -> Callable[[Any, str], None]:
    def plant(network: Any, layer: str) -> None:
        for name, value in values.items():
            assert hasattr(of(network, layer), name)
            setattr(of(network, layer), name, value)

    return plant


def array(name: str, change: Callable[[Array], Array]) -> Callable[[Any, str], None]:
    def plant(network: Any, layer: str) -> None:
        arrays = of(network, layer).arrays
        arrays[name] = np.ascontiguousarray(change(arrays[name]))

    return plant


def computes(forward: Callable[[Any, Any, Array], Array]) -> Callable[[Any, str], None]:
    """The layer's class is one with another forward: `forward(self, super_forward, x)`."""

    def plant(network: Any, layer: str) -> None:
        one = of(network, layer)
        base = type(one)

        def own(self: Any, x: Array) -> Array:
            return forward(self, lambda value: base.forward(self, value), x)

        one.__class__ = type(base.__name__, (base,), {"forward": own})

    return plant


def block(forward: Callable[[Any, Array], Array]) -> Callable[[Any, str], None]:
    def plant(network: Any, layer: str) -> None:
        one = of(network, layer)
        one.__class__ = type(type(one).__name__, (type(one),), {"forward": forward})

    return plant


def swapped_arrays(first: str, second: str) -> Callable[[Any, str], None]:
    def plant(network: Any, layer: str) -> None:
        arrays = of(network, layer).arrays
        arrays[first], arrays[second] = arrays[second], arrays[first]

    return plant


def replaced(make: Callable[[Any], Any]) -> Callable[[Any, str], None]:
    def plant(network: Any, layer: str) -> None:
        holder, name = at(network, layer)
        setattr(holder, name, make(getattr(holder, name)))

    return plant


def stride_second(network: Any, name: str) -> None:
    of(network, f"{name}.conv1").stride = (1, 1)
    of(network, f"{name}.conv2").stride = (2, 2)


def not_forward_norm(network: Any, layer: str) -> None:
    path, _, _ = layer.rpartition(".")
    holder = of(network, path)
    holder.__class__ = type(
        "Sequential", (type(holder),), {"forward": lambda self, x: next(iter(self.children()))[1](x)}
    )


def skipped(network: Any, name: str) -> None:
    one = of(network, name)
    one.__class__ = type(type(one).__name__, (type(one),), {"forward": lambda self, x: x})


def no_first_relu(self: Any, x: Array) -> Array:
    out = self.bn2(self.conv2(self.bn1(self.conv1(x))))
    return self.relu(self.add(out, x))


def no_last_relu(self: Any, x: Array) -> Array:
    return self.add(self.residual(x), x)


def relu_then_add(self: Any, x: Array) -> Array:
    return self.relu(self.add(self.relu(self.residual(x)), x))


def no_shortcut(self: Any, x: Array) -> Array:
    return self.relu(self.residual(x))


def norm_after_relu(self: Any, x: Array) -> Array:
    out = self.bn2(self.conv2(self.bn1(self.relu(self.conv1(x)))))
    return self.relu(self.add(out, x))


def wide(host: Host) -> list[str]:
    return [layer for layer in host.kind("conv2d") if "downsample" not in layer]


def norms(host: Host) -> list[str]:
    return host.kind("batch_norm")


def statistics(self: Any, _super: Any, x: Array) -> Array:
    mean, var = x.mean((0, 2, 3), keepdims=True), x.var((0, 2, 3), keepdims=True)
    shape = (1, -1, 1, 1)
    return (x - mean) / np.sqrt(var + x.dtype.type(1e-5)) * self.weight.reshape(shape) + self.bias.reshape(shape)


def outside(self: Any, _super: Any, x: Array) -> Array:
    shape = (1, -1, 1, 1)
    scale = (np.sqrt(self.running_var) + x.dtype.type(1e-5)).reshape(shape)
    return (x - self.running_mean.reshape(shape)) / scale * self.weight.reshape(shape) + self.bias.reshape(shape)


def half(x: Array) -> Array:
    return x.astype(np.float16).astype(x.dtype)


def tf32(x: Array) -> Array:
    """Eleven significant bits; Dekker's splitting."""
    factor = x.dtype.type(2.0 ** ((24 if x.dtype == np.float32 else 53) - 11) + 1)
    return x * factor - (x * factor - x)


def rounded(self: Any, forward: Any, x: Array, rounding: Callable[[Array], Array]) -> Array:
    """The layer with input and weights rounded; in half precision so is what it gives."""
    own = self.arrays["weight"]
    self.arrays["weight"] = rounding(own)
    y: Array = forward(rounding(x))
    self.arrays["weight"] = own
    return half(y) if rounding is half else y


def biased(conv: Any) -> Any:
    conv.bias = np.linspace(-0.3, 0.3, conv.out_channels, dtype=np.float32)
    return conv


def only(layer: str) -> Callable[[Host], list[str]]:
    return lambda host: [layer]


def fault(code: str, name: str, title: str, plant: Any, places: Any, truths: Any = None, **more: Any) -> Fault:
    chosen = {"truths": truths} if truths else {}
    return Fault(
        code, f"numpy-{name}", title, plant, places, hosts=HERE, **{"count": 2, "keep": True, **chosen, **more}
    )


NUMPY: tuple[Fault, ...] = (
    fault("A2", "stride-on-second", "the stride is on the second convolution", stride_second, strided_basics,
          lambda host, b: exactly(f"{b}.conv1", f"{b}.conv2")),
    fault("A4", "block-missing", "a block is not called", skipped, lambda host: [b for b in host.blocks if b.endswith(".1")],
          lambda host, b: exactly(*host.of(b)), why_causes=""),
    fault("A5", "no-shortcut", "the shortcut is not added", block(no_shortcut), identity_blocks,
          lambda host, b: exactly(f"{b}.add")),
    fault("A7", "no-norm", "no batch norm on the projection", not_forward_norm, projection_norms),
    fault("A16", "dilated", "dilation 2", attribute(dilation=(2, 2), padding=(2, 2)),
          lambda host: ["layer1.0.conv1", "layer2.1.conv1", "layer4.1.conv2"], count=1),
    fault("B2", "stem-padding", "the stem is padded by 2", attribute(padding=(2, 2)), only("conv1"), count=1),
    fault("B3", "turned", "kernels are turned around", array("weight", lambda w: w[:, :, ::-1, ::-1]), wide, count=2),
    fault("B4", "reshaped", "kernels are reshaped",
          array("weight", lambda w: w.reshape(w.shape[2], w.shape[3], w.shape[1], w.shape[0]).transpose(3, 2, 0, 1)), wide),
    fault("B5", "transposed", "rows and columns of the kernel are swapped", array("weight", lambda w: w.swapaxes(2, 3)), wide),
    fault("B8", "bias", "a bias before the batch norm", replaced(biased), wide, count=1),
    fault("C1", "eps", "eps is 1e-3", attribute(eps=1e-3), norms, count=2),
    fault("C4", "swapped", "mean and variance are swapped", swapped_arrays("running_mean", "running_var"), norms),
    fault("C7", "eps-outside", "eps is added behind the root", computes(outside), norms, count=2),
    fault("C8", "factor", "the scale factor was not applied",
          lambda n, layer: (array("running_mean", lambda a: a * np.float32(10))(n, layer),
                            array("running_var", lambda a: a * np.float32(10))(n, layer)), norms),
    fault("C9", "gamma-one", "the scale is one", array("weight", np.ones_like), norms, causes=("C9", "G1"),
          why_causes="a scale of one is that of a fresh layer"),
    fault("C11", "at-init", "statistics at their first values",
          lambda n, layer: (array("running_mean", np.zeros_like)(n, layer), array("running_var", np.ones_like)(n, layer)),
          norms, causes=("C11", "G4"), why_causes="never updated or never loaded is the same"),
    fault("D3", "no-padding", "the max-pool does not pad", attribute(padding=(0, 0)), only("maxpool"), count=1),
    fault("D5", "ceil", "the max-pool rounds up", attribute(ceil_mode=True), only("maxpool"), count=1),
    fault("D7", "maximum", "the maximum for the mean", computes(lambda s, f, x: x.max((2, 3), keepdims=True)), only("avgpool"), count=1),
    fault("E1", "inside", "no ReLU inside a block", block(no_first_relu), identity_blocks,
          lambda host, b: exactly(f"{b}.relu"), causes=("E1", "E2"), why_causes="see E1 inside"),
    fault("E2", "after-add", "no ReLU behind the addition", block(no_last_relu), identity_blocks,
          lambda host, b: exactly(f"{b}.relu_1")),
    fault("E3", "before-add", "a ReLU before the addition", block(relu_then_add), identity_blocks,
          lambda host, b: exactly(f"{b}.add"), count=1),
    fault("E4", "norm-behind-relu", "conv, relu, bn", block(norm_after_relu), identity_blocks,
          lambda host, b: within(f"{b}.bn1", f"{b}.relu"), count=1),
    fault("G3", "exchanged", "two convolutions have each other's weights",
          lambda n, b: _exchange(n, f"{b}.conv1", f"{b}.conv2"), identity_blocks,
          lambda host, b: exactly(f"{b}.conv1", f"{b}.conv2"), count=1),
    fault("G5", "zero-gamma", "the last norm's scale is zero", array("weight", np.zeros_like),
          lambda host: [f"{b}.bn2" for b in host.blocks]),
    fault("H1", "tf32", "products of ten bits of mantissa", computes(lambda s, f, x: rounded(s, f, x, tf32)), wide),
    fault("H2", "half", "computed in float16", computes(lambda s, f, x: rounded(s, f, x, half)), wide),
    fault("K5", "batch-statistics", "statistics of the batch", computes(statistics), norms, causes=("K5", "K1"),
          why_causes="batch statistics in eval, whatever the reason", batch=2),
)  # fmt: skip


def _exchange(network: Any, first: str, second: str) -> None:
    a, b = of(network, first).arrays, of(network, second).arrays
    a["weight"], b["weight"] = b["weight"], a["weight"]
