"""Capture of NumPy networks."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from torchvision.models import resnet50
from torchvision.models.feature_extraction import get_graph_node_names

from layerdiff.compare.capture import capture
from layerdiff.compare.playback import Playback
from layerdiff.compare.structure import structure_of
from layerdiff.errors import InputError
from layerdiff.handwritten import numpy_resnet
from layerdiff.handwritten.numpy_layers import Add, Layer, ReLU

X = np.random.default_rng(0).standard_normal((1, 3, 33, 41)).astype(np.float32)


def test_ids_kinds_and_wiring_are_torchvisions():
    """The NumPy twin's layer ids are torchvision's, in its order, and its wiring is the torch network's."""
    expected = capture(resnet50().eval(), X)
    actual = capture(numpy_resnet.build("resnet50"), X)

    names = [name for name in get_graph_node_names(resnet50().eval())[1] if name != "x"]
    assert names == [op.layer for op in actual.ops]
    for ours, theirs in zip(actual.ops, expected.ops, strict=True):
        assert (ours.kind, ours.inputs, ours.shape, ours.dtype) == (
            theirs.kind,
            theirs.inputs,
            theirs.shape,
            theirs.dtype,
        )
        assert set(ours.parameters) == set(theirs.parameters)
        assert dict(ours.attributes) == dict(theirs.attributes)


def test_playing_the_operations_gives_the_forward_pass():
    """Running the recorded operations again gives the network's own output, bit for bit."""
    network = numpy_resnet.build("resnet18")
    trace = capture(network, X)

    assert np.array_equal(network(X), Playback(trace.ops, X, watched=[trace.final]).take(trace.final))
    assert np.array_equal(network(X), trace.returned)
    assert trace.returned_by == trace.final == "fc"


def test_operations_run_in_the_precision_of_their_input():
    """Given float64 an operation computes in float64, and the network's weights stay float32."""
    network = numpy_resnet.build("resnet18")
    op = capture(network, X).ops[0]

    assert op.run(X.astype(np.float64)).dtype == np.float64
    assert network.conv1.weight.dtype == np.float32


def test_hooks_are_removed_and_until_stops():
    """After a capture no layer has a hook, also after one that stopped early."""
    network = numpy_resnet.build("resnet18")

    trace = capture(network, X, until="layer1", keep=True)

    assert trace.final == "layer1.1.relu_1"
    assert set(trace.values) == {op.layer for op in trace.ops}
    assert not any(layer._forward_hooks for _, layer in network.named_layers())


class _Reshapes(Layer):
    def __init__(self):
        super().__init__()
        self.relu = ReLU()
        self.add = Add()

    def forward(self, x):
        return self.add(self.relu(x), x[:, ::-1])


def test_an_array_that_no_layer_made_is_refused():
    """What happens to an array between two layers cannot be compared, so it is refused, by the layer that takes it."""
    with pytest.raises(InputError, match=r"^add: takes an array of shape \(1, 3, 33, 41\) that no layer made"):
        capture(_Reshapes(), X)


CODE = """
import sys
sys.modules["torch"] = sys.modules["torchvision"] = None
import numpy as np
from layerdiff import compare_networks
from layerdiff.handwritten import numpy_resnet
expected, actual = numpy_resnet.build("resnet18"), numpy_resnet.build("resnet18", grade="im2col")
actual.load_state_dict(expected.state_dict())
x = np.random.default_rng(0).standard_normal((1, 3, 33, 33)).astype(np.float32)
assert compare_networks(expected, actual, x).verdict == "same"
for path, layer in actual.named_layers():
    if path == "layer3.0.bn1":
        layer.eps = 1e-3
print([r.layer for r in compare_networks(expected, actual, x).layers if r.status == "fault"])
"""


def test_numpy_networks_are_judged_without_torch():
    """Where torch cannot be imported, two NumPy networks are captured and judged all the same."""
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=False)

    assert done.stdout == "['layer3.0.bn1']\n", done.stderr


def test_what_raises_is_an_operation_of_the_trace():
    """A forward pass that raises ends at a layer: which one, what it was given and what it holds."""
    network = numpy_resnet.build("resnet18")
    network.avgpool.output_size = (2, 2)

    structure = structure_of(network, X.shape)

    crash = structure.crash
    assert crash is not None
    assert (crash.layer, crash.kind, crash.error) == ("fc", "linear", "ValueError")
    assert (crash.inputs, crash.input_shapes) == (("flatten",), ((1, 2048),))
    assert dict(crash.parameter_shapes) == {"weight": (1000, 512), "bias": (1000,)}
    assert crash.message.startswith("linear: wrong number of features")
    assert structure.ops[-1].layer == "flatten"


def test_what_raises_outside_of_every_layer_has_no_name():
    """Code between the layers that raises is told by its line alone."""

    class Broken(Layer):
        def __init__(self):
            super().__init__()
            self.relu = ReLU()

        def forward(self, x):
            raise TypeError(f"no such thing as {self.relu(x).shape}")

    crash = structure_of(Broken(), (1, 1, 2, 2)).crash

    assert (crash.layer, crash.error, crash.message) == ("", "TypeError", "no such thing as (1, 1, 2, 2)")
    assert "test_capture_numpy.py" in crash.source
