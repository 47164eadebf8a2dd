"""Runs written by hand, so that their figures are the same on every machine."""

from __future__ import annotations

from dataclasses import replace

from layerdiff.compare.finding import Finding
from layerdiff.compare.result import (
    Extra,
    Gradient,
    GradientLayer,
    Gradients,
    InputResult,
    LayerResult,
    Measure,
    Report,
    Run,
    Steps,
    StepTensor,
)
from layerdiff.compare.shape_errors.explanation import Explanation
from layerdiff.compare.verdict import settle

DTYPES = ("float32", "float64")


def measures(ratio, *, over=0, size=1000, bad=0):
    """A layer's six comparisons, all at one share of the allowance; None where nothing is allowed."""
    allowed = 0.0 if ratio is None else 1.25e-5
    far = 2.5 if ratio is None else allowed * ratio
    return tuple(
        Measure(
            probe, dtype, size, over, far, ratio, (0, 3, 4, 9), 1.731, None if bad else 1.731 + far, allowed, 0, bad
        )
        for dtype in DTYPES
        for probe in ("activations", "dense", "propagated")
    )


def layer(index, name, kind, shape, inputs, ratio=0.25, **more):
    """A layer with a partner of its own name, compared."""
    found = more.pop("measures", measures(ratio))
    return LayerResult(index, name, name, kind, shape, inputs, found, pairing="same id", confidence="certain", **more)


def apart(found):
    """The comparisons of a layer that is right by itself and differs end to end."""
    return tuple(replace(m, ratio=4e4, over=m.size, max_abs=0.5) if m.probe == "propagated" else m for m in found)


SHAPE = (1, 128, 28, 28)
CAUSE = Finding(
    "C1",
    "eps is 0.001, expected 1e-05",
    ("layer2.0.downsample.1",),
    "give the batch norm eps=1e-05",
    evidence=("its attributes: eps is 0.001, expected 1e-05",),
    partners=("layer2.0.downsample.1",),
    source="/home/someone/net.py:58",
    text="self.norm = nn.BatchNorm2d(128, eps=1e-3)",
    confirmed=True,
    how="run again with eps=1e-05",
    after=0.0,
)
UNEXPLAINED = Finding("U1", "unexplained at layer2.0.conv2", ("layer2.0.conv2",), "look at this layer", after=None)


def layers():
    """A block with one fault, one layer of NaN, and what inherits."""
    wrong, nan = measures(3e5, over=998), measures(None, over=7, bad=7)
    before = [layer(i, f"layer1.{i}.conv1", "conv2d", (1, 64, 56, 56), ("input",)) for i in range(8)]
    rows = [
        *before,
        layer(8, "layer2.0.downsample.0", "conv2d", SHAPE, ("layer1.7.conv1",)),
        layer(9, "layer2.0.downsample.1", "batch_norm", SHAPE, ("layer2.0.downsample.0",), measures=wrong,
              differences=("eps: got 0.001, expected 1e-05",), source="/home/someone/net.py:58"),
        layer(10, "layer2.0.conv2", "conv2d", SHAPE, ("layer1.7.conv1",), measures=nan,
              source="/home/someone/net.py:61"),
        layer(11, "layer2.0.add", "add", SHAPE, ("layer2.0.downsample.1", "layer2.0.conv2"),
              measures=apart(measures(0.0))),
        *(layer(12 + i, f"layer3.{i}.a_rather_long_name_of_a_module.conv1", "conv2d", SHAPE, ("layer2.0.add",),
                measures=apart(measures(0.5)), notes=()) for i in range(4)),
        layer(16, "fc", "linear", (1, 1000), ("layer3.3.a_rather_long_name_of_a_module.conv1",),
              measures=apart(measures(0.75))),
    ]  # fmt: skip
    return tuple(rows)


def made(**changes):
    """A settled report of `layers`, with changes."""
    return settle(replace(Report("torchvision resnet18", "net.py:resnet18, float32 and float64", layers(),
                                 dtypes=DTYPES), **changes))  # fmt: skip


def clean():
    """The layers before the fault."""
    return layers()[:9]


def gradients():
    """A way back with one wrong gradient."""
    wrong = Measure("activations", "float64", 64, 64, 0.5, 3e9, (3,), 1.0, 1.5, 1e-10)
    right = replace(wrong, over=0, max_abs=0.0, ratio=0.0, actual=1.0)
    sent = replace(right, probe="propagated")
    return Gradients(
        "train",
        (
            GradientLayer(0, "layer1.0.conv1", "layer1.0.conv1", "conv2d",
                          (Gradient("layer1.0.conv1.weight", wrong), Gradient("output", sent)),
                          source="/home/someone/net.py:12"),
            GradientLayer(1, "layer1.1.conv1", "layer1.1.conv1", "conv2d",
                          (Gradient("layer1.1.conv1.weight", right), Gradient("output", sent))),
        ),
        ("float64",),
    )  # fmt: skip


def steps():
    """One step of training that makes another tensor of a weight, and leaves another one right."""
    wrong = Measure("activations", "float64", 64, 64, 0.5, 3e9, (3,), 1.0, 1.5, 1e-10)
    right = replace(wrong, over=0, max_abs=0.0, ratio=0.0, actual=1.0)
    tensors = (
        StepTensor("fc.weight", "parameter", (wrong,)),
        StepTensor("fc.bias", "parameter", (right,)),
        StepTensor("fc.weight.momentum_buffer", "remembered", (), ("it remembers nothing",)),
    )
    return Steps("SGD(lr=0.1, momentum=0.9)", 1, tensors)


ENVIRONMENT = {"layerdiff": "0.1.0", "torch": "2.15.0", "numpy": "2.4.6", "seed": "0"}
EXPLANATION = Explanation(
    "M1", "the flatten gives 8192 features, the linear takes 2048", "fc", "8192 = 2048*2*2", "pool to 1x1",
    evidence=("fc.weight is (1000, 2048)",), source="/home/someone/net.py:70", text="x = self.fc(x)",
)  # fmt: skip
CRASH = "its forward pass raised RuntimeError in fc (/home/someone/net.py:70): shapes cannot be multiplied"


def runs():
    """A run of every kind, by name."""
    lost = replace(layers()[9], partner=None, measures=(), source=None)
    return {
        "same": Run(ENVIRONMENT, (made(layers=clean()),), ("imagenet1k_v1 cannot be had: synthetic:0 instead",)),
        "different": Run(ENVIRONMENT, (
            made(findings=(CAUSE, UNEXPLAINED), extra=(Extra("relu_9", "relu", "/home/someone/net.py:80"),),
                 repaired="all but 1 layer agree", notes=("a tensor that nobody uses: extra.weight",)),
        )),
        "several": Run(ENVIRONMENT, (
            made(layers=clean(), gradients=gradients()),
            made(layers=clean(), doubts=("fc.weight fits two places",), output_known=False),
            made(layers=(*clean(), lost), output="it returns a tuple of 2, expected one tensor"),
            made(layers=clean(), steps=steps()),
            made(layers=clean(), input=InputResult("prepare.py:prepare", (1, 3, 8, 8), (1, 3, 9, 9), None)),
        )),
        "crash": Run(ENVIRONMENT, (made(layers=(*clean(), lost), crash=CRASH, explanation=EXPLANATION),)),
        "none": Run(ENVIRONMENT, ()),
    }  # fmt: skip
