"""Other sources of an actual: saved traces of the NumPy twin in every form, and ONNX files, through the whole job."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
import warnings
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from click.testing import CliRunner
from onnx import numpy_helper
from safetensors.numpy import load_file, save_file

import layerdiff
from layerdiff.candidates import guess_architecture, load_candidate
from layerdiff.command.capture import command as capture_command
from layerdiff.command.run import command as run_command
from layerdiff.handwritten import numpy_resnet

SIZE = (64, 64)
X = layerdiff.preprocess([layerdiff.load_image(None)], architecture="resnet18", size=SIZE)
OPTIONS = ["--expected", "torchvision:resnet18", "--weights", "synthetic", "--size", "64"]


def builder_of_graphs():
    """The builder of ResNets as ONNX graphs that the tests of the capture have."""
    path = Path(__file__).parent.parent / "compare" / "test_capture_onnx.py"
    spec = importlib.util.spec_from_file_location("_graphs", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module.Builder


Builder = builder_of_graphs()


def called(command, *arguments):
    """A command, called in this process: nobody's code is run."""
    return CliRunner().invoke(command, [str(argument) for argument in arguments], standalone_mode=False)


def at_fault(run):
    """The layers at fault in the only report."""
    (report,) = run.reports
    return [layer.layer for layer in report.layers if layer.status == "fault"]


def not_same(run):
    """What is not same in the only report."""
    (report,) = run.reports
    return [(layer.layer, layer.status, layer.reason) for layer in report.layers if layer.status != "same"]


def judged(path, **options):
    """The run of a source against ResNet-18 with synthetic weights."""
    return layerdiff.run(path, **{"expected": "torchvision:resnet18", "weights": "synthetic", "size": SIZE} | options)


@pytest.fixture(scope="module")
def weights():
    """The reference's weights, by architecture."""
    return {name: layerdiff.load_weights("synthetic", name) for name in ("resnet18", "resnet50")}


@pytest.fixture(scope="module")
def recorded(weights):
    """What each layer of the twin gave; `wrong` spoils some of its layers before it runs."""

    def record(*wrong):
        twin = numpy_resnet.build("resnet18")
        twin.load_state_dict(dict(weights["resnet18"].state))
        layers = dict(twin.named_layers())
        for layer in wrong:
            if "bn" in layer:
                layers[layer].eps = 1e-3
            else:
                layers[layer].arrays["weight"] = layers[layer].arrays["weight"] * np.float32(1.01)
        return dict(layerdiff.capture(twin, X, keep=True).values)

    right = record()
    return lambda *wrong: record(*wrong) if wrong else dict(right)


def as_safetensors(values, path):
    """One `.safetensors` file, its tensors named by their layers."""
    save_file({name: np.ascontiguousarray(value) for name, value in values.items()}, path / "trace.safetensors")
    return path / "trace.safetensors"


def as_npz(values, path):
    """One `.npz` file."""
    np.savez(path / "trace.npz", **values)
    return path / "trace.npz"


def as_folder(values, path):
    """A folder of `.npy` files in NHWC under names of its own, and a manifest that says which is which."""
    folder = path / "trace"
    folder.mkdir()
    layers = {}
    for i, (name, value) in enumerate(values.items()):
        own = "given" if name == "input" else f"step{i}"
        np.save(folder / f"{own}.npy", value.transpose(0, 2, 3, 1) if value.ndim == 4 else value)
        if name != "input":
            layers[own] = name
    manifest = {"network": "an accelerator", "layout": "NHWC", "layers": layers}
    if "input" in values:
        manifest["input"] = "given"
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


@pytest.fixture(params=[as_safetensors, as_npz, as_folder], ids=["safetensors", "npz", "folder"])
def save(request, tmp_path):
    """Each of the three forms of a trace."""
    return lambda values: request.param(values, tmp_path)


def test_a_trace_of_the_twin_is_same(recorded, save):
    """The twin's own values and its input, in each form of a trace: same, every layer of it."""
    run = judged(save({"input": X, **recorded()}))

    assert not_same(run) == []
    assert (run.verdict, len(run.reports[0].layers)) == ("same", 69)
    assert re.fullmatch(r"[0-9a-f]{64}", run.environment["actual_sha256"])


@pytest.mark.parametrize(
    "wrong",
    [("layer2.0.bn1",), ("fc",), ("layer1.1.conv2", "layer3.0.downsample.0")],
    ids=["eps", "last", "two"],
)
def test_a_trace_of_a_wrong_twin_is_different_where_it_is_wrong(recorded, save, wrong):
    """One wrong layer, and two, are found in the trace at exactly these layers."""
    run = judged(save({"input": X, **recorded(*wrong)}))

    assert run.verdict == "different"
    assert at_fault(run) == list(wrong)


def test_a_trace_without_its_input_is_not_same(recorded, save):
    """A right trace that does not hold its input: could not tell, and that is why."""
    run = judged(save(recorded()))

    assert run.verdict == "unknown"
    assert at_fault(run) == []
    assert "the trace does not hold its input" in run.reports[0].doubts[0]


def test_a_wrong_trace_without_its_input_is_different(recorded, save):
    """A fault needs no input to be seen: different, at its layer."""
    run = judged(save(recorded("layer2.0.bn1")))

    assert run.verdict == "different"
    assert at_fault(run) == ["layer2.0.bn1"]


def test_a_trace_of_another_image_is_refused(recorded, save):
    """A trace of another picture is refused, with how far off it is."""
    other = X + np.float32(1)

    with pytest.raises(layerdiff.InputError, match="a trace of another input, got 12,288 of 12,288"):
        judged(save({"input": other, **recorded()}))


@pytest.fixture(scope="module")
def captured(tmp_path_factory):
    """The twin's trace as `layerdiff capture` writes it."""
    path = tmp_path_factory.mktemp("captured") / "twin.safetensors"
    done = called(capture_command, *OPTIONS, "--network", "numpy", "--output", path)
    assert done.return_value == 0, done.exception
    return path


def test_what_capture_wrote_is_a_source_as_it_is(captured):
    """A trace from `layerdiff capture` holds its input's digest: `run` judges it with no more; exit 0."""
    done = called(run_command, *OPTIONS, "--actual", captured, "--format", "json")

    assert done.return_value == 0, done.exception
    assert json.loads(done.stdout)["reports"][0]["verdict"] == "same"


def test_what_capture_wrote_of_another_size_is_refused(captured):
    """A captured trace of another input than the run's is refused, and never judged."""
    with pytest.raises(layerdiff.InputError, match="a trace of another input"):
        judged(str(captured), size=(65, 64))


def test_a_spoilt_captured_trace_is_different(captured, tmp_path):
    """Values changed in the file itself: different, at the layer they are of."""
    from safetensors import safe_open

    values = load_file(captured)
    with safe_open(captured, framework="numpy") as file:
        metadata = file.metadata()
    values["fc"] = values["fc"] + np.float32(0.01)
    save_file(values, tmp_path / "spoilt.safetensors", metadata=metadata)

    done = called(run_command, *OPTIONS, "--actual", tmp_path / "spoilt.safetensors", "--format", "json")

    layers = json.loads(done.stdout)["reports"][0]["layers"]
    assert done.return_value == 1, done.exception
    assert [layer["layer"] for layer in layers if layer["status"] == "fault"] == ["fc"]


def test_the_command_judges_a_trace(layerdiff, recorded, tmp_path):
    """As its users run it: a right trace exits with 0; one of another picture with 2, and one error line."""
    right = as_npz({"input": X, **recorded()}, tmp_path)
    other = as_safetensors({"input": X + np.float32(1), **recorded()}, tmp_path)

    same = layerdiff("run", *OPTIONS, "--actual", right)
    refused = layerdiff("run", *OPTIONS, "--actual", other)

    assert (same.returncode, same.stderr) == (0, "")
    assert "same: 69 of 69 layers" in same.stdout
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith("error: trace.safetensors: a trace of another input")
    assert [line for line in refused.stderr.splitlines()[1:] if not line.startswith(("note: ", "help: "))] == []


def test_what_a_trace_is_of_is_found_out(captured):
    """Without `--expected` a whole trace is judged against the network that has exactly its layers."""
    run = judged(captured, expected=None)

    assert (run.verdict, run.environment["architecture"]) == ("same", "resnet18")
    assert any("since it has exactly the layers" in note for note in run.notes)


def test_a_part_that_only_one_network_has_tells_it(tmp_path):
    """Layers that stand with so many channels in one network alone say which it is."""
    path = as_npz({"layer2.3.add": np.ones((1, 128, 8, 8), np.float32)}, tmp_path)

    assert guess_architecture([load_candidate(path)], (1, 3, 64, 64))[0] == "resnet34"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"conv1": (1, 64, 32, 32), "fc": (1, 1000)}, "got those of resnet18, resnet34, resnet50"),
        ({"layer1.0.conv2": (1, 128, 16, 16)}, "got those of wide_resnet50_2, resnext50_32x4d"),
        ({"stem": (1, 64, 32, 32)}, "got those of none of torchvision's networks"),
        ({"layer1.0.conv1": (1, 48, 16, 16)}, "got those of none of torchvision's networks"),
    ],
    ids=["of-all", "of-two", "of-none", "channels-of-none"],
)
def test_what_a_trace_is_of_is_never_guessed(tmp_path, values, message):
    """Layers that several networks have, or none, are refused with a word to say which it is."""
    path = as_npz({name: np.ones(shape, np.float32) for name, shape in values.items()}, tmp_path)

    with pytest.raises(layerdiff.InputError, match=message) as caught:
        judged(path, expected=None)
    assert "--expected" in caught.value.__notes__[-1]


@pytest.fixture(scope="module")
def exported(weights, tmp_path_factory):
    """ResNets as torch exports them, every batch norm folded into its convolution."""
    folder = tmp_path_factory.mktemp("exported")
    for name, size in (("resnet18", 64), ("resnet50", 33)):
        network = layerdiff.torchvision_model(name, weights[name])
        with warnings.catch_warnings():
            # The exporter warns of torch's own code.
            warnings.simplefilter("ignore")
            example = (torch.zeros(1, 3, size, size),)
            torch.onnx.export(network, example, str(folder / f"{name}.onnx"), dynamo=True, verbose=False)
    return folder


@pytest.mark.parametrize(("name", "size"), [("resnet18", 64), ("resnet50", 33)], ids=["resnet18", "resnet50"])
def test_what_torch_exports_is_same(exported, name, size):
    """An exported network needs no other option: what it is, is inferred, and it is same in both precisions."""
    run = layerdiff.run(str(exported / f"{name}.onnx"), weights="synthetic", size=(size, size))

    assert not_same(run) == []
    assert run.verdict == "same"
    assert run.environment["architecture"] == name
    assert {m.dtype for layer in run.reports[0].layers for m in layer.measures} == {"float32", "float64"}


def test_a_wrong_weight_in_an_exported_file_is_found(exported, tmp_path):
    """A kernel changed in the file: different at that convolution and the batch norm that is folded into it."""
    model = onnx.load(exported / "resnet18.onnx")
    (held,) = [one for one in model.graph.initializer if one.name.startswith("layer3.1.conv2") and len(one.dims) == 4]
    array = numpy_helper.to_array(held).copy()
    array[5] *= 1.02
    held.CopyFrom(numpy_helper.from_array(array, held.name))
    onnx.save(model, tmp_path / "wrong.onnx")

    run = layerdiff.run(tmp_path / "wrong.onnx", weights="synthetic", size=SIZE)

    assert run.verdict == "different"
    assert at_fault(run) == ["layer3.1.conv2", "layer3.1.bn2"]
    (conv, norm) = [layer for layer in run.reports[0].layers if layer.status == "fault"]
    assert (conv.together, norm.together) == (("layer3.1.bn2",), ("layer3.1.conv2",))


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_a_hand_built_graph_is_same(weights, tmp_path, name):
    """A graph that nobody exported, nothing folded and nothing named: same with no other option."""
    graph = Builder(layerdiff.state_dict(weights[name]), named=False)
    graph.build(tmp_path / "net.onnx")

    run = layerdiff.run(str(tmp_path / "net.onnx"), weights="synthetic", size=SIZE if name == "resnet18" else (33, 33))

    assert not_same(run) == []
    assert (run.verdict, run.environment["architecture"]) == ("same", name)


def test_faults_in_a_hand_built_graph_are_found(weights, tmp_path):
    """A wrong eps and a wrong weight in one file: different at exactly these two layers."""
    graph = Builder(layerdiff.state_dict(weights["resnet18"]), named=False)
    graph.eps["layer2.0.bn1"] = 1.001e-5
    graph.weights["layer4.1.conv2.weight"] = graph.weights["layer4.1.conv2.weight"].copy()
    graph.weights["layer4.1.conv2.weight"][3, 2, 1, 1] += 0.1
    graph.build(tmp_path / "net.onnx")

    run = layerdiff.run(str(tmp_path / "net.onnx"), weights="synthetic", size=SIZE)

    assert run.verdict == "different"
    assert at_fault(run) == ["layer2.0.bn1", "layer4.1.conv2"]


def test_an_exported_file_of_another_size_is_refused(exported):
    """A file made for one size of picture says which, when it gets another."""
    with pytest.raises(layerdiff.InputError, match=r"resnet18\.onnx.*64"):
        layerdiff.run(str(exported / "resnet18.onnx"), weights="synthetic", size=(65, 65))


def test_no_such_file_is_said():
    """A trace or an ONNX file that is not there is one clear line, with and without `--expected`."""
    for name in ("nowhere.npz", "nowhere.onnx", "nowhere/"):
        for expected in ("torchvision:resnet18", None):
            with pytest.raises(layerdiff.InputError, match=r"nowhere.*no such"):
                judged(name, expected=expected)
