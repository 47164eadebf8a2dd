"""How weights begin: arrays drawn so that signals neither fade nor grow from layer to layer.

All are float32 and drawn from a generator, so that the same seed gives the same bytes.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from layerdiff.handwritten._checks import refusal
from layerdiff.handwritten.numpy_layer import Layer

__all__ = [
    "Fans",
    "Mode",
    "Nonlinearity",
    "fans",
    "gain",
    "he_normal",
    "he_uniform",
    "normal",
    "ones",
    "torch_default",
    "torch_default_bias",
    "uniform",
    "xavier_normal",
    "xavier_uniform",
    "zero_gamma",
    "zeros",
]

Shape = tuple[int, ...]
Drawn = NDArray[np.float32]
Mode = Literal["fan_in", "fan_out"]
Nonlinearity = Literal["linear", "sigmoid", "tanh", "relu", "leaky_relu", "selu"]


class Fans(NamedTuple):
    """How many weights meet in one value of the output, and in how many one value of the input takes part."""

    fan_in: int
    fan_out: int


def fans(shape: Shape) -> Fans:
    """The fans of a weight: of a linear map (out, in), of a convolution (out, in/groups, kh, kw).

    The fan out is that of torch.nn.init, `out*kh*kw`: it pays heed to neither the groups nor the stride.

    Raises:
        ValueError: fewer than two axes, or an empty one.
    """
    if len(shape) < 2 or 0 in shape:
        raise refusal(
            f"fans: not the shape of a weight, got {shape}, expected (out, in) or (out, in/groups, kh, kw)",
            help="biases and the scales of norms have no fans: they begin at 0 and 1",
        )
    taps = math.prod(shape[2:])
    return Fans(fan_in=shape[1] * taps, fan_out=shape[0] * taps)


def gain(nonlinearity: Nonlinearity, a: float = 0.0) -> float:
    """By which factor weights have to be larger to make up for what `nonlinearity` takes away.

    Args:
        nonlinearity: what the layer's output goes through; "linear" for nothing.
        a: the slope below zero of a leaky relu.

    Raises:
        ValueError: there is none of that name.

    Source: He et al., "Delving Deep into Rectifiers", 2015, equations 10 and 15; torch.nn.init.calculate_gain.
    """
    _check_choice("gain", "nonlinearity", nonlinearity, get_args(Nonlinearity))
    if nonlinearity == "leaky_relu":
        return math.sqrt(2 / (1 + a**2))
    return {"tanh": 5 / 3, "relu": math.sqrt(2), "selu": 3 / 4}.get(nonlinearity, 1.0)


def zeros(shape: Shape) -> Drawn:
    """`shape` of 0, as biases begin."""
    return np.zeros(shape, dtype=np.float32)


def ones(shape: Shape) -> Drawn:
    """`shape` of 1, as the scales of norms begin."""
    return np.ones(shape, dtype=np.float32)


def normal(shape: Shape, generator: np.random.Generator, mean: float = 0.0, std: float = 1.0) -> Drawn:
    """`shape` of values from the normal distribution N(mean, std^2).

    Raises:
        ValueError: `std` is negative or not finite.
    """
    _check_spread("normal", "std", std)
    return generator.standard_normal(shape, dtype=np.float32) * np.float32(std) + np.float32(mean)


def uniform(shape: Shape, generator: np.random.Generator, bound: float) -> Drawn:
    """`shape` of values from the uniform distribution from -bound to bound, of which none lies outside.

    Raises:
        ValueError: `bound` is negative or not finite.
    """
    _check_spread("uniform", "bound", bound)
    edge = np.float32(bound)
    # The nearest float32 may lie outside; compared with a float32, `bound` itself would be rounded to it.
    if float(edge) > bound:
        edge = np.nextafter(edge, np.float32(0))
    # A multiple of 2^-24 below 1, doubled and less 1, is exact: only the product rounds, and never beyond the edge.
    return (2 * generator.random(shape, dtype=np.float32) - 1) * edge


def xavier_uniform(shape: Shape, generator: np.random.Generator, gain: float = 1.0) -> Drawn:
    """Uniform weights of variance `gain^2 * 2/(fan_in + fan_out)`: within ±gain*sqrt(6/(fan_in + fan_out)).

    Args:
        shape: of the weight, as for `fans`.
        generator: draws them.
        gain: see `gain`.

    Raises:
        ValueError: `shape` has no fans.

    Source: Glorot & Bengio, "Understanding the difficulty of training deep feedforward neural networks", 2010,
    equation 16.
    """
    return uniform(shape, generator, gain * math.sqrt(6 / sum(fans(shape))))


def xavier_normal(shape: Shape, generator: np.random.Generator, gain: float = 1.0) -> Drawn:
    """Normal weights of variance `gain^2 * 2/(fan_in + fan_out)`; arguments, errors and source as `xavier_uniform`."""
    return normal(shape, generator, std=gain * math.sqrt(2 / sum(fans(shape))))


def he_normal(
    shape: Shape,
    generator: np.random.Generator,
    mode: Mode = "fan_in",
    nonlinearity: Nonlinearity = "relu",
    a: float = 0.0,
) -> Drawn:
    """Normal weights of variance `gain^2/fan`, also known as MSRA and as Kaiming initialisation.

    Args:
        shape: of the weight, as for `fans`.
        generator: draws them.
        mode: "fan_in" keeps the size of the activations, "fan_out" that of the gradients.
        nonlinearity: see `gain`.
        a: see `gain`.

    Raises:
        ValueError: `shape` has no fans, or there is no such mode or nonlinearity.

    Source: He et al., "Delving Deep into Rectifiers", 2015, section 2.2; torch.nn.init.kaiming_normal_.
    """
    return normal(shape, generator, std=_he_std("he_normal", shape, mode, nonlinearity, a))


def he_uniform(
    shape: Shape,
    generator: np.random.Generator,
    mode: Mode = "fan_in",
    nonlinearity: Nonlinearity = "relu",
    a: float = 0.0,
) -> Drawn:
    """Uniform weights of variance `gain^2/fan`: within ±gain*sqrt(3/fan); all else as `he_normal`."""
    return uniform(shape, generator, math.sqrt(3) * _he_std("he_uniform", shape, mode, nonlinearity, a))


def torch_default(shape: Shape, generator: np.random.Generator) -> Drawn:
    """The weight with which torch's Conv2d and Linear begin: uniform within ±1/sqrt(fan_in).

    Torch writes it as He's with the slope sqrt(5), which makes sqrt(3)*gain equal to 1.

    Raises:
        ValueError: `shape` has no fans.

    Source: torch.nn.Linear.reset_parameters.
    """
    return he_uniform(shape, generator, nonlinearity="leaky_relu", a=math.sqrt(5))


def torch_default_bias(weight_shape: Shape, generator: np.random.Generator) -> Drawn:
    """The bias with which torch's Conv2d and Linear begin: (out,), uniform within ±1/sqrt(fan_in of the weight).

    Raises:
        ValueError: `weight_shape` has no fans.

    Source: torch.nn.Linear.reset_parameters.
    """
    return uniform(weight_shape[:1], generator, 1 / math.sqrt(fans(weight_shape).fan_in))


def zero_gamma(network: Layer) -> list[str]:
    """Sets to zero, in place, the scale of the last norm of every residual branch: each block begins as its shortcut.

    A residual block is a layer that has the residual addition among its own layers, under the name `add`. Its last norm
    is the last of its own layers that has a `running_mean`; the norm of a projection is none of them, since it lies
    within `downsample`. A block without an addition stays as it is, for nothing would get through it.

    Returns:
        The dotted paths of those norms, in the order of the layers.

    Raises:
        ValueError: there is no residual block, or one has no norm with a scale; all of those are named.

    Source: Goyal et al., "Accurate, Large Minibatch SGD", 2017, section 5.1; torchvision's `zero_init_residual`.
    """
    blocks = {path: dict(layer.children()) for path, layer in network.named_layers()}
    last = {path: _last_norm(children) for path, children in blocks.items() if "add" in children}
    missing = [path or "the network itself" for path, name in last.items() if name is None]
    if missing or not last:
        raise refusal(
            f"zero_gamma: no norm to set to zero, got {', '.join(missing) or 'no residual block'}, "
            "expected blocks with an addition called add and norms with a scale",
            help="a network without shortcuts must not begin at zero: nothing would get through",
        )
    for path, name in last.items():
        blocks[path][str(name)].arrays["weight"][...] = 0
    return [f"{path}.{name}" if path else str(name) for path, name in last.items()]


def _last_norm(children: dict[str, Layer]) -> str | None:
    norms = [
        name for name, layer in children.items() if "running_mean" in layer.array_names and "weight" in layer.arrays
    ]
    return norms[-1] if norms else None


def _he_std(where: str, shape: Shape, mode: Mode, nonlinearity: Nonlinearity, a: float) -> float:
    _check_choice(where, "mode", mode, get_args(Mode))
    fan: int = getattr(fans(shape), mode)
    return gain(nonlinearity, a) / math.sqrt(fan)


def _check_choice(where: str, name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise refusal(
            f"{where}: unknown {name}, got {value!r}, expected one of {', '.join(choices)}",
            help="the names are those of torch.nn.init",
        )


def _check_spread(where: str, name: str, value: float) -> None:
    if not 0 <= value < math.inf:
        raise refusal(
            f"{where}: unusable {name}, got {value}, expected a finite number of at least 0",
            help="it says how far from their mean the values lie",
        )
