"""The table of layers, and the published figures with the conventions under which they come out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from torchvision.models import ResNet18_Weights, ResNet50_Weights

from layerdiff.handwritten import numpy_lenet, numpy_resnet
from layerdiff.handwritten.counting import LAST_USE, PRODUCTS, THOP, Work
from layerdiff.handwritten.numpy_layers import AvgPool2d, Conv2d, Layer, Linear, MaxPool2d, ReLU, Sequential
from layerdiff.handwritten.summary import Row, summarise

DIGIT = (1, 1, 32, 32)


def test_the_table_of_lenet():
    """Each use of a layer is a row: its name, kind, output, parameters where they are first used, multiply-adds."""
    summary = summarise(numpy_lenet.build(), DIGIT)
    assert summary.rows == (
        Row("conv1", "Conv2d", (1, 6, 28, 28), 156, 117_600),
        Row("activation", "Tanh", (1, 6, 28, 28), 0, 0),
        Row("pool", "AvgPool2d", (1, 6, 14, 14), 0, 0),
        Row("conv2", "Conv2d", (1, 16, 10, 10), 2_416, 240_000),
        Row("activation_1", "Tanh", (1, 16, 10, 10), 0, 0),
        Row("pool_1", "AvgPool2d", (1, 16, 5, 5), 0, 0),
        Row("conv3", "Conv2d", (1, 120, 1, 1), 48_120, 48_000),
        Row("activation_2", "Tanh", (1, 120, 1, 1), 0, 0),
        Row("flatten", "Flatten", (1, 120), 0, 0),
        Row("fc1", "Linear", (1, 84), 10_164, 10_080),
        Row("activation_3", "Tanh", (1, 84), 0, 0),
        Row("fc2", "Linear", (1, 10), 850, 840),
    )
    assert (summary.convention, summary.parameters, summary.multiply_adds) == (PRODUCTS, 61_706, 416_520)
    assert summary.unused == ()


@pytest.mark.parametrize(
    ("convention", "multiply_adds"),
    [(PRODUCTS, 416_520), (THOP, 424_520), (LAST_USE, 423_344)],
    ids=["products", "thop", "last-use"],
)
def test_lenets_published_figures(convention, multiply_adds):
    """416,520 products; 424,520 with biases of convolutions and both poolings; 423,344 with the second one alone."""
    network = numpy_lenet.build()
    assert summarise(network, DIGIT, convention=convention).multiply_adds == multiply_adds
    assert network.multiply_adds(DIGIT, convention=convention) == multiply_adds


def test_the_terms_of_lenets_figures():
    """416,520 + 4,704 + 1,600 + 120 biases + 400 is 423,344, and 1,176 more is 424,520: nothing else is counted."""
    network = numpy_lenet.build()
    work = network.work(DIGIT)
    assert work == Work(
        products=416_520, conv_biases=4_704 + 1_600 + 120, linear_biases=94, averaged=1_176 + 400, averaged_taps=6_304
    )
    rows = {row.name: row.multiply_adds for row in summarise(network, DIGIT, convention=LAST_USE).rows}
    assert (rows["pool"], rows["pool_1"]) == (0, 400)
    rows = {row.name: row.multiply_adds for row in summarise(network, DIGIT, convention=THOP).rows}
    assert (rows["pool"], rows["pool_1"]) == (1_176, 400)


def test_the_other_reading_of_lenets_figure():
    """A first pooling by the maximum and a second by the mean give 423,344 too, each use counted."""
    network = numpy_lenet.build()
    layers = [Conv2d(1, 6, 5), MaxPool2d(2), Conv2d(6, 16, 5), AvgPool2d(2), Conv2d(16, 120, 5)]
    body = Sequential(*layers).multiply_adds(DIGIT, convention=THOP)
    assert body + network.fc1.multiply_adds((1, 120)) + network.fc2.multiply_adds((1, 84)) == 423_344


@pytest.mark.parametrize("convention", [THOP, LAST_USE], ids=["thop", "last-use"])
def test_resnets_published_figures(convention):
    """35,529,728 multiply-adds at 32x32 and 11,185,034 parameters, running statistics and a stem bias counted."""
    network = numpy_resnet.build("resnet18", in_channels=1, num_classes=10, stem_bias=True)
    summary = summarise(network, DIGIT, convention=replace(convention, running_statistics=True))
    assert summary.multiply_adds == 35_529_728 == 35_410_944 + 16_384 + 101_376 + 1_024
    assert summary.parameters == sum(row.parameters for row in summary.rows) == 11_185_034
    assert summarise(network, DIGIT, convention=convention).parameters == 11_185_034 - 9_600


def test_torchs_own_count_stands_beside_it():
    """Without the stem bias and the running statistics: 11,175,370."""
    network = numpy_resnet.build("resnet18", in_channels=1, num_classes=10)
    summary = summarise(network, DIGIT)
    assert (summary.parameters, summary.multiply_adds) == (11_175_370, 35_410_944)


@pytest.mark.parametrize(
    ("name", "weights"),
    [("resnet18", ResNet18_Weights.IMAGENET1K_V1), ("resnet50", ResNet50_Weights.IMAGENET1K_V1)],
    ids=["resnet18", "resnet50"],
)
def test_products_are_what_torchvision_publishes(name, weights):
    """Torchvision's metadata give the parameters, and the multiply-adds in thousands of millions to three places."""
    summary = summarise(numpy_resnet.build(name), (1, 3, 224, 224))
    assert summary.parameters == weights.meta["num_params"]
    assert round(summary.multiply_adds / 1e9, 3) == weights.meta["_ops"]


def test_a_batch_costs_its_images():
    """Eight images cost eight times one."""
    network = numpy_lenet.build()
    for convention in (PRODUCTS, THOP, LAST_USE):
        eight = network.multiply_adds((8, 1, 32, 32), convention=convention)
        assert eight == 8 * network.multiply_adds(DIGIT, convention=convention)


class Leftover(Layer):
    """Uses one linear layer under two names, and another not at all."""

    def __init__(self):
        super().__init__()
        self.first = Linear(3, 3)
        self.relu = ReLU()
        self.again = self.first
        self.idle = Linear(3, 5)

    def forward(self, x):
        """(n, 3) in, the same out."""
        return self.again(self.relu(self.first(x)))


def test_what_does_not_run_is_named_and_what_is_shared_counts_once():
    """The idle layer has no row, but is named, and its numbers are among the network's parameters."""
    summary = summarise(Leftover(), (1, 3))
    assert [(row.name, row.parameters, row.multiply_adds) for row in summary.rows] == [
        ("first", 12, 9),
        ("relu", 0, 0),
        ("again", 0, 9),
    ]
    assert summary.unused == ("idle",)
    assert summary.parameters == 12 + 20
    assert summarise(Leftover(), (1, 3), convention=LAST_USE).multiply_adds == 9


def test_one_layer_has_a_table_too():
    """With an empty name, as it has in its own state dict."""
    summary = summarise(Linear(3, 5), (2, 3))
    assert summary.rows == (Row("", "Linear", (2, 5), 20, 30),)
    assert summary.unused == ()


def test_a_table_computes_nothing():
    """Weights that are not finite, and a size that would take long, make no difference."""
    network = numpy_resnet.build("resnet50")
    for array in network.parameters():
        np.multiply(array, np.nan, out=array)
    summary = summarise(network, (256, 3, 4096, 4096))
    assert summary.rows[0].output_shape == (256, 64, 2048, 2048)
    assert len(summary.rows) == 175


def test_a_shape_that_does_not_fit_is_refused():
    """In the words of the layer that cannot take it."""
    with pytest.raises(ValueError, match=r"^Conv2d: wrong number of channels, got 3, expected 1"):
        summarise(numpy_lenet.build(), (1, 3, 32, 32))
