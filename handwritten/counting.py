"""What is counted as work, and by which convention a published figure counts it.

Papers, torchvision and counting tools publish different figures for the same network, because they count different
terms. Here a layer states its terms, and a `Convention` says how much each of them weighs.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

__all__ = ["LAST_USE", "PRODUCTS", "THOP", "Convention", "Work"]


@dataclass(frozen=True)
class Work:
    """The terms of the work that a layer does on one input; numbers of values, over the whole batch.

    Attributes:
        products: of a weight and a value, in convolutions and linear maps.
        conv_biases: outputs of a convolution to which a bias is added.
        linear_biases: outputs of a linear map to which a bias is added.
        normalised: outputs of a batch norm.
        averaged: outputs of an average pooling.
        averaged_taps: values that it sums up for them, padding included.
        adaptive: outputs of an adaptive average pooling.
        adaptive_taps: values that it sums up for them.
    """

    products: int = 0
    conv_biases: int = 0
    linear_biases: int = 0
    normalised: int = 0
    averaged: int = 0
    averaged_taps: int = 0
    adaptive: int = 0
    adaptive_taps: int = 0

    def __add__(self, other: Work) -> Work:
        """The work of both."""
        return Work(*(getattr(self, term.name) + getattr(other, term.name) for term in fields(Work)))


@dataclass(frozen=True)
class Convention:
    """How the terms of the work become one number of multiply-adds, and what is called a parameter.

    Attributes:
        name: of the convention.
        weights: how much one of each term counts; a term at 0 does not.
        each_use: whether a layer that runs several times in one forward pass counts each time, or only as it ran last.
        running_statistics: whether running means and variances are counted among the parameters; ResNet-18 with one
            input channel, ten classes and a stem bias has 11,175,434 without them and 11,185,034 with them.
    """

    name: str
    weights: Work
    each_use: bool = True
    running_statistics: bool = False

    def multiply_adds(self, work: Work) -> int:
        """The multiply-adds of `work`."""
        return sum(getattr(self.weights, term.name) * getattr(work, term.name) for term in fields(Work))


PRODUCTS = Convention("products", Work(products=1))
"""Products of weights and values, and nothing else: how torchvision publishes its figures.

ResNet-50 at 224x224 has 4,089,184,256.
"""

THOP = Convention("thop", Work(products=1, conv_biases=1, normalised=2, averaged=1, adaptive=1, adaptive_taps=1))
"""The products; one for each output of a convolution that has a bias, though none for a linear map's; two for each
output of a batch norm; one for each output of an average pooling, which is its division; for each output of an adaptive
average pooling its division and one for each value it sums up. Activations, max-pooling and additions count nothing
(the tool would count a softmax; no network here has one).

ResNet-18 with one input channel, ten classes and a stem bias has 35,529,728 at 32x32: 35,410,944 products, 16,384 for
the stem's bias, 101,376 for the batch norms, 1,024 for the pooling. LeNet-5 with average pooling has 424,520: 416,520
products, 6,424 for the biases of its three convolutions, 1,576 for its two poolings.

Source: the tool pytorch-OpCounter ("thop") as of 2020, `vision/basic_hooks.py`; later versions count less and more.
"""

LAST_USE = replace(THOP, name="last use", each_use=False)
"""`THOP`, but a layer that runs twice counts only as it ran last, as by a counter that keeps its number on the layer
and overwrites it.

LeNet-5 with one average pooling layer that is used twice has 423,344, a figure published beside 424,520: of 1,176 + 400
outputs of the two poolings the 1,176 are lost. Whoever published it does not say how, and this is one reading of two:
`THOP` gives the same number where the first pooling takes the maximum and the second the mean.
"""
