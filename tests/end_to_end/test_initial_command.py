"""`layerdiff initial`: how somebody's network begins, told at the terminal."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from layerdiff.command.initial import command
from layerdiff.errors import InputError

ROOT = Path(__file__).parents[2]
DOCS = (ROOT / "docs" / "initial.md").read_text()
TOLD = re.search(r"^```text\n\$ layerdiff (.*?)\n\n(.*?)^```$", DOCS, re.MULTILINE | re.DOTALL)
NET = re.search(r"^```python title=net.py\n(.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)[1]


def figureless(text):
    """A text without what depends on the last bits of the machine's random numbers."""
    return re.sub(r"\b0\.\d+\b", "0.x", text)


def test_the_docs_show_what_the_command_prints(layerdiff, tmp_path):
    """Somebody's file, which is run under supervision: exit 1, the docs' cause and answer, 80 columns, and JSON."""
    (tmp_path / "net.py").write_text(NET)

    done = layerdiff(*TOLD[1].split(), "--output", "initial.json", cwd=tmp_path)

    assert (done.returncode, done.stderr) == (1, "")
    assert figureless(TOLD[2]) in figureless(done.stdout)
    assert "expected  torchvision resnet18, seed 1\nactual    net.py:resnet18, seed 0\n" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    saved = json.loads((tmp_path / "initial.json").read_text())
    assert (saved["verdict"], len(saved["tensors"])) == ("different", 102)
    assert saved["tensors"][0]["partner"] == "0.weight"


def called(*arguments):
    """The command, called in this process: for what runs nobody's code."""
    return CliRunner().invoke(command, [str(argument) for argument in arguments], standalone_mode=False)


def test_our_own_begin_as_torchvisions():
    """Exit code 0, what each use of tensors is drawn by, and how far the furthest is from the reference's."""
    done = called("--actual", "numpy", "--expected", "torchvision:resnet18", "--seed", "7")

    assert done.return_value == 0, done.exception
    lines = done.output.splitlines()
    assert lines[:2] == ["expected  torchvision resnet18, seed 8", "actual    handwritten NumPy resnet18, seed 7"]
    assert "·  20 of the convolutions' weights: kaiming_normal(fan_out)" in lines
    assert re.search(r"^same: 102 of 102 tensors begin as the expected ones do; the furthest,\s", done.output, re.M)


def test_one_line_and_json():
    """`concise` is the answer alone where all is same; `json` prints only JSON."""
    asked = ("--actual", "torch", "--expected", "torchvision:resnet18")
    concise, read = called(*asked, "--format", "concise"), called(*asked, "--format", "json")

    assert re.fullmatch(r"handwritten torch resnet18, seed 0: same: 102 of 102 tensors .*\n", concise.output)
    assert json.loads(read.output)["verdict"] == "same"


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--actual", "run.npz"], "actual: run.npz is no network that can be built anew"),
        (["--actual", "torch", "--size", "9999x9"], "size: got 9999x9, expected 1 to 4096 pixels a side"),
        (["--actual", "torch", "--output", "nowhere/out.json"], "nowhere/out.json: cannot be written"),
        (["--actual", "torch", "--expected", "torchvision:resnet51"], "architecture: no such network, got 'resnet51'"),
    ],
    ids=["trace", "size", "output", "architecture"],
)
def test_what_cannot_be_used(options, line):
    """Input that cannot be used is refused with a line that names the place, and nothing is printed."""
    done = called(*options)

    assert isinstance(done.exception, InputError)
    assert line in str(done.exception)
    assert done.output == ""
