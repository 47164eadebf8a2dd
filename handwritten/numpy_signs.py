"""A ResNet-50 that tells six hand signs apart, in NumPy: the digits 0 to 5 on photos of 64x64.

The body is `numpy_resnet`'s. An image of 64x64 leaves it as a map of 2x2, of which the head takes the mean by a pooling
of that size, so that 2,048 features remain.

Source: the network of the deep-learning courses' exercise "residual networks" on the SIGNS photos; He et al. 2015.
"""

from __future__ import annotations

import numpy as np

from layerdiff.handwritten.configurations import configuration
from layerdiff.handwritten.numpy_layers import AvgPool2d
from layerdiff.handwritten.numpy_ops import Grade
from layerdiff.handwritten.numpy_resnet import ResNet

__all__ = ["SignsResNet", "build"]


class SignsResNet(ResNet):
    """Classifies (n, 3, 64, 64) images of hand signs; of another size the features do not fit the last layer.

    Args:
        grade: of the convolutions, see `numpy_ops.conv2d`.
        num_classes: logits.
    """

    def __init__(self, *, grade: Grade = "gemm", num_classes: int = 6) -> None:
        super().__init__(configuration("resnet50"), grade=grade, num_classes=num_classes)
        self.avgpool = AvgPool2d(2)


def build(*, grade: Grade = "gemm", num_classes: int = 6, seed: int = 0) -> SignsResNet:
    """The network in eval mode, float32, its weights drawn from `seed` as `numpy_resnet.build` draws them.

    Raises:
        ValueError: there is no such grade.
    """
    network = SignsResNet(grade=grade, num_classes=num_classes)
    generator = np.random.default_rng(seed)
    for _, layer in network.named_layers():
        layer.initialise(generator)
    return network
