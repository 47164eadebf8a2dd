"""The ResNet-50 that tells hand signs apart: both halves, and the head that does not fit."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.models import resnet50

import layerdiff
from layerdiff.handwritten import numpy_signs, torch_signs
from layerdiff.handwritten.numpy_layers import AvgPool2d

X = np.random.default_rng(1).standard_normal((2, 3, 64, 64)).astype(np.float32)


@pytest.fixture(scope="module")
def theirs():
    """The torch half with weights in which nothing is at its default, in eval mode."""
    generator = torch.Generator().manual_seed(0)
    network = torch_signs.build()
    for name, tensor in network.state_dict().items():
        if tensor.ndim == 1 and name.endswith(("running_var", "weight")):
            tensor.uniform_(0.5, 1, generator=generator)
        elif tensor.ndim == 1:
            tensor.normal_(0, 0.3, generator=generator)
        elif tensor.ndim > 1:
            tensor.normal_(0, float(2 / tensor[0].numel()) ** 0.5, generator=generator)
    return network.eval()


@pytest.fixture(scope="module")
def ours(theirs):
    """The NumPy half with the same weights."""
    network = numpy_signs.build()
    network.load_state_dict({name: tensor.numpy() for name, tensor in theirs.state_dict().items()})
    return network


def test_layerdiff_calls_the_twins_the_same(theirs, ours):
    """All 175 layers, from the photo to the six logits."""
    report = layerdiff.compare_networks(theirs, ours, X)
    assert report.verdict == "same", [(row.layer, row.reason) for row in report.layers if row.status != "same"]
    assert len(report.layers) == 175
    assert [row.kind for row in report.layers[-3:]] == ["avg_pool2d", "flatten", "linear"]


def test_layerdiff_calls_it_torchvisions_with_another_head(theirs, ours):
    """Against torchvision's ResNet-50 with an average pooling of 2 and six classes, the NumPy half is the same."""
    network = resnet50()
    network.avgpool, network.fc = nn.AvgPool2d(2), nn.Linear(2048, 6)
    network.load_state_dict(theirs.state_dict())
    for module in network.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False
    assert layerdiff.compare_networks(network.eval(), ours, X, dtypes=["float32"]).verdict == "same"


def test_names_counts_and_shapes(theirs, ours):
    """Torchvision's names; 23,508,032 numbers in the body and 2048*6 + 6 in the head; (n, 6) out of 64x64."""
    assert [name for name, _ in ours.named_parameters()] == [name for name, _ in theirs.named_parameters()]
    assert [name for name, _ in ours.named_parameters()] == [name for name, _ in resnet50().named_parameters()]
    assert ours.parameter_count() == sum(tensor.numel() for tensor in theirs.parameters()) == 23_508_032 + 12_294
    shape, steps = ours.shape_pass((5, 3, 64, 64))
    assert shape == (5, 6)
    assert [step.output for step in steps[-4:-1]] == [(5, 2048, 2, 2), (5, 2048, 1, 1), (5, 2048)]
    assert numpy_signs.build(num_classes=4).output_shape((1, 3, 64, 64)) == (1, 4)
    assert torch_signs.build(num_classes=4).fc.out_features == 4


def test_a_seed_makes_a_network():
    """The same seed gives the same weights, another seed others."""
    first, again, other = (numpy_signs.build(seed=seed).conv1.weight for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_the_head_that_does_not_fit(ours):
    """A pooling with a padding of 1 leaves 2x2 maps, 8,192 features, and the last layer says how many it takes."""
    network = numpy_signs.build()
    network.avgpool = AvgPool2d(2, padding=1)
    for forward, x in ((network, X), (network.output_shape, X.shape)):
        with pytest.raises(
            ValueError, match=r"(?i)^linear: wrong number of features, got shape \(2, 8192\), expected \(\.\.\., 2048\)"
        ):
            forward(x)


def test_an_image_of_another_size_does_not_fit():
    """At 96x96 the last map is 3x3, of which the pooling keeps one value, but at 128x128 it keeps four."""
    network = numpy_signs.build()
    assert network.output_shape((1, 3, 96, 96)) == (1, 6)
    with pytest.raises(ValueError, match=r"got shape \(1, 8192\), expected \(\.\.\., 2048\)"):
        network.output_shape((1, 3, 128, 128))


SIGNS = """
from torch import nn
from torchvision.models import resnet50
from layerdiff.handwritten import torch_signs

def right():
    return torch_signs.build()

def misfit():
    network = resnet50()
    network.avgpool = nn.AvgPool2d(2, padding=1)
    network.fc = nn.Linear(2048, 6)
    return network
"""


def test_layerdiff_shapes_explains_the_misfit(tmp_path):
    """It raised at fc; the cause is the padding of the pooling, with the sum that shows it and what to change."""
    (tmp_path / "signs.py").write_text(SIGNS)
    done = subprocess.run(
        [
            *(sys.executable, "-P", "-m", "layerdiff", "shapes", "--size", "64", "--format", "json"),
            *("--actual", "signs.py:misfit", "--expected", "signs.py:right"),
        ],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    explanation = json.loads(done.stdout)["explanation"]
    text = json.dumps(explanation, ensure_ascii=False)
    assert "avgpool" in text
    assert "(2 + 2·1 - 2)/2 + 1 = 2, expected (2 + 2·0 - 2)/2 + 1 = 1" in text
    assert "8192 = 2048·2·2" in text
    assert "give avgpool padding=0" in text
