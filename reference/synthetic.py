"""Made-up weights that behave like trained ones: every parameter matters and activations keep their size.

A fresh random network hides bugs: with γ = 1, β = 0, mean 0 and variance 1, a batch norm that forgets any of them is
right. Here all are drawn away from their defaults, a fifth of the γ is negative, and some channels vary so little that
eps matters. The running statistics are then measured on made-up pictures, in one pass through the network.

The same seed gives the same bytes on every machine. Draws are uniform, from NumPy's generator, and what is done to
them is additions, multiplications and square roots, which are the same everywhere. The measurement runs in float64,
where kernels and thread counts differ by 1e-15, and is rounded to 1 part in 64, in which that has no chance to show.
"""

from __future__ import annotations

import math
import zlib
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from layerdiff.reference.architectures import blank_network, expected_tensors

__all__ = ["synthetic_state"]

_PICTURES = 4
_SIDE = 96
_LEAST_VARIANCE = 1e-7  # a channel that every picture leaves dark is still divided by something


def synthetic_state(architecture: str, seed: int) -> dict[str, NDArray[np.float32]]:
    """Makes up the tensors of a network.

    Args:
        architecture: one of `ARCHITECTURES`.
        seed: any number from 0.

    Returns:
        Torchvision's name to float32 array, in torchvision's order.

    Raises:
        InputError: no such architecture.
    """
    shapes = expected_tensors(architecture)
    last_norm = "bn3" if "layer1.0.bn3.weight" in shapes else "bn2"
    state = {name: _draw(name, shape, seed, last_norm) for name, shape in shapes.items()}
    network = blank_network(architecture)
    doubles = {name: torch.from_numpy(value.astype(np.float64)) for name, value in state.items()}
    network.load_state_dict(doubles, strict=False, assign=True)  # the batch counters stay on the meta device
    _calibrate(network.eval(), state, _pictures(seed))
    return state


def _generator(seed: int, name: str) -> np.random.Generator:
    """Returns a generator for one tensor, so that no tensor depends on how many were drawn before it."""
    return np.random.default_rng([seed, zlib.crc32(name.encode())])


def _uniform(rng: np.random.Generator, low: float, high: float, size: int | tuple[int, ...]) -> NDArray[np.float32]:
    drawn: NDArray[np.float32] = rng.random(size, dtype=np.float32)
    drawn *= np.float32(high - low)  # in place: a new array of this size takes longer than the product
    drawn += np.float32(low)
    return drawn


def _draw(name: str, shape: tuple[int, ...], seed: int, last_norm: str) -> NDArray[np.float32]:
    """Draws a tensor; for running statistics, by how much they will differ from what is measured."""
    rng = _generator(seed, name)
    layer, kind = name.rsplit(".", 1)
    if len(shape) == 4:
        return _kernel(rng, shape)
    if layer == "fc":
        bound = math.sqrt(3 / shape[-1]) if kind == "weight" else 0.5
        return _uniform(rng, -bound, bound, shape)
    if kind == "weight":
        return _gamma(rng, shape, ends_block=layer.startswith("layer") and layer.endswith(last_norm))
    low, high = {"bias": (-0.3, 0.5), "running_mean": (-0.2, 0.2), "running_var": (0.8, 1.25)}[kind]
    return _uniform(rng, low, high, shape)


def _kernel(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Draws a kernel that keeps the size of activations, but for a sixteenth of its filters, which are faint.

    Those are 2⁻⁷ of the usual size: a usual variance of about 1 becomes 1e-5 to 1e-4, little more than eps.
    """
    bound = math.sqrt(6 / math.prod(shape[1:]))
    sizes = _uniform(rng, 0.5, 1.5, shape[0])
    sizes[rng.random(shape[0]) < 1 / 16] *= np.float32(2.0**-7)
    kernel = _uniform(rng, -bound, bound, shape)
    kernel *= sizes[:, None, None, None]
    return kernel


def _gamma(rng: np.random.Generator, shape: tuple[int, ...], *, ends_block: bool) -> NDArray[np.float32]:
    """Draws γ, a fifth of it negative; small at the end of a block, or the blocks would add up without bound."""
    low, high = (0.2, 0.5) if ends_block else (0.5, 1.2)
    gamma = _uniform(rng, low, high, shape)
    gamma[rng.random(shape) < 0.2] *= -1
    return gamma


def _pictures(seed: int) -> torch.Tensor:
    """Makes up normalised pictures, float64 (n, 3, h, w), with patches of every size and colours that go together."""
    rng = _generator(seed, "pictures")
    pictures = np.zeros((_PICTURES, 3, _SIDE, _SIDE))
    for cells in (1, 2, 3, 6, 12, 24, 48, 96):
        grey, colour = rng.random((_PICTURES, 1, cells, cells)), rng.random((_PICTURES, 3, cells, cells))
        patch = np.ones((1, 1, _SIDE // cells, _SIDE // cells))
        pictures += np.kron(1.5 * grey + 0.5 * colour - 1.0, patch)

    return torch.from_numpy(pictures)


def _calibrate(network: nn.Module, state: dict[str, NDArray[np.float32]], pictures: torch.Tensor) -> None:
    """Sets every running statistic and the last layer from one pass: each layer sees those before it already set."""
    for name, module in network.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            module.register_forward_pre_hook(partial(_set_statistics, state, name))
        elif isinstance(module, nn.Linear):
            module.register_forward_pre_hook(partial(_set_logits, state, name))
    with torch.inference_mode():
        network(pictures)


def _set_statistics(
    state: dict[str, NDArray[np.float32]], name: str, norm: nn.Module, inputs: tuple[torch.Tensor]
) -> None:
    """Sets mean and variance to those of the input, (n, c, h, w), moved by the offsets that were drawn."""
    var, mean = (value.numpy() for value in torch.var_mean(inputs[0], dim=(0, 2, 3), correction=0))
    var = _coarse(np.maximum(var, _LEAST_VARIANCE), 6)
    std = _coarse(np.sqrt(var), 1)
    mean = np.round(mean / std * 64) / 64 * std
    measured = {
        "running_mean": mean + state[f"{name}.running_mean"] * std,
        "running_var": var * state[f"{name}.running_var"],
    }
    for kind, value in measured.items():
        state[f"{name}.{kind}"] = value.astype(np.float32)
        getattr(norm, kind).copy_(torch.from_numpy(state[f"{name}.{kind}"]))


def _set_logits(
    state: dict[str, NDArray[np.float32]], name: str, linear: nn.Module, inputs: tuple[torch.Tensor]
) -> None:
    """Centres the logits of the made-up pictures and scales them by a power of two to a deviation from 1/2 to 1.

    Uncentred, what all pictures have in common would choose the same class for each. Photos spread wider.
    """
    features = inputs[0].numpy()
    weight = state[f"{name}.weight"].astype(np.float64)
    common = features.mean(axis=0)
    scale = 2.0 ** -np.frexp(np.std((features - common) @ weight.T))[1]
    state[f"{name}.weight"] *= np.float32(scale)
    state[f"{name}.bias"] -= (np.round(weight @ common * scale * 64) / 64).astype(np.float32)


def _coarse(values: NDArray[np.float64], bits: int) -> NDArray[np.float64]:
    """Rounds positive values to so many significant bits."""
    mantissa, exponent = np.frexp(values)
    rounded: NDArray[np.float64] = np.ldexp(np.round(np.ldexp(mantissa, bits)), exponent - bits)
    return rounded
