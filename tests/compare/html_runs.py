"""Runs for the page: those written by hand, and one with as many layers at fault as are wanted, with all evidence."""

from __future__ import annotations

import base64
from dataclasses import replace

import made_runs
import numpy as np

from layerdiff.compare.evidence.records import Element, Evidence, Histogram, Line, Map, Operation, Parameter, Tried
from layerdiff.compare.result import Report, Run
from layerdiff.compare.verdict import settle

__all__ = ["RUNS", "evidence", "wrong_run"]


def evidence(seed, *, channels=16, flat=False):
    """Evidence of a layer that is wrong in every channel."""
    draws = np.random.default_rng(seed)
    rows, columns = (1, 32) if flat else (28, 28)

    def cells():
        return base64.b64encode(draws.integers(0, 256, rows * columns, dtype=np.uint8).tobytes()).decode()

    maps = tuple(
        Map(
            0,
            None if flat else 7 * i,
            rows,
            columns,
            784 - i,
            3e5 / (i + 1),
            -2.5,
            1.25,
            0.75,
            cells(),
            cells(),
            cells(),
        )
        for i in range(1 if flat else channels)
    )
    worst = tuple(Element((0, 3, i, 9), 1.731, 1.8, 0.069, 1.25e-5, 5520.0 - i) for i in range(10))
    edges = tuple(10 ** (i / 2) for i in range(-2, 11))
    histogram = Histogram(edges, tuple(10 * i * i for i in range(12)), 14, 0)
    return Evidence("activations", "float32", (1, 128, 28, 28), worst, histogram, maps, tuple(range(128)))


PARAMETERS = (
    Parameter("weight", (64, 64, 3, 3), "a.weight", "b.weight", False, 0.5, 0.1, 1.0, 0.2, 1.1, "ab" * 32, "cd" * 32),
    Parameter("bias", (64,), "a.bias", "b.bias", True, 0.0, 0.0, 1.0, 0.0, 1.0, "ef" * 32, "ef" * 32),
)
CODE = tuple(Line(54 + i, "    " * (i % 3) + f"x = self.step_{i}(x)") for i in range(9))


def wrong_run(layers, faults, flat=()):
    """A run of a chain of layers in five stages, the first ones of which are at fault, with evidence of each."""
    found, before = [], "input"
    for i in range(layers):
        name = f"layer{1 + 5 * i // layers}.{i}.conv1"
        wrong = i < faults
        one = made_runs.layer(
            i, name, "conv2d", (1, 128, 28, 28), (before,), source="/home/someone/net.py:58",
            measures=made_runs.measures(3e5, over=998) if wrong else made_runs.apart(made_runs.measures(0.25)),
            parameter_count=36_864, multiply_adds=28_901_376,
        )  # fmt: skip
        if wrong:
            one = replace(one, evidence=evidence(i, flat=i in flat), parameters=PARAMETERS, code=CODE,
                          attributes=(("eps", "1e-05", "0.001"), ("stride", "(1, 1)", "(1, 1)")),
                          differences=("eps: got 0.001, expected 1e-05",))  # fmt: skip
        found.append(one)
        before = name
    names = [one.layer for one in found]
    operations = [
        Operation("m." + one.layer, "conv2d", ("input" if i == 0 else "m." + names[i - 1],), one.layer, one.source)
        for i, one in enumerate(found)
    ]
    operations.insert(3, Operation("m.spare", "relu", ("m." + names[2],)))
    tried = (Tried("C1", "eps is 0.001", (names[0],), 0.0, True), Tried("B3", "rows swapped", (names[0],), None, False))
    report = Report(
        "torchvision resnet50", "net.py:ResNet50, float32 and float64", tuple(found), dtypes=made_runs.DTYPES,
        findings=(replace(made_runs.CAUSE, layers=tuple(names[:faults])),), operations=tuple(operations),
        tried=tried, repaired="every layer agrees, to the bit",
    )  # fmt: skip
    command = {"command": "layerdiff run --actual net.py:ResNet50 --weights synthetic"}
    return Run({**made_runs.ENVIRONMENT, **command}, (settle(report),))


RUNS = {**made_runs.runs(), "with evidence": wrong_run(12, 2, flat=(1,))}
