"""The command: streams, exit codes, errors, and what it leaves behind."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file, save_file


def assert_refused(done, first_line, *more):
    """Exit 2, nothing on stdout, one error line and its notes on stderr, no traceback."""
    lines = done.stderr.splitlines()
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stdout == ""
    assert re.search(first_line, lines[0]), lines
    assert lines[0].startswith("error: ")
    assert all(re.match(r"(note|help): ", line) for line in lines[1:]), lines
    assert all(any(re.search(part, line) for line in lines) for part in more), lines


def test_both_networks_are_same(layerdiff, small):
    """A run on the cat: exit 0, nothing on stderr, the answers on stdout, 80 columns kept."""
    done = layerdiff("run", *small)

    answers = [line for line in done.stdout.splitlines() if line.startswith("same: 69 of 69 layers; the worst, ")]
    assert done.returncode == 0
    assert done.stderr == ""
    assert len(answers) == 2
    assert done.stdout.splitlines()[-1] == answers[-1]
    # A path is not broken.
    assert all(len(line) <= 80 or ".safetensors" in line for line in done.stdout.splitlines())
    assert "handwritten torch resnet18, float32 and float64" in done.stdout
    assert "handwritten NumPy resnet18, float32 and float64" in done.stdout


def test_json_is_all_there_is_on_stdout(layerdiff, small, tmp_path):
    """`--format json` prints only JSON: every layer, every measure, and all that is needed to repeat the run."""
    path = tmp_path / "run.json"
    done = layerdiff("run", *small, "--format", "json", "--output", path, "--seed", "3")

    run = json.loads(done.stdout)
    assert done.returncode == 0
    assert run == json.loads(path.read_text())
    assert [len(report["layers"]) for report in run["reports"]] == [69, 69]
    assert all(len(layer["measures"]) == 6 for report in run["reports"] for layer in report["layers"])
    assert run["environment"]["seed"] == "3"
    assert {
        "torch", "numpy", "torchvision", "torch_threads", "blas_threads", "weights_sha256", "images_sha256",
        "input_sha256", "weights", "images", "dtypes", "layerdiff", "python", "machine",
    } <= set(run["environment"])  # fmt: skip


def test_what_the_error_looks_like_is_kept_where_it_is_asked_for(layerdiff, small, tmp_path):
    """`--evidence all` keeps it of every layer, in the file too; without it there is none where nothing is wrong."""
    paths = tmp_path / "all.json", tmp_path / "failed.json"
    kept, without = (
        layerdiff("run", *small, "--actual", "numpy", "--until", "layer1.0.bn1", "--output", path, *asked)
        for path, asked in zip(paths, (["--evidence", "all"], []), strict=True)
    )
    assert (kept.returncode, kept.stdout) == (0, without.stdout)
    (report,), (other,) = (json.loads(path.read_text())["reports"] for path in paths)
    assert all(layer["evidence"]["histogram"] for layer in report["layers"])
    assert all(layer["evidence"] is None for layer in other["layers"])
    assert layerdiff("report", paths[0]).stdout == kept.stdout


def test_the_same_command_gives_the_same_bytes(layerdiff, small):
    """Two runs of one command are equal to the byte."""
    first, second = (layerdiff("run", *small, "--format", "json", "--actual", "torch") for _ in range(2))

    assert first.stdout == second.stdout


@pytest.mark.parametrize("grade", ["im2col", "gemm", "taps"])
def test_grades_batches_and_threads(layerdiff, small, grade):
    """Each grade of the twin, a batch of three and two threads: same; the BLAS has one while networks are judged."""
    done = layerdiff("run", *small, "--actual", "numpy", "--grade", grade, "--batch", "3", "--threads", "2")

    assert done.returncode == 0, done.stdout + done.stderr
    text = " ".join(done.stdout.split())
    assert "(3, 3, 65, 49)" in text
    assert "1 thread, seed 0" in text


def test_a_saved_run_is_judged_again(layerdiff, small, tmp_path):
    """With allowances of a thousandth a clean run is different; nothing is run again."""
    path = tmp_path / "run.json"
    layerdiff("run", *small, "--actual", "numpy", "--output", path)

    again, strict = layerdiff("compare", path), layerdiff("compare", path, "--scale", "0.001")

    assert again.returncode == 0
    assert strict.returncode == 1
    assert strict.stdout.splitlines()[-1].startswith("different, allowances times 0.001: ")


def test_traces_are_captured_and_compared(layerdiff, small, tmp_path):
    """Two captured traces are same; a changed one is different, at the right layer; exit codes say so."""
    expected, actual, broken = (tmp_path / f"{name}.safetensors" for name in ("expected", "actual", "broken"))
    assert layerdiff("capture", *small, "--output", expected).returncode == 0
    assert layerdiff("capture", *small, "--network", "numpy", "--output", actual).returncode == 0
    values = load_file(actual)
    values["layer2.0.conv1"] = values["layer2.0.conv1"] + np.float32(0.01)
    save_file(values, broken, metadata=metadata_of(actual))

    same, different = layerdiff("compare", expected, actual), layerdiff("compare", expected, broken)

    assert same.returncode == 0, same.stdout + same.stderr
    assert same.stdout.splitlines()[-1].startswith("same: 69 of 69 layers")
    assert different.returncode == 1
    assert "layer2.0.conv1: " in different.stdout


def metadata_of(path):
    """The metadata of a safetensors file."""
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as file:
        return file.metadata()


@pytest.mark.parametrize("network", ["expected", "torch", "numpy"])
def test_classify_names_five_classes(layerdiff, small, network):
    """The five best classes with their shares, and a word that synthetic weights know nothing."""
    done = layerdiff("classify", *small[:4], "--network", network)

    shares = [float(line.split("%")[0]) for line in done.stdout.splitlines() if re.match(r" *\d+\.\d\d%  \S", line)]
    assert done.returncode == 0
    assert len(shares) == 5
    assert shares == sorted(shares, reverse=True)


def test_the_three_networks_classify_alike(layerdiff, small):
    """Torchvision's and both handwritten networks name the same classes with the same shares."""
    printed = {layerdiff("classify", *small[:4], "--network", kind).stdout for kind in ("expected", "torch", "numpy")}

    assert len(printed) == 1


def test_weights_are_exported_bit_for_bit(layerdiff, small, dump, tmp_path):
    """Weights written as a text dump, and that as safetensors, have the hash of those they were made of."""
    tensors = layerdiff("weights", "export", f"txt:{dump}", tmp_path / "w.safetensors", "--arch", "resnet18")
    seen = [
        layerdiff("weights", "inspect", path, "--arch", "resnet18") for path in (small[3], tmp_path / "w.safetensors")
    ]

    hashes = {re.search(r"sha256 (\w{64})", done.stdout)[1] for done in (tensors, *seen)}
    assert len(hashes) == 1


def test_without_a_network_auto_falls_back_and_says_so_first(layerdiff):
    """`auto` without a network says in its first line that the weights are synthetic, within seconds."""
    dead = dict.fromkeys(("http_proxy", "https_proxy", "HTTPS_PROXY", "HTTP_PROXY"), "http://127.0.0.1:9")
    done = layerdiff("run", "--expected", "torchvision:resnet18", "--size", "33", "--actual", "numpy", **dead)

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].startswith("note: Not torchvision's weights: ")
    assert "synthetic:0" in " ".join(done.stdout.splitlines()[:3])


def test_no_such_image(layerdiff, small):
    """A missing image is one line."""
    assert_refused(layerdiff("run", *small, "--image", "nowhere.jpg"), "nowhere.jpg")


def test_a_truncated_jpeg(layerdiff, small, tmp_path):
    """A JPEG cut short is refused."""
    path = tmp_path / "cut.jpg"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (300, 300, 3), dtype=np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:5000])

    assert_refused(layerdiff("run", *small, "--image", path), "cut.jpg")


def test_a_decompression_bomb(layerdiff, small, tmp_path):
    """A small file that unpacks to a huge image is refused before it is unpacked."""
    path = tmp_path / "bomb.png"
    Image.new("1", (20_000, 20_000)).save(path)

    assert_refused(layerdiff("run", *small, "--image", path), "bomb.png")


@pytest.mark.parametrize("mode", ["L", "RGBA"])
def test_images_with_other_channels_are_converted_and_it_is_said(layerdiff, small, tmp_path, mode):
    """An image of one or four channels is converted to RGB, with a note."""
    path = tmp_path / "odd.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (90, 80, 3), dtype=np.uint8)).convert(mode).save(path)

    done = layerdiff("run", *small, "--actual", "numpy", "--image", path)

    assert done.returncode == 0, done.stderr
    assert re.search(r"^note: .*odd\.png.*RGB", done.stdout, re.MULTILINE)


def test_all_that_is_wrong_with_weights_is_said_at_once(layerdiff, small, tmp_path):
    """Missing, extra, misshapen and NaN tensors of one file are all listed in one error."""
    state = load_file(small[3])
    del state["layer1.0.bn1.weight"]
    state["layer9.weight"] = np.ones(3, np.float32)
    state["fc.bias"] = np.ones(7, np.float32)
    state["conv1.weight"][0, 0, 0, 0] = np.nan
    path = tmp_path / "bad.safetensors"
    save_file(state, path)

    done = layerdiff("run", "--expected", "torchvision:resnet18", "--weights", path)

    assert_refused(done, "bad.safetensors", "layer1.0.bn1.weight", "layer9.weight", "fc.bias", "conv1.weight")


def test_a_pickle_with_code_in_it_is_not_run(layerdiff, tmp_path):
    """A .pth that would run code when it is loaded is refused, and the code does not run."""
    import pickle

    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "owned"), "w"))

    path = tmp_path / "evil.pth"
    path.write_bytes(pickle.dumps({"conv1.weight": Evil()}))

    assert_refused(layerdiff("run", "--weights", path), "evil.pth")
    assert not (tmp_path / "owned").exists()


def test_a_word_in_a_text_dump(layerdiff, dump):
    """A word where a number belongs and a wrong count are named with their files, in one error."""
    lines = (dump / "resnet18_bn1_bias.txt").read_text().splitlines()
    lines[4] = "hello"
    for name, text in (("bias", "\n".join(lines)), ("weight", "1.0\n")):
        (dump / f"resnet18_bn1_{name}.txt").unlink()
        (dump / f"resnet18_bn1_{name}.txt").write_text(text)

    done = layerdiff("run", "--expected", "torchvision:resnet18", "--weights", f"txt:{dump}")

    assert_refused(done, "dump", "hello", "resnet18_bn1_weight.txt")


def test_a_partial_dump_is_judged_in_part(layerdiff, dump):
    """A dump that lacks tensors is refused whole, with the part it covers named, and judged up to there."""
    # What lies behind it is not needed, and is slow to read.
    for path in dump.glob("resnet18_layer4_*conv*_weight.txt"):
        path.unlink()
    (dump / "resnet18_layer3_basicblock0_conv1_weight.txt").unlink()
    options = ["--expected", "torchvision:resnet18", "--weights", f"txt:{dump}", "--size", "65x49"]

    assert_refused(layerdiff("run", *options), "lacking", "--until layer2")
    assert_refused(layerdiff("run", *options, "--until", "layer3"), "lack", "--until layer2")
    part = layerdiff("run", *options, "--until", "layer2")

    assert part.returncode == 0, part.stderr
    assert part.stdout.count("same: 34 of 34 layers up to layer2") == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--expected", "torchvision:resnet51"], "no such reference, got 'torchvision:resnet51'"),
        (["--expected", "resnet50"], "expected: not a network, got 'resnet50', expected one of the forms below"),
        (["--actual", "jax"], "actual: not a network, got 'jax', expected one of the forms below"),
        (["--size", "32"], "too small for resnet50, got 32x32, expected at least 33x33"),
        (["--size", "9999"], "size: too large, got 9999x9999, expected at most 4096 pixels a side"),
        (["--weights", "imagenet"], "imagenet"),
        (["--output", "."], "cannot be written, expected a file in a folder that exists"),
        (["--output", "nowhere/run.json"], "nowhere/run.json: cannot be written"),
    ],
)
def test_nonsense_is_refused_in_one_line(layerdiff, arguments, message):
    """An unknown reference or weights, a size too small, an output that cannot be: one line and exit 2."""
    assert_refused(layerdiff("run", *arguments), re.escape(message) if " " in message else message)


def test_until_that_names_nothing_is_refused(layerdiff, small):
    """A part that the network does not have leaves no layer to compare: exit 2, never same."""
    assert_refused(
        layerdiff("run", *small, "--until", "layer7"), "until: no such layer, got 'layer7'", "layer1, layer2"
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "--size", "big"],
        ["run", "--threads", "0"],
        ["run", "--threads", "3000000000"],
        ["nothing"],
        ["compare"],
    ],
)
def test_usage_errors_are_exit_2(layerdiff, arguments):
    """Wrong usage is exit 2, said on stderr, without a traceback."""
    done = layerdiff(*arguments)

    assert done.returncode == 2
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert "Error: " in done.stderr


def test_compare_refuses_what_it_cannot(layerdiff, tmp_path):
    """Three files, one trace, or options of the other form are refused in one line."""
    (tmp_path / "a.json").write_text('{"schema": 1}')

    assert_refused(layerdiff("compare", "a.x", "b.x", "c.x"), "got a.x, b.x, c.x, expected two traces or one saved run")
    assert_refused(layerdiff("compare", "a.x", "b.x", "--scale", "2"), "--scale is for a saved run")
    assert_refused(layerdiff("compare", tmp_path / "a.json", "--rtol", "1"), "judged again with --scale")
    assert_refused(layerdiff("compare", tmp_path / "a.json"), "not a run")
    assert_refused(layerdiff("compare", "a.safetensors", "b.safetensors"), "no such file")


def test_a_trace_goes_into_a_safetensors_file(layerdiff):
    """Another ending is refused before any work."""
    assert_refused(layerdiff("capture", "--output", "a.txt"), "a trace is a .safetensors file, got .txt")


def test_pickles_are_not_written(layerdiff, tmp_path):
    """Weights are not exported as pickles, and an existing file is not replaced unasked."""
    there = tmp_path / "there.safetensors"
    there.write_text("mine")

    assert_refused(layerdiff("weights", "export", "synthetic", "a.pth"), "pickles are read but not written")
    assert_refused(layerdiff("weights", "export", "synthetic", there), "exists already", "--overwrite")
    assert there.read_text() == "mine"


def shell(script: str, cwd) -> subprocess.CompletedProcess[str]:
    """A bash script in which `$layerdiff` is the command."""
    script = f"layerdiff='{sys.executable} -P -m layerdiff'\n{script}"
    # Buffered, as users run it: what could not be written is then tried again when Python ends.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    environment["OMP_NUM_THREADS"] = "1"
    return subprocess.run(["bash", "-c", script], cwd=cwd, env=environment, capture_output=True, text=True, check=False)


def test_a_reader_that_has_gone_is_not_a_difference(layerdiff, small, tmp_path):
    """Output into a closed pipe, a full disk or nowhere is exit 2, never 1, without a traceback."""
    layerdiff("run", *small, "--actual", "numpy", "--output", tmp_path / "run.json")

    gone = shell("$layerdiff compare run.json --format json | true; echo ${PIPESTATUS[0]}", tmp_path)
    full = shell("$layerdiff compare run.json >/dev/full; echo $?", tmp_path)
    closed = shell("$layerdiff compare run.json >&-; echo $? >&2", tmp_path)

    # A reader that is slow to go may have taken all of it.
    assert gone.stdout in {"2\n", "0\n"}
    assert gone.stderr == ""
    assert (full.stdout, full.stderr) == ("2\n", "error: stdout: cannot be written, got No space left on device\n")
    assert closed.stderr == "error: stdout: it is closed, expected it to be open\n2\n"


def test_help_does_not_wait_for_torch(layerdiff):
    """`--help` imports neither torch nor torchvision."""
    done = layerdiff("--help", PYTHONPROFILEIMPORTTIME="1")

    assert done.returncode == 0
    assert " torch" not in done.stderr
    assert "Judge networks against torchvision's, layer by layer." in done.stdout
