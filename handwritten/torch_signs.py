"""A ResNet-50 that tells six hand signs apart, in torch: the digits 0 to 5 on photos of 64x64.

The body is `torch_resnet`'s. An image of 64x64 leaves it as a map of 2x2, of which the head takes the mean by a pooling
of that size, so that 2,048 features remain. The NumPy twin's tensors load as they are, and the other way round.

Source: the network of the deep-learning courses' exercise "residual networks" on the SIGNS photos; He et al. 2015.
"""

from __future__ import annotations

from layerdiff.handwritten.configurations import configuration
from layerdiff.handwritten.torch_layers import AvgPool2d
from layerdiff.handwritten.torch_resnet import ResNet

__all__ = ["SignsResNet", "build"]


class SignsResNet(ResNet):
    """Classifies (n, 3, 64, 64) images of hand signs; of another size the features do not fit the last layer.

    Args:
        num_classes: logits.
    """

    def __init__(self, *, num_classes: int = 6) -> None:
        super().__init__(configuration("resnet50"), num_classes=num_classes)
        self.avgpool = AvgPool2d(2)


def build(*, num_classes: int = 6) -> SignsResNet:
    """The network in training mode as torch builds them, freshly initialised."""
    return SignsResNet(num_classes=num_classes)
