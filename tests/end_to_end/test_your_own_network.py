"""Anyone's network through the whole job: its own weights, a map, another candidate, as an object, misbehaving."""

from __future__ import annotations

import json
import os
import re
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torchvision.models import resnet18

import layerdiff as package
from layerdiff.compare.saved import write_file
from layerdiff.compare.weights_map import map_to_json
from layerdiff.weight_maps import find_transfer

FOLDER = Path(__file__).parent.parent / "candidates"
RIGHT = f"{FOLDER}/residual_function_conv2_x.py:ResNet(BasicBlock, [2, 2, 2, 2])"
SIZE = (64, 64)
OPTIONS = ["--expected", "torchvision:resnet18", "--weights", "synthetic", "--size", "64"]


def judged(*actual, **options):
    """The run of networks against ResNet-18 with synthetic weights."""
    return package.run(*actual, **{"expected": "torchvision:resnet18", "weights": "synthetic", "size": SIZE} | options)


def at_fault(run):
    """The layers at fault in the only report."""
    (report,) = run.reports
    return [layer.layer for layer in report.layers if layer.status == "fault"]


def assert_refused(done, first_line, *, help_=True):
    """Exit 2, nothing on stdout, one error line on stderr, only notes and help after it."""
    lines = done.stderr.splitlines()
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stdout == ""
    assert re.match(f"error: .*{first_line}", lines[0]), lines
    assert all(re.match(r"(note|help): ", line) for line in lines[1:]), lines
    assert not help_ or any(line.startswith("help: ") for line in lines), lines


@pytest.fixture
def write(tmp_path):
    """Writes a candidate's file, torch and nn imported."""

    def write(text, name="net.py"):
        (tmp_path / name).write_text("import torch\nfrom torch import nn\n" + textwrap.dedent(text))
        return tmp_path / name

    return write


@pytest.fixture(scope="module")
def state():
    """The reference's weights."""
    return package.state_dict(package.load_weights("synthetic", "resnet18"))


def made(state=None):
    """Torchvision's network with these weights, or fresh ones; nobody's ReLU works in place."""
    torch.manual_seed(5)
    network = resnet18().eval()
    for module in network.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False
    if state is not None:
        network.load_state_dict(state)
    return network


LOADS_ITS_OWN = """
from pathlib import Path
from safetensors.torch import load_file
from torchvision.models import resnet18

class Wrapped(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = resnet18()
        self.body.load_state_dict(load_file(Path(__file__).parent / "mine.safetensors"))
        {then}

    def forward(self, x):
        return self.body(x)
"""
SWAP = """
        one, two = self.body.layer1[0].conv1.weight, self.body.layer1[1].conv2.weight
        one.data, two.data = two.data, one.data
"""


@pytest.fixture
def own(write, state, tmp_path):
    """A candidate that loads the reference's weights itself, and may do something to them then."""
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, tmp_path / "mine.safetensors")
    return lambda then="": str(write(LOADS_ITS_OWN.format(then=then.strip()))) + ":Wrapped"


def test_weights_that_a_candidate_keeps_are_judged(own):
    """`keep` judges a candidate with what it loaded itself: same, and nothing was carried over."""
    run = judged(own(), weights="keep:synthetic")

    assert run.verdict == "same", [(x.layer, x.reason) for x in run.reports[0].layers if x.status != "same"]
    assert not any("carried over" in note for note in run.reports[0].notes)


def test_swapped_kernels_that_are_kept_are_found(own):
    """Two kernels of one shape, swapped after loading: different at exactly these two layers, with `keep` alone."""
    spec = own(SWAP)

    assert at_fault(judged(spec, weights="keep:synthetic")) == ["layer1.0.conv1", "layer1.1.conv2"]
    assert judged(spec).verdict == "same"


def test_fresh_weights_that_are_kept_are_different():
    """A network fresh from its constructor, kept so: different at every layer that has weights which differ."""
    run = judged(made(), weights="keep:synthetic")

    convolutions = [layer.layer for layer in run.reports[0].layers if layer.kind in {"conv2d", "batch_norm"}]
    assert run.verdict == "different"
    assert at_fault(run) == [*convolutions, "fc"]


def test_keep_alone_is_keep_auto(state, monkeypatch, tmp_path):
    """`keep` says nothing of the expected weights, which are then those of `auto`; an object keeps its own too."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    for name in ("http_proxy", "https_proxy", "HTTPS_PROXY", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    run = judged(made(state), weights="keep")

    assert run.verdict == "same"
    assert run.notes[0].startswith("Not torchvision's weights")
    assert run.environment["weights"].startswith("synthetic")


@pytest.fixture(scope="module")
def mapped():
    """What `weights map` finds for a right candidate."""
    transfer, notes = find_transfer(RIGHT, "torchvision:resnet18", "synthetic", SIZE)
    assert (transfer.unplaced, transfer.unfilled, transfer.suspicions) == ((), (), ())
    assert notes == ()
    return json.loads(map_to_json(transfer))


@pytest.fixture
def edited(mapped, tmp_path):
    """The map as a file, edited by hand."""

    def edit(change=lambda by_name: None):
        content = json.loads(json.dumps(mapped))
        change({tensor["expected"]: tensor for tensor in content["tensors"]})
        write_file(tmp_path / "map.json", json.dumps(content).encode())
        return tmp_path / "map.json"

    return edit


def test_a_map_is_written_and_used(layerdiff, write):
    """`weights map` prints JSON and nothing else, whatever the candidate prints; `run --map` with it is same."""
    net = write(
        """
        from torchvision.models import resnet18
        print("importing")
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.body = resnet18()
            def forward(self, x):
                print("running")
                return self.body(x)
        """
    )

    done = layerdiff("weights", "map", "net.py", *OPTIONS, cwd=net.parent)
    saved = layerdiff("weights", "map", "net.py", *OPTIONS, "-o", "map.json", cwd=net.parent)
    used = layerdiff("run", "--actual", "net.py", "--map", "map.json", *OPTIONS, cwd=net.parent)

    assert done.returncode == 0, done.stderr
    content = json.loads(done.stdout)
    assert content == json.loads((net.parent / "map.json").read_text())
    assert {"expected": "fc.bias", "actual": "body.fc.bias"}.items() <= content["tensors"][-1].items()
    assert len(content["tensors"]) == 102
    assert (saved.returncode, saved.stdout) == (0, "map.json: 102 tensors have a place\n")
    assert "note: net.py: its import printed 1 line, which went to stderr" in done.stderr
    assert used.returncode == 0, used.stdout + used.stderr


def test_a_map_is_used_as_it_is(edited):
    """A map that was not touched gives the same verdict as no map."""
    assert judged(RIGHT, mapping=edited()).verdict == "same"


def test_entries_swapped_by_hand_are_found(edited):
    """Two entries of one shape, swapped in the file: different at exactly these layers."""

    def swap(by_name):
        one, two = by_name["layer2.0.conv2.weight"], by_name["layer2.1.conv1.weight"]
        one["actual"], two["actual"] = two["actual"], one["actual"]

    run = judged(RIGHT, mapping=edited(swap))

    assert run.verdict == "different"
    assert at_fault(run) == ["layer2.0.conv2", "layer2.1.conv1"]


def test_an_entry_taken_out_by_hand_is_found(mapped, tmp_path):
    """A tensor that the map leaves out stays as the candidate has it: different at that layer, never same."""
    content = {**mapped, "tensors": [t for t in mapped["tensors"] if t["expected"] != "layer3.1.conv2.weight"]}
    (tmp_path / "map.json").write_text(json.dumps(content))

    run = judged(RIGHT, mapping=tmp_path / "map.json")

    assert run.verdict == "different"
    assert at_fault(run) == ["layer3.1.conv2"]


def test_names_in_a_map_that_are_unknown_are_refused(layerdiff, edited):
    """Names that neither network has, all at once: exit 2, one error line."""

    def misspell(by_name):
        by_name["conv1.weight"]["actual"] = "konv1.weight"
        by_name["fc.bias"]["expected"] = "fc.offset"

    done = layerdiff("run", "--actual", RIGHT, *OPTIONS, "--map", edited(misspell))

    assert_refused(done, "weights: 2 of 102 tensors cannot be carried over, the first: .*konv1.weight", help_=False)
    assert "note: the expected network has no fc.offset" in done.stderr


def test_a_map_that_would_not_be_used_is_refused(edited):
    """A map beside `keep`, or for a network of our own, would do nothing: refused, not ignored."""
    with pytest.raises(package.InputError, match=r"got both --map and --weights keep"):
        judged(RIGHT, mapping=edited(), weights="keep")
    with pytest.raises(package.InputError, match="map: it is for a network's code, got numpy"):
        judged("numpy", mapping=edited())


def test_keep_makes_no_map():
    """`weights map --weights keep` is refused: nothing is carried over."""
    with pytest.raises(package.InputError, match="which carries nothing over"):
        find_transfer(RIGHT, "torchvision:resnet18", "keep", SIZE)


def test_a_map_with_something_left_over_is_exit_1(layerdiff):
    """Tensors without a place are named on stderr, the map is on stdout all the same, and the exit code is 1."""
    options = ["--expected", "torchvision:resnet34", *OPTIONS[2:]]
    done = layerdiff("weights", "map", FOLDER / "ten_classes.py:DefectNet", *options)

    assert done.returncode == 1, done.stderr
    assert json.loads(done.stdout)["unplaced"] == ["fc.weight", "fc.bias"]
    assert "note: no place for: fc.weight, fc.bias" in done.stderr


def other(file):
    """The spec of a file of the corpus."""
    return f"{FOLDER}/{file}"


def test_two_right_candidates_are_same():
    """Two people's networks, each in a style of its own, against each other: same, by the expected file's layer ids."""
    run = judged(other("relu_after_maxpool.py:FastStemResNet"), expected=other("shared_helper_on_self.py:Flat18"))

    (report,) = run.reports
    assert run.verdict == "same"
    assert report.layers[0].layer == "c0"
    assert report.layers[-1].layer == "head"
    assert any("with the weights of resnet18, synthetic weights" in note for note in run.notes)
    assert {"expected_sha256", "actual_sha256"} <= set(run.environment)


def test_a_right_and_a_wrong_candidate_are_different():
    """A wrong network against somebody's right one: different where it is wrong, by that one's layer ids."""
    expected = other("pytorchcv_units.py:ResNet(blocks=18)")
    run = judged(other("eps_of_the_stem.py:Net"), other("relu_missing_in_stage3.py:ResNet18"), expected=expected)

    stem, stage = run.reports
    wrong = [
        [(layer.layer, layer.status) for layer in report.layers if layer.status not in {"same", "inherited"}]
        for report in run.reports
    ]
    assert (stem.verdict, stage.verdict) == ("different", "different")
    assert wrong[0] == [("features.init_block.conv.bn", "fault")]
    assert wrong[1] == [(f"features.stage3.unit{unit}.body.conv1.activ", "missing") for unit in (1, 2)]
    # Each has its own hash.
    assert len([name for name in run.environment if name.startswith("actual_sha256 ")]) == 2


def test_two_candidates_keep_their_own(own):
    """With `keep` both sides keep what they have: two made alike are same, one that loaded others is not."""
    alike = judged(made(), expected=made(), weights="keep:synthetic")
    loaded = judged(made(), expected=own(), weights="keep:synthetic")

    assert (alike.verdict, loaded.verdict) == ("same", "different")
    assert alike.environment["weights"] == "those ResNet was built with"


def test_a_name_says_what_it_is_judged_against():
    """Without `--expected` torchvision's own network, named, is judged against itself."""
    run = judged("torchvision:resnet18", expected=None)

    assert (run.verdict, run.environment["architecture"]) == ("same", "resnet18")


class Small(nn.Module):
    """Like none of torchvision's networks."""

    def __init__(self, slope=0.0):
        super().__init__()
        torch.manual_seed(1)
        self.a, self.norm, self.b = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Linear(8, 5)
        self.slope = slope

    def forward(self, x):
        """(n, 3, h, w) to (n, 5)."""
        x = self.norm(self.a(x))
        x = torch.relu(x) if self.slope == 0 else nn.functional.leaky_relu(x, self.slope)
        return self.b(x.mean((2, 3)))


def test_a_reference_that_is_like_no_known_network_keeps_its_weights():
    """Any network can be the expected one; its weights are carried into the candidate, and it is left as it was."""
    expected, wrong = Small(), Small(slope=0.01)
    before = snapshot(expected)

    assert judged(Small(), expected=expected).verdict == "same"
    run = judged(wrong, expected=expected)

    assert run.verdict == "different"
    assert at_fault(run) == ["relu"]
    assert run.environment["weights"] == "those Small was built with"
    assert_unchanged(expected, before)


def test_a_reference_that_gets_weights_is_left_as_it_was():
    """An expected network that is handed over gets torchvision's weights for the run alone."""
    expected = made().train()
    before = snapshot(expected)

    # Our own network has these weights whatever the expected one has.
    run = judged("numpy", expected=expected)

    assert run.verdict == "same"
    assert run.reports[0].expected.endswith("synthetic weights, seed 0")
    assert_unchanged(expected, before)


def test_a_reference_that_raises_is_refused():
    """What others are judged against must run: could not tell, with its own words."""

    class Broken(Small):
        def forward(self, x):
            return super().forward(x[:, :2])

    with pytest.raises(
        package.InputError, match=r"expected: Broken raises on an input of \(1, 3, 64, 64\), got Runtime"
    ):
        judged(Small(), expected=Broken())


NEVER = ["returns_a_tuple.py:RetrievalNet", "returns_a_dict.py:TrainerModel", "ignores_its_input.py:DebugNet",
         "branch_times_zero.py:GatedResNet", "takes_nhwc.py:Service", "cifar_stem.py:ResNet18"]  # fmt: skip


def test_what_is_never_same(layerdiff):
    """A tuple, a dict, an ignored input, a branch times zero, NHWC, a CIFAR stem: each is different, and exit 1."""
    actual = [word for file in NEVER for word in ("--actual", FOLDER / file)]

    done = layerdiff("run", *OPTIONS, *actual, "--format", "json")

    assert done.returncode == 1, done.stderr
    reports = json.loads(done.stdout)["reports"]
    assert [report["verdict"] for report in reports] == ["different"] * len(NEVER)


def test_ten_classes_are_never_same(layerdiff):
    """Ten classes where there should be a thousand, with no option: different at the head alone, exit 1."""
    done = layerdiff("run", "--actual", FOLDER / "ten_classes.py:DefectNet", "--weights", "synthetic", "--size", "64")

    assert done.returncode == 1, done.stderr
    assert "expected  torchvision resnet34" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("different: 1 layer at fault")


def snapshot(network):
    """All that could be seen of a network, and of torch, after a run."""
    own = ("training", *(name for name in vars(nn.Module()) if "hook" in name))
    return {
        "state": {name: (tensor.data_ptr(), tensor.numpy().tobytes()) for name, tensor in network.state_dict().items()},
        "tensors": {
            name: (id(tensor), tensor.requires_grad, None if tensor.grad is None else tensor.grad.numpy().tobytes())
            for name, tensor in (*network.named_parameters(), *network.named_buffers())
        },
        "modules": {
            path: (id(module), sorted(vars(module)), [repr(vars(module)[name]) for name in own])
            for path, module in network.named_modules()
        },
        "torch": (torch.is_grad_enabled(), torch.get_default_dtype(), torch.get_rng_state().numpy().tobytes()),
        "numpy": (np.geterr(), np.random.get_state()[1].tobytes()),  # noqa: NPY002 - what others use
        "everywhere": repr(vars(nn.modules.module)["_global_forward_hooks"]),
    }


def assert_unchanged(network, before):
    """It is exactly as it was."""
    after = snapshot(network)
    for what, value in before.items():
        assert after[what] == value, what


@pytest.fixture
def used(state):
    """A network in the middle of its owner's work: partly trained, partly frozen, hooked, in both modes."""
    network = made()
    network.train()
    network(torch.randn(2, 3, 40, 40)).sum().backward()
    network.layer2.eval()
    network.layer3.requires_grad_(False)
    network.layer4[0].conv1.weight.grad = None
    seen = []
    network.layer1.register_forward_hook(lambda *_: seen.append(1))
    return network


def test_a_network_that_was_handed_over_is_left_as_it_was(used):
    """Weights bit for bit, buffers, modes, gradients, hooks and torch's own settings: all as before, and it is same."""
    before = snapshot(used)

    run = judged(used)

    assert run.verdict == "same"
    assert_unchanged(used, before)


def test_a_network_that_raises_is_left_as_it_was(used):
    """A forward pass that raises in the middle is a finding, not an exception; all of the network is put back."""

    def bad(x):
        raise RuntimeError("out of ideas")

    used.layer3[1].relu.forward = bad
    before = snapshot(used)

    run = judged(used)

    assert run.verdict == "different"
    assert "RuntimeError in layer3.1.relu" in run.reports[0].crash
    assert "out of ideas" in run.reports[0].crash
    assert run.reports[0].layers[0].status == "same"
    assert_unchanged(used, before)


class _StopError(Exception):
    pass


def test_a_run_that_does_not_end_leaves_the_network_as_it_was(used, edited):
    """An error in what was asked, a map that does not fit, or the caller's own exception at a layer: all put back."""
    before = snapshot(used)

    def stop(_name, layer, _layers):
        if layer == "layer2.0.conv1":
            raise _StopError

    with pytest.raises(package.InputError, match="until: no such layer"):
        judged(used, until="layer9")
    with pytest.raises(package.InputError, match="judge: nothing to compare"):
        judged(used, dtypes=())
    with pytest.raises(package.InputError, match="cannot be carried over"):
        judged(used, mapping=edited())
    with pytest.raises(_StopError):
        judged(used, on_layer=stop)
    assert_unchanged(used, before)


@pytest.mark.parametrize(
    ("thing", "message"),
    [
        (None, "actual: gives no network, got nothing"),
        (lambda x: x, "actual: gives no network, got a function"),
        ({"fc.weight": torch.zeros(2)}, "actual: gives no network, got a state dict"),
        (
            Small().double(),
            r"cannot be judged where it is, got a.weight \(float64 on cpu\).* and 5 more, expected float32",
        ),
        (Small().to("meta"), r"cannot be judged where it is, got a.weight \(float32 on meta\)"),
        (nn.LazyLinear(3), "lazy modules have no shapes yet, got weight, bias"),
    ],
    ids=["none", "function", "state-dict", "double", "meta", "lazy"],
)
def test_what_is_handed_over_and_cannot_be_judged_is_refused(thing, message):
    """What is no network, or would have to be changed before it could be judged, is refused in one line."""
    with pytest.raises(package.InputError, match=message) as caught:
        judged(thing)
    assert caught.value.__notes__[-1].startswith("help: ")


def test_a_compiled_network_is_not_taken_apart(state):
    """A network inside torch.compile is taken out; one compiled in place is refused, and stays compiled."""
    network = made(state)
    around = judged(torch.compile(network, backend="eager"))
    network.compile(backend="eager")
    inside = network._compiled_call_impl

    with pytest.raises(package.InputError, match="actual: compiled, got the network, expected modules in Python"):
        judged(network)

    assert around.verdict == "same"
    assert "actual: took the network out of torch.compile" in around.notes
    assert network._compiled_call_impl is inside


def test_a_network_with_a_train_of_its_own_is_judged(write):
    """A `train` that trains is nobody's switch: the candidate is judged all the same."""
    net = write(
        """
        from torchvision.models import resnet18
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.body = resnet18()
            def train(self, loader, epochs=10):
                raise RuntimeError("no data")
            def forward(self, x):
                return self.body(x)
        """
    )

    assert judged(f"{net}:Net").verdict == "same"


def test_a_path_is_a_spec(own):
    """From Python a file may be given as a path."""
    assert judged(Path(own().removesuffix(":Wrapped"))).verdict == "same"


def test_json_is_undisturbed_by_what_candidates_print(layerdiff, write):
    """Both networks print at import, in building and in forward, and a subprocess does: stdout is JSON, with notes."""
    text = """
        import os
        from torchvision.models import resnet18
        print("at import")
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                print("in building")
                os.system("echo from a subprocess")
                self.body = resnet18()
            def forward(self, x):
                print("in forward")
                return self.body(x)
        """
    net = write(text)
    write(text, "other.py")

    done = layerdiff(
        "run", "--actual", "net.py", "--actual", "numpy", "--expected", "other.py", "--weights", "synthetic", "--size",
        "64", "--format", "json", cwd=net.parent,
    )  # fmt: skip

    run = json.loads(done.stdout)
    assert done.returncode == 0, done.stderr
    notes = [*run["notes"], *run["reports"][0]["notes"]]
    for file in ("net.py", "other.py"):
        assert f"{file}: its import printed 1 line, which went to stderr" in notes
        assert f"{file}:Net: its building printed 1 line, which went to stderr" in notes
        assert any(re.match(rf"{file}:Net: its judgement printed \d+ lines?, which went to stderr", n) for n in notes)
    assert {"at import", "in building", "in forward", "from a subprocess"} == set(done.stderr.splitlines())


def test_a_loop_without_end_is_stopped(layerdiff, write):
    """A forward pass that never ends: exit 2 after the timeout, with the line to give more, and no process is left."""
    net = write(
        """
        import os, subprocess, sys
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(3, 1000)
            def forward(self, x):
                started = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
                open("pids", "w").write(f"{os.getpid()} {started.pid}")
                while True:
                    pass
        """
    )
    started = time.monotonic()

    done = layerdiff("run", *OPTIONS, "--actual", "net.py:Net", "--timeout", "2", cwd=net.parent)

    assert_refused(done, "net.py:Net: its .* took longer than 2 s, and was stopped")
    assert "--timeout SECONDS gives it longer" in done.stderr
    # Generous: only that it is not the loop's end that was waited for.
    assert time.monotonic() - started < 120
    for pid in map(int, (net.parent / "pids").read_text().split()):
        assert_ends(pid)


def assert_ends(pid):
    """The process is gone, or is as soon as its parent has looked."""
    for _ in range(100):
        try:
            os.kill(pid, 0)
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return
        except (ProcessLookupError, FileNotFoundError):
            return
        time.sleep(0.1)
    raise AssertionError(f"process {pid} is still there")


BAD = {
    "exits": ("import sys\nsys.exit(0)\n", "net.py", r"net\.py: its import ends the program, got exit\(0\)"),
    "no module": ("import nowhere_at_all\n", "net.py", r"net\.py: does not import, got no module 'nowhere_at_all'"),
    "no syntax": ("def build(:\n", "net.py", r"net\.py: does not import"),
    "not there": ("def build():\n    return nn.ReLU()\n", "net.py:biuld", r"net\.py: no such name, got 'biuld'"),
    "nothing": ("def build():\n    nn.ReLU()\n", "net.py:build", r"net\.py:build: gives no network, got nothing"),
    "a list": (
        "def build():\n    return [nn.ReLU()]\n",
        "net.py:build",
        r"net\.py:build: gives no network, got a list",
    ),
}


@pytest.mark.parametrize("case", ["exits", "nothing"])
def test_what_gives_no_network_is_refused(layerdiff, write, case):
    """A file that exits when it is imported, or a function that returns nothing: exit 2, one error line, and help."""
    text, spec, message = BAD[case]
    net = write(text)

    assert_refused(layerdiff("run", *OPTIONS, "--actual", spec, cwd=net.parent), message)


@pytest.mark.parametrize("case", BAD)
def test_what_gives_no_network_says_why(write, monkeypatch, case):
    """Does not import, is not there, gives nothing or a list: an error line with the place, and what to do."""
    text, spec, message = BAD[case]
    monkeypatch.chdir(write(text).parent)

    with pytest.raises(package.InputError, match=f"^{message}") as caught:
        judged(spec)
    assert "\n" not in str(caught.value)
    assert [note for note in caught.value.__notes__ if not re.match("(note|help): ", note)] == []
    assert case == "no syntax" or caught.value.__notes__[-1].startswith("help: ")
