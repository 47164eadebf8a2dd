"""`layerdiff run --backward`: the way back of somebody's network, told at the terminal and in JSON."""

from __future__ import annotations

import json

import pytest

from layerdiff import InputError, run

OWN = """
import torch
from torch import nn
from torchvision.models import resnet18


class Rectify(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx, grad):
        return grad


class ReLU(nn.Module):
    def forward(self, x):
        return Rectify.apply(x)


def mine():
    network = resnet18()
    network.layer3[0].relu = ReLU()
    return network
"""


def test_a_backward_that_is_wrong_is_named_with_its_cause(layerdiff, tmp_path):
    """Exit code 1, both ways answered, the layers, the cause and its proof; the JSON says the same of the mode."""
    (tmp_path / "net.py").write_text(OWN)
    asked = ("run", "--actual", "net.py:mine", "--size", "33", "--batch", "2", "--weights", "synthetic")

    done = layerdiff(*asked, "--backward", "--format", "json", "--output", "run.json", cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    told = layerdiff("compare", "run.json", cwd=tmp_path)

    lines = told.stdout.splitlines()
    assert lines[-2].startswith("forward   same: 69 of 69 layers")
    assert lines[-1].startswith("backward  different in train mode: 2 layers at fault")
    assert "cause     J8 the ReLU's backward lets every gradient pass [confirmed]" in told.stdout
    assert "at        layer3.0.relu, layer3.0.relu_1" in told.stdout
    assert all(len(line) <= 80 for line in lines if not line.startswith("where"))
    (report,) = json.loads((tmp_path / "run.json").read_text())["reports"]
    assert report["gradients"]["mode"] == "train"
    assert {x["layer"] for x in report["gradients"]["layers"] if x["status"] == "fault"} == {
        "layer3.0.relu", "layer3.0.relu_1",
    }  # fmt: skip


def test_what_knows_only_the_way_there_is_refused(layerdiff, tmp_path):
    """A saved trace has no backward: one line, what to do, exit code 2."""
    trace = tmp_path / "a.safetensors"
    done = layerdiff("capture", "--until", "conv1", "--size", "33", "--weights", "synthetic", "--output", trace)
    assert done.returncode == 0, done.stderr

    asked = ("--actual", "a.safetensors", "--size", "33", "--weights", "synthetic")
    done = layerdiff("run", *asked, "--backward", cwd=tmp_path)

    assert done.returncode == 2
    assert done.stderr.splitlines()[-2:] == [
        "error: backward: it is for networks that can be differentiated, got a.safetensors",
        "help: a saved trace, an ONNX file and our networks fused and kept know the way there alone",
    ]
    with pytest.raises(InputError, match=r"^steps: it is for networks that can be differentiated, got .*a.safetensors"):
        run(str(trace), weights="synthetic", steps=1)


def test_a_batch_of_one_pixel_cannot_be_normalised(layerdiff, tmp_path):
    """Where the expected network itself raises in training mode, it is said in a line, with what helps."""
    (tmp_path / "net.py").write_text(
        "from torch import nn\n"
        "def net():\n"
        "    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))\n"
    )

    asked = ("--actual", "net.py:net", "--expected", "net.py:net", "--size", "33")
    done = layerdiff("run", *asked, "--backward", cwd=tmp_path)

    assert done.returncode == 2
    assert "error: backward: the expected network raises in train mode, got ValueError: Expected more" in done.stderr
    assert "help: a batch norm in training needs more than one value a channel" in done.stderr
