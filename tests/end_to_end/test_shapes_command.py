"""`layerdiff shapes`, run as its users run it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from layerdiff.command.shapes import command
from layerdiff.errors import InputError

NET = """
import torch
from torch import nn
import torch.nn.functional as F


class Block(nn.Module):
    def __init__(self, c_in, c_out, stride):
        super().__init__()
        self.a = nn.Conv2d(c_in, c_out, 3, stride, 1, bias=False)
        self.na = nn.BatchNorm2d(c_out)
        self.b = nn.Conv2d(c_out, c_out, 3, 1, 1, bias=False)
        self.nb = nn.BatchNorm2d(c_out)
        self.short = nn.Sequential()
        if stride != 1 or c_in != c_out:
            self.short = nn.Sequential(nn.Conv2d(c_in, c_out, 1, {stride}, bias=False), nn.BatchNorm2d(c_out))

    def forward(self, x):
        y = F.relu(self.na(self.a(x)))
        y = self.nb(self.b(y))
        return F.relu(y + self.short(x))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.norm = nn.BatchNorm2d(64)
        sizes = [(64, 64, 1), (64, 64, 1), (64, 128, 2), (128, 128, 1), (128, 256, 2), (256, 256, 1), (256, 512, 2)]
        self.blocks = nn.ModuleList([Block(*size) for size in [*sizes, (512, 512, 1)]])
        self.out = nn.Linear(512, 1000)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.norm(self.stem(x))), 3, 2, 1)
        for block in self.blocks:
            x = block(x)
        return self.out({pool})
"""

RIGHT = NET.format(stride="stride", pool="x.mean([2, 3])")
CRASHES = NET.format(stride="1", pool="x.mean([2, 3])")


@pytest.fixture
def net(tmp_path) -> Path:
    """A candidate's file."""
    path = tmp_path / "net.py"
    path.write_text(RIGHT)
    return path


def test_a_right_candidate(layerdiff, net):
    """A right network needs no options: exit 0, 80 columns, the answer last, nothing on stderr."""
    done = layerdiff("shapes", "--actual", "net.py", cwd=net.parent)

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert "expected  torchvision resnet18" in done.stdout
    assert re.search(r"^multiply-adds  1,814,073,344  1,814,073,344$", done.stdout, re.MULTILINE)
    assert re.search(r"^parameters +11,689,512 +11,689,512$", done.stdout, re.MULTILINE)
    assert "same: 69 of 69 layers have the expected shapes" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_a_candidate_that_crashes(layerdiff, net):
    """A crash is a finding: exit 1, the sum, the line and the change on stdout, no traceback anywhere."""
    net.write_text(CRASHES)
    done = layerdiff("shapes", "--actual", "net.py:Net", cwd=net.parent)

    text = " ".join(done.stdout.split())
    assert done.returncode == 1, done.stderr
    assert done.stderr == ""
    assert "Traceback" not in done.stdout
    assert "because M8:" in text
    assert "56 = 28·2; blocks.2.short.0: (56 + 2·0 - 1)/1 + 1 = 56, expected ⌊(56 + 2·0 - 1)/2⌋ + 1 = 28" in text
    assert "change give blocks.2.short.0 stride=2" in text
    assert "return F.relu(y + self.short(x))" in text
    line = 1 + CRASHES.splitlines().index("        return F.relu(y + self.short(x))")
    assert f"net.py:{line}" in text
    assert "expected: torchvision:resnet18" in text
    assert "different: it raised at blocks.2.add, 1 differs, 1 follows, 43 not reached, 23 agree" in text


def test_json_and_a_file(layerdiff, net, tmp_path):
    """`--format json` prints only JSON, the same as `--output` writes."""
    net.write_text(CRASHES)
    done = layerdiff(
        "shapes", "--actual", "net.py:Net", "--format", "json", "--size", "64", "--batch", "2", "--output", "out.json",
        cwd=net.parent,
    )  # fmt: skip

    ledger = json.loads(done.stdout)
    assert done.returncode == 1
    assert ledger == json.loads((tmp_path / "out.json").read_text())
    assert ledger["shape"] == [2, 3, 64, 64]
    assert ledger["explanation"]["code"] == "M8"
    assert ledger["rows"][0]["expected"]["shape"] == [2, 64, 32, 32]


def called(*arguments):
    """The command, called in this process: for what runs nobody's code."""
    return CliRunner().invoke(command, [str(argument) for argument in arguments], standalone_mode=False)


@pytest.mark.parametrize("options", [[], ["--expected", "torchvision:resnet50"]], ids=["nothing", "expected"])
def test_one_network_alone(options):
    """With no candidate: one network's table, exit 0; ResNet-50 if nothing is said."""
    done = called(*options)

    assert done.return_value == 0, done.exception
    assert re.search(r"^parameters +25,557,032$", done.output, re.MULTILINE)
    assert re.search(r"^multiply-adds +4,089,184,256$", done.output, re.MULTILINE)


@pytest.mark.parametrize("own", ["torch", "numpy"])
def test_our_own_networks(own):
    """Both handwritten networks have the expected shapes; the NumPy one runs on a small image."""
    done = called("--actual", own, "--expected", "torchvision:resnet18", "--size", "33x40")

    assert done.return_value == 0, done.exception
    assert "same: 69 of 69" in done.output


def test_two_candidates_against_each_other(layerdiff, net):
    """Any network with code can be the expected one."""
    (net.parent / "other.py").write_text(CRASHES)
    done = layerdiff("shapes", "--actual", "other.py:Net", "--expected", "net.py:Net", "--ascii", cwd=net.parent)

    assert done.returncode == 1, done.stderr
    assert done.stdout.isascii()
    assert "expected  net.py:Net" in done.stdout
    assert "change    give blocks.2.short.0 stride=2" in done.stdout


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--expected", "torchvision:resnet51"], "architecture: no such network, got 'resnet51'"),
        (["--actual", "trace.npz"], "shapes: trace.npz holds no network that can be run on other sizes"),
        (["--size", "9999x9"], "size: got 9999x9, expected 1 to 4096 pixels a side"),
        (["--output", "nowhere/out.json"], "cannot be written"),
    ],
    ids=["architecture", "trace", "size", "output"],
)
def test_what_cannot_be_used(options, line):
    """Input that cannot be used is refused with a line that names the place."""
    done = called(*options)

    assert isinstance(done.exception, InputError)
    assert line in str(done.exception)
    assert done.output == ""


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--actual", "net.py:Block(3, 5, 1)"], "expected: not said, and net.py:Block"),
        (["--expected", "net.py:Block(5, 5, 1)"], "raises on an input of"),
    ],
    ids=["like-none", "expected-raises"],
)
def test_what_cannot_be_told(layerdiff, net, options, line):
    """What cannot be compared: exit 2, one error line that names the place, nothing on stdout."""
    done = layerdiff("shapes", *options, cwd=net.parent)

    first = done.stderr.splitlines()[0]
    assert done.returncode == 2, done.stdout
    assert done.stdout == ""
    assert first.startswith("error: ")
    assert line in first
    assert "Traceback" not in done.stderr
