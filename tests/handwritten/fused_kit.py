"""Small networks with weights that all matter, for the tests of the fused network."""

from __future__ import annotations

from functools import cache

import numpy as np

from layerdiff.handwritten.configurations import CONFIGURATIONS, Configuration
from layerdiff.handwritten.fused.winograd_matrices import magnification
from layerdiff.handwritten.numpy_resnet import ResNet

SMALL = {
    "basic": Configuration("basic", (1, 2, 1, 1)),
    "bottleneck": Configuration("bottleneck", (2, 1, 2, 1)),
    "groups": Configuration("bottleneck", (1, 2, 1, 1), groups=32, width_per_group=4),
}


@cache
def network(name, num_classes=12, in_channels=3):
    """The textbook network in float64, its batch norms away from their defaults, some scales negative."""
    config = SMALL.get(name) or CONFIGURATIONS[name]
    net = ResNet(config, num_classes=num_classes, in_channels=in_channels)
    rng = np.random.default_rng(0)
    state = {}
    for key, array in net.state_dict().items():
        values = rng.standard_normal(array.shape, dtype=np.float32)
        if array.ndim > 1:
            values *= np.float32(np.sqrt(2 / array[0].size))
        elif key.endswith("running_var"):
            values = np.abs(values) + np.float32(0.5)
        elif key.endswith("weight"):
            values = np.sign(values + np.float32(0.8)) * np.float32(0.4 if key[-8] in "23" else 0.8)
        else:
            values *= np.float32(0.2)
        state[key] = values
    net.load_state_dict(state)
    return config, state, net.astype(np.float64)


def images(*shape, seed=0):
    """Float64 images of normal values."""
    return np.random.default_rng(seed).standard_normal(shape)


def bound(config, expected, dtype=np.float64):
    """What rounding can come to, to first order.

    A layer's sums have at most 9*512 terms, or 9*1024 in wide networks, and round by that many units at most, times
    what Winograd magnifies; so do the textbook's. Layers add their errors up, as a batch norm keeps an error as large,
    relative to the activations, as it found it.
    """
    terms = 9 * max(config.inner_channels(512), 512)
    layers = 3 * sum(config.blocks) + 2
    return 2 * layers * terms * magnification(4) * np.finfo(dtype).eps * np.abs(expected).max()


def blocks_of(net, x):
    """What the textbook network's pooling, blocks and last layer give, by torchvision's names."""
    found = {}
    relu = "relu_1" if hasattr(net.layer1, "0") and not hasattr(getattr(net.layer1, "0"), "conv3") else "relu_2"
    hooks = []
    for path, layer in net.named_layers():
        name = f"{path}.{relu}" if path.startswith("layer") and path.count(".") == 1 else path
        if name in {"maxpool", "fc"} or name.endswith(relu):
            hooks.append(layer.register_forward_hook(lambda _, __, y, name=name: found.__setitem__(name, y)))
    net(x)
    for remove in hooks:
        remove()
    return found
