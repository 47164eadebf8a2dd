"""The NumPy twin layer by layer and fast: every layer's output an array of its own, to be looked at.

It stands between two others. `numpy_resnet` is written to be read, and makes a new array for every layer. `fused` gives
the logits alone: it folds batch norms away and keeps nothing. Here every layer of torchvision's network is computed as
it stands there, no two of them made into one, by the fused network's means where they change no result: arrays
allocated once, channels last, products in blocks that the BLAS need not pack, Python threads.

Begin with `network`, then `plan` and `convolution`:

    parts          convolutions and batch norms as they are
    convolution    a product for a band of rows
    following      batch norm, sum and rectifier of the same rows, while they are in the cache
    pooling        the pooling of the stem
    head           the mean over the image and the last layer
"""

from layerdiff.handwritten.kept.network import KeptResNet, build

__all__ = ["KeptResNet", "build"]
