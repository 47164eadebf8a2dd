"""ONNX files: exported by torch, and built node by node; the same as torchvision's networks, and told when not."""

from __future__ import annotations

import runpy
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torchvision.models import resnet50

from layerdiff.compare import capture_onnx as module
from layerdiff.compare import onnx_file
from layerdiff.compare.allowance import RULES, Call
from layerdiff.compare.capture import capture
from layerdiff.compare.capture_onnx import capture_onnx, onnx_operations
from layerdiff.compare.foreign import propose_transfer
from layerdiff.compare.judge import judge
from layerdiff.compare.judge_trace import judge_trace
from layerdiff.compare.judging import tensors_of
from layerdiff.compare.metrics import measure
from layerdiff.compare.playback import Playback, run
from layerdiff.compare.trace import INPUT
from layerdiff.compare.transfer import transferred
from layerdiff.compare.yardstick import walk
from layerdiff.errors import InputError

CANDIDATES = Path(__file__).parents[1] / "candidates"
X = np.random.default_rng(3).standard_normal((1, 3, 64, 64)).astype(np.float32)


class Builder:
    """A ResNet as an ONNX graph, node by node from a state dict, by no exporter and with nothing folded.

    Args:
        weights: torchvision's state dict.
        named: whether nodes and weights keep torchvision's names; else nothing says what they are.
    """

    def __init__(self, weights, *, named=True):
        self.weights = {name: tensor.numpy() for name, tensor in weights.items()}
        self.named, self.nodes, self.constants, self.eps = named, [], [], {}

    def add(self, kind, layer, inputs, constants=(), **attributes):
        """One node; returns the name of its output."""
        names = [name if self.named else f"w{len(self.constants) + i}" for i, name in enumerate(constants)]
        self.constants += [
            numpy_helper.from_array(self.weights[name], own) for name, own in zip(constants, names, strict=True)
        ]
        output = f"v{len(self.nodes)}"
        name = layer if self.named else ""
        self.nodes.append(helper.make_node(kind, [*inputs, *names], [output], name=name, **attributes))
        return output

    def conv(self, layer, x, stride):
        """A convolution that keeps the size, but for its stride."""
        weight = self.weights[f"{layer}.weight"]
        pad, groups = weight.shape[2] // 2, 1
        return self.add("Conv", layer, [x], [f"{layer}.weight"], strides=[stride] * 2, pads=[pad] * 4, group=groups)

    def norm(self, layer, x):
        """A batch norm."""
        parameters = [f"{layer}.{role}" for role in ("weight", "bias", "running_mean", "running_var")]
        return self.add("BatchNormalization", layer, [x], parameters, epsilon=self.eps.get(layer, 1e-5))

    def block(self, path, x, stride):
        """A basic or a bottleneck block, whichever the weights are of."""
        count = 3 if f"{path}.conv3.weight" in self.weights else 2
        y = x
        for i in range(1, count + 1):
            y = self.conv(f"{path}.conv{i}", y, stride if i == count - 1 else 1)
            y = self.norm(f"{path}.bn{i}", y)
            if i < count:
                y = self.add("Relu", f"{path}.relu" + (f"_{i - 1}" if i > 1 else ""), [y])
        if f"{path}.downsample.0.weight" in self.weights:
            x = self.norm(f"{path}.downsample.1", self.conv(f"{path}.downsample.0", x, stride))
        return self.add("Relu", f"{path}.relu_{count - 1}", [self.add("Add", f"{path}.add", [y, x])])

    def build(self, path, batch=1):
        """Writes the whole network."""
        y = self.add("Relu", "relu", [self.norm("bn1", self.conv("conv1", "image", 2))])
        y = self.add("MaxPool", "maxpool", [y], kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
        blocks = dict.fromkeys(".".join(name.split(".")[:2]) for name in self.weights if name.startswith("layer"))
        for block in blocks:
            y = self.block(block, y, 2 if block.endswith(".0") and not block.startswith("layer1") else 1)
        y = self.add("Flatten", "flatten", [self.add("GlobalAveragePool", "avgpool", [y])])
        y = self.add("Gemm", "fc", [y], ["fc.weight", "fc.bias"], transB=1)
        write(path, self.nodes, self.constants, x="image", y=y, shape=[batch, 3, "height", "width"])


def write(path, nodes, constants=(), *, x="x", y="y", shape=("n", 3, "h", "w"), dtype=TensorProto.FLOAT, opset=20,
          **more):  # fmt: skip
    """A model of these nodes."""
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info(x, dtype, shape)],
        [helper.make_tensor_value_info(y, TensorProto.FLOAT, None)],
        [c if isinstance(c, TensorProto) else numpy_helper.from_array(c[1], c[0]) for c in constants],
    )
    # Of any shape: a value without one is valid only as an output of unknown rank.
    graph.output[0].type.tensor_type.shape.Clear()
    graph.output[0].type.tensor_type.ClearField("shape")
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10, **more)
    onnx.save(onnx.shape_inference.infer_shapes(model), path)
    return path


def node(kind, inputs="x", outputs="y", **attributes):
    """A node, its inputs and outputs as words."""
    return helper.make_node(kind, inputs.split(), outputs.split(), **attributes)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Exports a network by either of torch's exporters; one that has a key only once."""
    made = {}

    def export(network, newer, key=None):
        if key is not None and (key, newer) in made:
            return made[key, newer]
        path = tmp_path_factory.mktemp("onnx") / "network.onnx"
        made[key, newer] = path
        with warnings.catch_warnings():
            # Both exporters warn of torch's own code.
            warnings.simplefilter("ignore")
            torch.onnx.export(network, (torch.from_numpy(X),), str(path), dynamo=newer, verbose=False)
        return path

    return export


@pytest.fixture(params=[True, False], ids=["newer", "older"])
def newer(request):
    """Which of torch's two exporters."""
    return request.param


def statuses(report, *wanted):
    """The layers of these statuses."""
    return [layer.layer for layer in report.layers if layer.status in wanted]


def test_what_torch_exports_is_the_same_network(make_resnet, exported, newer):
    """Both exporters fold every batch norm; layer by layer the file is still the network, in both precisions."""
    network = make_resnet()
    actual = capture_onnx(exported(network, newer, "right"), X, name="the file", keep=True)

    expected = capture(network, X)
    folded = [op.layer for op in expected.ops if op.kind != "batch_norm"]
    last = {"flatten": "reshape"} if newer else {}
    assert [op.layer for op in actual.ops] == [last.get(layer, layer) for layer in folded]
    report = judge(expected, actual, X)
    assert report.verdict == "same"
    assert {m.dtype for layer in report.layers for m in layer.measures} == {"float32", "float64"}
    assert actual.network == "the file"


def test_what_was_wrong_before_the_export_is_found_after_it(make_resnet, exported, newer):
    """A fault of the network is named at its layer, with the batch norm or convolution that it was folded into."""
    network = make_resnet()
    network.layer1[0].bn1.eps = 1e-3
    network.layer3[1].conv2.weight.data[5] *= 1.02

    report = judge(capture(make_resnet(), X), capture_onnx(exported(network, newer), X), X)

    assert report.verdict == "different"
    assert statuses(report, "fault") == ["layer1.0.conv1", "layer1.0.bn1", "layer3.1.conv2", "layer3.1.bn2"]


@pytest.fixture
def from_first_principles(make_resnet, exported):
    """Exports a network whose every layer is arithmetic, with the weights of `make_resnet()`; `spoil` may change it."""

    def export(spoil, newer):
        expected = capture(make_resnet(), X)
        weights = {name: tensor.numpy() for name, tensor in make_resnet().state_dict().items()}
        network = runpy.run_path(str(CANDIDATES / "own_conv_and_bn.py"))["MyResNet18"]().eval()
        transfer = propose_transfer(expected, network, X, weights)
        with transferred(transfer, weights, tensors_of(network)), torch.no_grad():
            spoil(network)
            return expected, exported(network, newer)

    return export


def test_layers_that_the_exporter_took_to_pieces_are_still_layers(from_first_principles):
    """Patches by index tables, a root worked out in float32, `max` for the ReLU: each is the layer it stands for."""
    expected, path = from_first_principles(lambda network: None, newer=True)

    report = judge(expected, capture_onnx(path, X), X)

    assert report.verdict == "same", statuses(report, "fault", "missing", "unjudged")
    alone = {layer.layer for layer in report.layers if layer.float32_only}
    assert alone == {op.layer for op in expected.ops if op.kind == "batch_norm"}


def test_a_root_that_holds_another_eps_is_no_rounding(from_first_principles):
    """Only what float32 makes of sqrt(var + eps) is judged in float32 alone; a slightly larger eps is found."""

    def spoil(network):
        network.blocks[2].bn1.eps = 1.01e-5

    expected, path = from_first_principles(spoil, newer=True)

    report = judge(expected, capture_onnx(path, X), X)

    assert statuses(report, "fault", "missing") == ["layer2.0.bn1"]


@pytest.fixture(params=["resnet18", "resnet50"])
def pair(request, make_resnet):
    """A network, and the means to build the same as a graph."""
    network = make_resnet()
    if request.param == "resnet50":
        network = resnet50().eval().requires_grad_(False)
        generator = torch.Generator().manual_seed(0)
        for part in network.modules():
            if isinstance(part, torch.nn.ReLU):
                part.inplace = False
            if isinstance(part, torch.nn.BatchNorm2d):
                part.weight.data.uniform_(0.2, 0.6, generator=generator)
                part.running_var.uniform_(0.5, 1.5, generator=generator)
                part.running_mean.normal_(0, 0.1, generator=generator)
    return network, Builder(network.state_dict())


COMPARED = {"conv2d": {"kernel_size", "stride", "padding", "dilation", "groups"}, "batch_norm": {"eps"},
            "max_pool2d": {"kernel_size", "stride", "padding", "dilation"}, "flatten": {"start_dim"}}  # fmt: skip


def test_a_hand_built_graph_is_the_same_network(pair, tmp_path):
    """Unfused and with torchvision's ids: every value lies within the floor, and the verdict is same."""
    network, builder = pair
    builder.build(tmp_path / "a.onnx")
    x = X if len(builder.weights) < 200 else X[:, :, :33, :33]
    expected, actual = capture(network, x), capture_onnx(tmp_path / "a.onnx", x, keep=True)

    assert [(op.layer, op.path, op.kind, op.inputs, op.shape, op.dtype) for op in actual.ops] == [
        (op.layer, op.path, op.kind, op.inputs, op.shape, op.dtype) for op in expected.ops
    ]
    for ours, theirs in zip(actual.ops, expected.ops, strict=True):
        assert set(ours.parameters) == set(theirs.parameters)
        assert all(np.array_equal(ours.parameters[role], theirs.parameters[role]) for role in ours.parameters)
        assert dict(ours.keys) == {role: f"{theirs.path}.{role}" for role in theirs.parameters}
        both = set(ours.attributes) & set(theirs.attributes)
        assert {name: ours.attributes[name] for name in both} == {name: theirs.attributes[name] for name in both}
        assert both >= {"conv2d": {"stride", "padding", "dilation", "groups"}, "batch_norm": {"eps"}}.get(
            ours.kind, set()
        )
    for step in walk(expected.ops, x, seed=0):
        assert measure("propagated", step.output, actual.values[step.op.layer], step.floor).over == 0
    assert (actual.returned_by, actual.final) == ("fc", "fc")
    assert np.array_equal(actual.returned, actual.values["fc"])
    assert judge(expected, actual, x).verdict == "same"


def test_a_fault_in_a_hand_built_graph_is_named(make_resnet, tmp_path):
    """An eps of another batch norm, one weight, and a stride: each at its own layer, by its name or without."""
    expected = capture(make_resnet(), X)
    for named in (True, False):
        builder = Builder(make_resnet().state_dict(), named=named)
        builder.eps["layer2.0.bn1"] = 1.001e-5
        builder.weights["layer4.1.conv2.weight"] = builder.weights["layer4.1.conv2.weight"].copy()
        builder.weights["layer4.1.conv2.weight"][3, 2, 1, 1] += 0.1
        builder.build(tmp_path / "a.onnx")

        report = judge(expected, capture_onnx(tmp_path / "a.onnx", X), X)

        assert report.verdict == "different"
        assert statuses(report, "fault") == ["layer2.0.bn1", "layer4.1.conv2"]


def test_without_names_the_graph_is_still_the_network(make_resnet, tmp_path):
    """Ids are then the type and the place of a node, and alignment does the rest."""
    Builder(make_resnet().state_dict(), named=False).build(tmp_path / "a.onnx")

    actual = capture_onnx(tmp_path / "a.onnx", X)

    assert [op.layer for op in actual.ops[:4]] == ["Conv_0", "BatchNormalization_1", "Relu_2", "MaxPool_3"]
    assert judge(capture(make_resnet(), X), actual, X).verdict == "same"


def test_every_operation_run_alone_gives_what_it_gave(make_resnet, exported, newer):
    """Bit for bit in float32, whatever ran beside it; in float64 it gives float64, and near the same."""
    trace = capture_onnx(exported(make_resnet(), newer, "right"), X, keep=True)
    values = {INPUT: X, **trace.values}
    doubles = Playback(trace.ops, X.astype(float), watched=())

    for op in trace.ops:
        assert np.array_equal(run(op, [values[layer] for layer in op.inputs]), values[op.layer]), op.layer
        assert doubles.step().output.dtype == np.float64
    assert set(trace.values) == {op.layer for op in trace.ops}
    assert capture_onnx(exported(make_resnet(), newer, "right"), X).values == {}


def test_a_capture_repeats(make_resnet, tmp_path):
    """The same file and input give the same bits."""
    Builder(make_resnet().state_dict()).build(tmp_path / "a.onnx")

    one, two = (capture_onnx(tmp_path / "a.onnx", X, keep=True) for _ in range(2))

    assert all(np.array_equal(one.values[layer], two.values[layer]) for layer in one.values)


def test_a_trace_of_an_onnx_network_can_be_the_expected_one(make_resnet, tmp_path):
    """Its operations run in both precisions, and so it can judge a recorded trace."""
    Builder(make_resnet().state_dict()).build(tmp_path / "a.onnx")
    expected = capture_onnx(tmp_path / "a.onnx", X)
    actual = capture(make_resnet(), X, keep=True)
    recorded = replace(actual, ops=tuple(replace(op, run=None) for op in actual.ops))

    assert judge_trace(expected, recorded, X).verdict == "same"
    assert judge(expected, actual, X).verdict == "same"


F = torch.nn.functional
RNG = np.random.default_rng(1)
W = RNG.standard_normal((4, 3, 3, 3)).astype(np.float32)
G = RNG.standard_normal((6, 1, 3, 3)).astype(np.float32)
B = RNG.standard_normal(4).astype(np.float32)
V = RNG.uniform(0.5, 2, 3).astype(np.float32)
M = RNG.standard_normal((5, 8)).astype(np.float32)
ROWS = RNG.standard_normal((2, 3, 5)).astype(np.float32)


def windows(op):
    """The attributes of a window as torch takes them."""
    return {name: op.attributes[name] for name in ("kernel_size", "stride", "padding")}


def conv(op, x):
    """What torch gives for a convolution described so."""
    names = {name: op.attributes[name] for name in ("stride", "padding", "dilation", "groups")}
    return F.conv2d(x, *(torch.from_numpy(p).double() for p in op.parameters.values()), **names)


def padded_conv(op, x):
    """The same with pads of its own on each side."""
    top, left, bottom, right = op.attributes["pads"]
    return conv(replace(op, attributes={**op.attributes, "padding": 0}), F.pad(x, (left, right, top, bottom)))


def batch_norm(op, x):
    """What torch gives for a batch norm described so."""
    p = {name: torch.from_numpy(array).double() for name, array in op.parameters.items()}
    return F.batch_norm(x, p["running_mean"], p["running_var"], p["weight"], p["bias"], eps=op.attributes["eps"])


def linear(op, x):
    """What torch gives for a linear layer described so."""
    return F.linear(x, *(torch.from_numpy(np.ascontiguousarray(p)).double() for p in op.parameters.values()))


CASES = {
    "conv": ([node("Conv", "x w b", strides=[2, 1], pads=[1, 2, 1, 2])], {"w": W, "b": B}, "conv2d", conv),
    "conv dilated": ([node("Conv", "x w", dilations=[2, 1])], {"w": W}, "conv2d", conv),
    "conv grouped": ([node("Conv", "x w", group=3)], {"w": G}, "conv2d", conv),
    "conv one-sided": ([node("Conv", "x w", pads=[0, 0, 1, 1], strides=[2, 2])], {"w": W}, "conv2d", padded_conv),
    "conv same": ([node("Conv", "x w", auto_pad="SAME_UPPER")], {"w": W}, "conv2d", conv),
    "conv same upper": ([node("Conv", "x w", auto_pad="SAME_UPPER", strides=[2, 2])], {"w": W}, "conv2d", padded_conv),
    "conv same lower": ([node("Conv", "x w", auto_pad="SAME_LOWER", strides=[2, 2])], {"w": W}, "conv2d", padded_conv),
    "conv valid": ([node("Conv", "x w", auto_pad="VALID")], {"w": W}, "conv2d", conv),
    "norm": ([node("BatchNormalization", "x w b m v")], {"w": V, "b": -V, "m": V, "v": V}, "batch_norm", batch_norm),
    "norm eps": ([node("BatchNormalization", "x w b m v", epsilon=1e-3)], {"w": V, "b": V, "m": V, "v": V},
                 "batch_norm", batch_norm),
    "relu": ([node("Relu")], {}, "relu", lambda op, x: F.relu(x)),
    "max pool": ([node("MaxPool", kernel_shape=[3, 2], strides=[2, 1], pads=[1, 0, 1, 0])], {}, "max_pool2d",
                 lambda op, x: F.max_pool2d(x, **windows(op))),
    "max pool up": ([node("MaxPool", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)], {}, "max_pool2d",
                    lambda op, x: F.max_pool2d(x, **windows(op), ceil_mode=op.attributes["ceil_mode"])),
    "average": ([node("AveragePool", kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)], {}, "avg_pool2d",
                lambda op, x: F.avg_pool2d(x, **windows(op), count_include_pad=op.attributes["count_include_pad"])),
    "average padded": ([node("AveragePool", kernel_shape=[3, 3], pads=[1] * 4, count_include_pad=1)], {}, "avg_pool2d",
                       lambda op, x: F.avg_pool2d(x, **windows(op))),
    "global": ([node("GlobalAveragePool")], {}, "adaptive_avg_pool2d",
               lambda op, x: F.adaptive_avg_pool2d(x, op.attributes["output_size"])),
    "mean": ([node("ReduceMean", "x a", keepdims=0)], {"a": np.array([2, 3])}, "mean",
             lambda op, x: x.mean(op.attributes["dim"], keepdim=op.attributes["keepdim"])),
    "mean of all": ([node("ReduceMean")], {}, "mean",
                    lambda op, x: x.mean(op.attributes["dim"], keepdim=op.attributes["keepdim"])),
    "flatten": ([node("Flatten")], {}, "flatten", lambda op, x: torch.flatten(x, **op.attributes)),
    "reshape": ([node("Reshape", "x s")], {"s": np.array([0, -1])}, "reshape",
                lambda op, x: x.reshape(op.attributes["shape"])),
    "squeeze": ([node("Squeeze", "x a")], {"a": np.array([0])}, "squeeze", lambda op, x: x.squeeze(0)),
    "pad": ([node("Pad", "x p")], {"p": np.array([0, 0, 1, 2, 0, 0, 3, 4])}, "pad",
            lambda op, x: F.pad(x, op.attributes["padding"], value=op.attributes["value"])),
    "pad axes": ([node("Pad", "x p v a")],
                 {"p": np.array([1, 2]), "v": np.float32(0.5), "a": np.array([-1])}, "pad",
                 lambda op, x: F.pad(x, op.attributes["padding"], value=op.attributes["value"])),
    "identity": ([node("Identity")], {}, "identity", lambda op, x: x),
    "dropout": ([node("Dropout")], {}, "dropout", lambda op, x: F.dropout(x, op.attributes["p"], training=False)),
    "cast": ([node("Cast", to=TensorProto.FLOAT)], {}, "to", lambda op, x: x),
    "clip": ([node("Clip", "x l h")], {"l": np.float32(-0.5), "h": np.float32(0.5)}, "clamp",
             lambda op, x: x.clamp(op.attributes["min"], op.attributes["max"])),
    "relu6": ([node("Clip", "x l h")], {"l": np.float32(0), "h": np.float32(6)}, "relu6", lambda op, x: F.relu6(x)),
    "larger than 0": ([node("Max", "x z")], {"z": np.float32(0)}, "clamp",
                      lambda op, x: x.clamp(op.attributes["min"], op.attributes["max"])),
    "larger of two": ([node("Max", "x x")], {}, "max", None),
    "by a number": ([node("Div", "x c")], {"c": np.float32(4)}, "div", lambda op, x: x / op.attributes["other"]),
    "leaky": ([node("LeakyRelu", alpha=0.1)], {}, "leaky_relu",
              lambda op, x: F.leaky_relu(x, op.attributes["negative_slope"])),
    "matmul": ([node("MatMul", "x w")], {"w": M}, "linear", linear),
    "matmul bias": ([node("MatMul", "x w", "t"), node("Add", "b t")], {"w": M, "b": M[0]}, "linear", linear),
    "gemm": ([node("Flatten", "x", "f"), node("Gemm", "f w b", alpha=0.5, beta=2.0)],
             {"w": RNG.standard_normal((90, 4)).astype(np.float32), "b": B}, "linear", linear),
    "gemm turned": ([node("Flatten", "x", "f"), node("Gemm", "f w b", transB=1)],
                    {"w": RNG.standard_normal((4, 90)).astype(np.float32), "b": B[:1]}, "linear", linear),
    "shift": ([node("Add", "x b")], {"b": M[0, :5]}, "shift", None),
    "scale": ([node("Mul", "b x")], {"b": M[0, :5]}, "scale", None),
    "double": ([node("Add", "x x")], {}, "add", lambda op, x: x + x),
    "sigmoid": ([node("Sigmoid")], {}, "sigmoid", None),
    "concat": ([node("Concat", "x x", axis=1)], {}, "cat", lambda op, x: torch.cat([x, x], 1)),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_nodes_are_what_torch_calls_them(case, tmp_path):
    """Kind, attributes and parameters say all: torch's function, given them, gives what the node gives in float64.

    To within the allowance of the kind, for batch norm too, whose eps the file holds in float32 alone.
    """
    nodes, constants, kind, function = CASES[case]
    x = RNG.standard_normal((1, 3, 6, 5)).astype(np.float32)
    trace = capture_onnx(write(tmp_path / "a.onnx", nodes, constants.items(), opset=18), x, keep=True)
    op = trace.ops[-1]
    given = [({INPUT: x} | trace.values)[layer].astype(float) for layer in op.inputs]
    output = run(op, given)

    assert op.kind == kind
    assert output.dtype == np.float64
    assert np.array_equal(run(op, [array.astype(np.float32) for array in given]), trace.values[op.layer])
    if function is not None:
        want = function(op, torch.from_numpy(given[0])).numpy()
        attributes = {name: value for name, value in op.attributes.items() if name != "pads"}
        allowed = RULES[kind].allowance(Call(attributes, op.parameters, tuple(given), want)) if kind in RULES else 0.0
        assert measure("activations", want, output, allowed).over == 0


def test_shapes_and_constants_are_folded_away(tmp_path):
    """What is computed of shapes and weights is no operation; what it leaves is fixed for this input."""
    nodes = [
        node("Shape", "x", "s"),
        node("Gather", "s zero", "n", axis=0),
        node("Constant", "", "rest", value_ints=[-1]),
        node("Concat", "n rest", "target", axis=0),
        node("Add", "w w", "w2"),
        node("Relu", "x", "r"),
        node("Reshape", "r target", "flat"),
        node("MatMul", "flat w2"),
    ]
    w = RNG.standard_normal((75, 4)).astype(np.float32)
    path = write(tmp_path / "a.onnx", nodes, {"zero": np.array([0]), "w": w}.items())
    x = RNG.standard_normal((2, 3, 5, 5)).astype(np.float32)

    trace = capture_onnx(path, x)

    assert [op.kind for op in trace.ops] == ["relu", "reshape", "linear"]
    assert np.array_equal(trace.ops[2].parameters["weight"], (2 * w).T)
    # Only a weight of the file as it stands has a name to be found by.
    assert trace.ops[2].keys == {}
    assert run(trace.ops[1], [x]).shape == (2, 75)


def test_several_outputs_of_a_node_are_several_operations(tmp_path):
    """Each half of a split is an operation of its own; one that nobody reads is none."""
    nodes = [node("Split", "x", "a b", axis=3, num_outputs=2), node("Add", "a b")]
    trace = capture_onnx(write(tmp_path / "a.onnx", nodes), X, keep=True)

    assert [op.kind for op in trace.ops] == ["split", "split", "add"]
    assert trace.ops[2].inputs == (trace.ops[0].layer, trace.ops[1].layer)
    assert np.array_equal(run(trace.ops[1], [X]), X[..., 32:])


def test_what_onnxruntime_lacks_the_reference_evaluator_runs(tmp_path):
    """A network with an operation that onnxruntime has no code for is captured all the same, node by node."""
    nodes = [node("Relu", "x", "a"), node("Swish", "a", "b"), node("Relu", "b")]
    path = write(tmp_path / "a.onnx", nodes, opset=26)
    trace = capture_onnx(path, X, keep=True)

    assert [op.kind for op in trace.ops] == ["relu", "silu", "relu"]
    want = F.silu(F.relu(torch.from_numpy(X).double())).numpy()
    a = run(trace.ops[1], [np.maximum(X.astype(float), 0)])
    # Two functions of the library each: exp, and a quotient.
    assert np.max(np.abs(a - want)) <= 8 * np.finfo(float).eps * np.max(np.abs(want))
    assert np.array_equal(run(trace.ops[1], [trace.values[trace.ops[0].layer]]), trace.values[trace.ops[1].layer])


@pytest.mark.parametrize(
    ("names", "ids"),
    [
        (("/layer1/layer1.0/conv1/Relu", "/layer1/layer1.0/Relu", "/layer1/layer1.0/Relu_1"),
         ("layer1.0.conv1", "layer1.0.relu", "layer1.0.relu_1")),
        (("/conv/Relu", "/relu/Relu", "/relu_1/Relu"), ("conv", "relu", "relu_1")),
        (("/Relu", "/Relu_1", "/a/downsample/downsample.0/Relu"), ("relu", "relu_1", "a.downsample.0")),
        (("block.relu", "relu", "out"), ("block.relu", "relu", "out")),
        (("Relu_7", "", "a b"), ("Relu_0", "Relu_1", "Relu_2")),
        (("a.b", "a.b", "a.b_1"), ("a.b", "a.b_1", "a.b_2")),
    ],
    ids=["block", "modules", "sequential", "by hand", "none", "again"],
)  # fmt: skip
def test_ids_come_from_the_names_that_are_left(tmp_path, names, ids):
    """Torch's older exporter writes scopes into the names of nodes; people write what they like; ids stay unique."""
    nodes = [node("Relu", a, b, name=name) for name, a, b in zip(names, "xab", "aby", strict=True)]

    trace = capture_onnx(write(tmp_path / "a.onnx", nodes), X)

    assert tuple(op.layer for op in trace.ops) == ids


def refusal(path, x=X):
    """What is said of a file that is refused."""
    with pytest.raises(InputError) as caught:
        capture_onnx(path, x)
    return "\n".join([str(caught.value), *getattr(caught.value, "__notes__", [])])


def test_files_that_are_no_models_are_refused(make_resnet, tmp_path, monkeypatch):
    """No such file, text, nothing, cut short, too large."""
    Builder(make_resnet().state_dict()).build(tmp_path / "a.onnx")
    content = (tmp_path / "a.onnx").read_bytes()
    for name, what in (("text", b"hello, I am no model"), ("empty", b""), ("cut", content[: len(content) // 2])):
        (tmp_path / f"{name}.onnx").write_bytes(what)

    assert "no such file, expected an ONNX model" in refusal(tmp_path / "none.onnx")
    assert "not an ONNX model, or cut short" in refusal(tmp_path / "text.onnx")
    assert "not an ONNX model, got a file without operations" in refusal(tmp_path / "empty.onnx")
    assert "not an ONNX model, or cut short" in refusal(tmp_path / "cut.onnx")
    monkeypatch.setattr(onnx_file, "MOST_BYTES", 1000)
    assert f"too large, got {len(content):,} bytes, expected at most 1,000" in refusal(tmp_path / "a.onnx")


def test_external_data_is_kept_to_its_folder(make_resnet, tmp_path, monkeypatch):
    """It is read from beside the file, missed when it is gone, and never looked for elsewhere."""
    Builder(make_resnet().state_dict()).build(tmp_path / "a.onnx")
    model = onnx.load(tmp_path / "a.onnx")
    (tmp_path / "b").mkdir()
    onnx.save(model, tmp_path / "b" / "b.onnx", save_as_external_data=True, location="b.data")

    assert len(capture_onnx(tmp_path / "b" / "b.onnx", X).ops) == 69
    monkeypatch.setattr(onnx_file, "MOST_BYTES", 10**6)
    assert "bytes with its data, expected at most 1,000,000" in refusal(tmp_path / "b" / "b.onnx")
    monkeypatch.undo()
    (tmp_path / "b" / "b.data").rename(tmp_path / "b.data")
    assert "its external data cannot be read" in refusal(tmp_path / "b" / "b.onnx")
    model = onnx.load(tmp_path / "b" / "b.onnx", load_external_data=False)
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            entry.value = "../b.data" if entry.key == "location" else entry.value
    onnx.save(model, tmp_path / "b" / "b.onnx")
    text = refusal(tmp_path / "b" / "b.onnx")
    assert "its external data cannot be read" in text
    assert "keep both in one folder" in text


def raw(path, nodes, inputs=("x",), outputs=("y",), opset=20, **more):
    """A model that is not looked at when it is written."""
    infos = [
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, 3, 64, 64]) for n in s] for s in (inputs, outputs)
    ]
    graph = helper.make_graph(nodes, "network", *infos)
    opsets = [helper.make_opsetid("", opset), *more.pop("opsets", [])]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10, **more), path)
    return path


def test_models_that_cannot_be_compared_are_refused(tmp_path):
    """Several inputs or outputs, control flow, other domains, chance, an opset or an operation nobody knows."""
    path = tmp_path / "a.onnx"
    two = [node("Relu", "x", "y"), node("Relu", "x2", "y2")]
    assert "expected one input, got 2: x, x2" in refusal(raw(path, two, ("x", "x2"), ("y", "y2")))
    assert "expected one output, got 2: y, y2" in refusal(
        raw(path, [two[0], node("Relu", "x", "y2")], outputs=("y", "y2"))
    )
    branch = helper.make_graph([node("Relu", "x", "z")], "b", [], [helper.make_empty_tensor_value_info("z")])
    assert "control flow, got If 'choice'" in refusal(
        raw(path, [node("If", "x", "y", name="choice", then_branch=branch, else_branch=branch)])
    )
    own = [node("Magic", "x", "a", domain="me"), node("Spell", "a", "y", domain="me")]
    text = refusal(raw(path, own, opsets=[helper.make_opsetid("me", 1)]))
    assert "an operation outside ONNX, got Magic of 'me', and 1 more like it" in text
    assert "got Spell of 'me'" in text
    assert "an operation at random, got Bernoulli" in refusal(raw(path, [node("Bernoulli")]))
    assert "its opset is too new, got 99, expected at most" in refusal(raw(path, [node("Relu")], opset=99))
    assert "not a valid model, got" in refusal(raw(path, [node("Reluu")]))
    assert "not a valid model, got" in refusal(raw(path, [node("Relu", "a", "y"), node("Relu", "x", "a")]))
    ones = numpy_helper.from_array(np.ones((1, 3, 64, 64), np.float32))
    assert "nothing in it depends on its input" in refusal(raw(path, [node("Constant", "", "y", value=ones)]))


def test_functions_of_the_model_are_written_out(tmp_path):
    """A function that the file itself defines is no foreign operation: its body is what runs."""
    body = [node("Relu", "a", "b"), node("Neg", "b", "c")]
    function = helper.make_function("me", "Block", ["a"], ["c"], body, [helper.make_opsetid("", 20)])
    mine = helper.make_opsetid("me", 1)
    path = raw(tmp_path / "a.onnx", [node("Block", domain="me")], opsets=[mine], functions=[function])

    trace = capture_onnx(path, X)

    assert [op.kind for op in trace.ops] == ["relu", "neg"]
    assert np.array_equal(trace.returned, -np.maximum(X, 0))


def test_other_precisions_are_refused(tmp_path):
    """Half precision hides what is to be found; and an input of integers is no float32."""
    path = tmp_path / "a.onnx"
    half = np.ones((1, 3, 1, 1), np.float16)
    assert "in half precision" in refusal(
        write(path, [node("Cast", "x", "h", to=TensorProto.FLOAT16), node("Add", "h w", "z"),
                     node("Cast", "z", "y", to=TensorProto.FLOAT)], {"w": half}.items())
    )  # fmt: skip
    assert "in half precision, got 1 such values, the first 'h'" in refusal(
        write(path, [node("Cast", "x", "h", to=TensorProto.FLOAT16), node("Cast", "h", "y", to=TensorProto.FLOAT)])
    )
    assert "in half precision, got 0 such tensors, first of all x" in refusal(
        write(path, [node("Cast", "x", "y", to=TensorProto.FLOAT)], dtype=TensorProto.FLOAT16)
    )
    assert "its input 'x' has the wrong type, got uint8, expected float32" in refusal(
        write(path, [node("Cast", "x", "y", to=TensorProto.FLOAT)], dtype=TensorProto.UINT8)
    )


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ([2, 3, 64, 64], "got (1, 3, 64, 64), expected (2, 3, 64, 64)"),
        (["n", 3, 224, "w"], "expected (any, 3, 224, any)"),
        (["n", 3], "expected (any, 3)"),
        ([1, 64, 64, 3], "it takes (n, h, w, c): export it for (n, c, h, w)"),
    ],
    ids=["batch", "size", "rank", "axes"],
)
def test_an_input_it_was_not_exported_for_is_refused(tmp_path, shape, message):
    """A fixed batch or size is said with both shapes."""
    text = refusal(write(tmp_path / "a.onnx", [node("Relu")], shape=shape))

    assert "its input 'x' is of a fixed shape" in text
    assert message in text


def test_operations_are_known_without_an_input(make_resnet, exported, tmp_path):
    """Of whichever sizes the file takes: what they are and what weights they have."""
    free, fixed = tmp_path / "a.onnx", exported(make_resnet(), True, "right")
    Builder(make_resnet().state_dict()).build(free, batch=2)

    for path in (free, fixed):
        weights = [op.parameters["weight"].shape for op in onnx_operations(path) if op.kind in {"conv2d", "linear"}]
        assert weights == [p.shape for name, p in make_resnet().named_parameters() if p.ndim > 1]
    assert onnx_operations(free)[0].shape == (2, 64, 32, 32)


def test_a_network_that_fails_is_told_in_one_line(tmp_path):
    """What onnxruntime raises on the way becomes an error with the file's name."""
    path = write(tmp_path / "a.onnx", [node("Reshape", "x s")], {"s": np.array([7, 7])}.items())

    text = refusal(path)
    assert "a.onnx: does not run on the input, got " in text
    assert "\n" not in text


def test_without_the_packages_it_says_what_to_install(tmp_path, monkeypatch):
    """Onnx and onnxruntime are extras, and the first line that needs them says so."""
    path = write(tmp_path / "a.onnx", [node("Relu")])
    monkeypatch.setattr(module, "find_spec", lambda name: None)

    text = refusal(path)

    assert "an ONNX file needs onnx and onnxruntime, not installed" in text
    assert "pip install 'layerdiff[onnx]'" in text
