"""The NumPy twin for inference alone: the same logits, to within rounding, in a fraction of the time.

Begin with `network`, then `plan`, `residual` and `convolution`; each idea that makes it fast has a file of its own:

    folding        batch norm becomes part of the convolution before it
    pointwise      a 1x1 convolution is a product on the pixels as they lie
    blocks         products in blocks that the BLAS need not pack
    winograd       3x3 convolutions with fewer multiplications
    shifting       a rectifier in one pass
    stem           pooling before the rectifier
    interleaving   what follows on the same rows is done while they are in the cache
    bands, team    rows or channels shared out among Python threads, `barriers` where they must wait
    memory         arrays allocated once, in large pieces

The textbook network is `numpy_resnet`; this one is judged against it and judges nothing.
"""

from layerdiff.handwritten.fused.arguments import usable_cpus
from layerdiff.handwritten.fused.network import FusedResNet, build
from layerdiff.handwritten.fused.tricks import PLAIN, Tricks
from layerdiff.handwritten.fused.winograd_matrices import magnification

__all__ = ["PLAIN", "FusedResNet", "Tricks", "build", "magnification", "usable_cpus"]
