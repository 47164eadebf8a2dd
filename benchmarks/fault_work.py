"""One piece of the fault benchmark at a time: a planting, a correct twin, or two faults in one network."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import tempfile
import time
import traceback
import warnings
import zlib
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import torch
from rivals import RIVALS, Case, Reference, Said, said
from threadpoolctl import threadpool_limits

import layerdiff
from layerdiff.compare.foreign import judge_foreign
from layerdiff.handwritten import numpy_resnet

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "seeded_faults"))

from faults import hosts, pairs, plan
from faults.judging import judged, planted, truths_of
from faults.model import Planting

__all__ = ["TWINS", "Item", "done", "items", "prepare_process"]

Item = tuple[str, str]
"""What kind of piece, and its name."""

SIZE = (64, 64)

RIVALS_EVERY = 32
"""The other tools are asked about one planting in 32, drawn by its name: they take ten times as long."""


def prepare_process() -> None:
    """One thread for each process, and nothing on the screen but progress."""
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")


def items(*, every: int = 1) -> list[Item]:
    """All pieces, those of one host together; with `every`, one of so many of each kind."""
    faults = sorted(plan.plantings(), key=lambda one: one.id)[::every]
    equivalent = sorted(plan.equivalents(), key=lambda one: one.id)[::every]
    ordered = sorted((*faults, *equivalent), key=lambda one: (one.host, one.fault.size, one.fault.batch))
    return [
        *(("equivalent" if one.fault.equivalent else "fault", one.id) for one in ordered),
        *(("pair", str(number)) for number in range(0, pairs.COUNT, every)),
        *(("twin", name) for name in list(TWINS)[::every]),
    ]


@cache
def _plantings() -> dict[str, Planting]:
    return {one.id: one for one in plan.everything()}


def done(item: Item) -> dict[str, Any]:
    """What came of a piece, as JSON; with the traceback where it failed."""
    kind, name = item
    start = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            found = {"fault": _fault, "equivalent": _fault, "pair": _pair, "twin": _twin}[kind](name)
        except Exception:
            found = {"error": traceback.format_exc()}
    return {"kind": kind, "name": name, **found, "spent": round(time.perf_counter() - start, 2)}


# Faults


def _fault(name: str) -> dict[str, Any]:
    one = _plantings()[name]
    clean = _clean_seconds(one.host, one.fault.size, one.fault.batch)
    outcome = judged(one)
    truth = {layer for answer in truths_of(one) for layer in (*answer.must, *_of_groups(answer.one_of))}
    asked = RIVALS.items() if zlib.crc32(name.encode()) % RIVALS_EVERY == 0 else ()
    rivals = {tool: _told(said(rival, _case(one)), truth) for tool, rival in asked}
    return {
        "code": one.fault.code,
        "title": one.fault.title,
        "host": one.host,
        **_outcome(outcome),
        "seconds": outcome.seconds,
        "clean_seconds": clean,
        "rivals": rivals,
    }


def _of_groups(groups: tuple[frozenset[str], ...]) -> frozenset[str]:
    return frozenset[str]().union(*groups)


def _outcome(outcome: Any) -> dict[str, Any]:
    return {
        "verdict": outcome.verdict,
        "right_layers": outcome.right_layer,
        "right_cause": outcome.right_cause,
        "wrong_causes": [str(cause) for cause in outcome.causes if cause.wrong],
        "confirmed": any(cause.confirmed for cause in outcome.causes),
        "causes": [str(cause) for cause in outcome.causes],
        "named": list(outcome.named),
        "repaired": outcome.repaired,
    }


def _told(what: Said, truth: set[str]) -> dict[str, Any]:
    return {"different": what.different, "right_layer": bool(truth & set(what.layers)), "why": what.why}


@cache
def _clean_seconds(name: str, size: tuple[int, int], batch: int) -> float:
    """What it takes to judge the network without a fault, the second time."""
    side = hosts.expected_side(hosts.host(name).expected, size, batch)
    network = hosts.correct(name)
    seconds = 0.0
    for _ in range(2):
        start = time.perf_counter()
        report = judge_foreign(side.trace, network, side.x, weights=side.weights)
        seconds = time.perf_counter() - start
        assert report.verdict == "same", (name, report.verdict)
    return seconds


# What the other tools are given


@cache
def _reference(name: str, size: tuple[int, int], batch: int, *, traced: bool) -> Reference:
    """The reference; traced by torch.fx where the networks with faults are, so that the tools have the same of both."""
    named = {"resnet18": "torchvision18", "resnet50": "torchvision50", "resnext50_32x4d": "resnext"}
    network = hosts.graph(named.get(name, name))[0] if traced else hosts.reference_network(name)
    x = torch.from_numpy(hosts.expected_side(name, size, batch).x)
    return Reference(network.eval().requires_grad_(False), x, _chains(name))


@cache
def _chains(name: str) -> dict[str, tuple[str, ...]]:
    """For each layer the convolution, norm and activation that end with it."""
    ops = {op.layer: op for op in hosts.expected_side(name).trace.ops}
    before = {"relu": {"batch_norm", "conv2d"}, "batch_norm": {"conv2d"}}
    found = {}
    for layer, op in ops.items():
        chain, last = [layer], op
        while last.kind in before and len(last.inputs) == 1 and last.inputs[0] in ops:
            last = ops[last.inputs[0]]
            if last.kind not in before[ops[chain[-1]].kind]:
                break
            chain.append(last.layer)
        found[layer] = tuple(chain)
    return found


def _case(one: Planting) -> Case:
    expected = hosts.host(one.host).expected
    reference = _reference(expected, one.fault.size, one.fault.batch, traced=True)
    own = reference.x
    if one.fault.prepare is not None:
        picture = hosts.subject_of(expected, one.fault.size, one.fault.batch).pictures[0]
        own = torch.from_numpy(one.fault.prepare(picture.image))
    return Case(reference, planted(one), own)


# Pairs


def _pair(name: str) -> dict[str, Any]:
    pair = pairs.pair(int(name))
    outcome = judged(*pair)
    return {"ids": [one.id for one in pair], **_outcome(outcome), "seconds": outcome.seconds}


# Correct twins


def _judged_twin(
    name: str, *, threads: int = 1, size: tuple[int, int] = SIZE, batch: int = 1, last: bool = False, grade: str = ""
) -> dict[str, Any]:
    side = hosts.expected_side(hosts.host(name).expected, size, batch)
    network = hosts.correct(name)
    if grade:
        network = numpy_resnet.build(hosts.host(name).expected, grade=grade)  # type: ignore[arg-type]
        network.load_state_dict({key: value for key, value in side.weights.items() if "num_batches" not in key})
    if last:
        network = network.to(memory_format=torch.channels_last)
    reference = _reference(hosts.host(name).expected, size, batch, traced=False)
    with _threads(threads):
        report = judge_foreign(side.trace, network, side.x, weights=side.weights)
        case = Case(reference, network, reference.x)
        told = {tool: _told(said(rival, case), set()) for tool, rival in RIVALS.items()}
    return {"verdict": report.verdict, "findings": [one.code for one in report.findings], "rivals": told}


@contextlib.contextmanager
def _threads(count: int) -> Iterator[None]:
    torch.set_num_threads(count)
    try:
        with threadpool_limits(limits=count):
            yield
    finally:
        torch.set_num_threads(1)


def _exported(name: str) -> dict[str, Any]:
    """The network as torch writes it to an ONNX file."""
    network = hosts.correct(name)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "network.onnx")
        torch.onnx.export(network, (torch.zeros(1, 3, *SIZE),), str(path), dynamo=True, verbose=False)
        run = layerdiff.run(str(path), expected="torchvision:resnet18", weights="synthetic", size=SIZE)
    return {"verdict": run.verdict, "findings": [one.code for report in run.reports for one in report.findings]}


def _twins() -> dict[str, Callable[[], dict[str, Any]]]:
    found: dict[str, Callable[[], dict[str, Any]]] = {}

    def add(name: str, what: str, **options: Any) -> None:
        found[f"{name}, {what}"] = lambda: _judged_twin(name, **options)

    for name in hosts.MAIN:
        add(name, "one thread", threads=1)
        add(name, "odd size 65x97, two threads", threads=2, size=(65, 97))
        add(name, "batch 3", batch=3)
    for name in ("torchvision18", "ours18", "timm50", "own_conv_and_bn"):
        add(name, "channels last, batch 2", last=True, batch=2)
    for grade in ("gemm", "im2col"):
        add("numpy18", f"NumPy, {grade}", grade=grade)
        add("numpy18", f"NumPy, {grade}, odd size 65x97, batch 2", grade=grade, size=(65, 97), batch=2)
    add("numpy18", "NumPy, two threads, batch 3", threads=2, batch=3)
    add("resnext", "grouped convolutions")
    for name in ("torchvision18", "own_conv_and_bn"):
        found[f"{name}, exported to ONNX"] = lambda name=name: _exported(name)
    return found


TWINS = _twins()
"""Networks that are right, by what is special about the run."""


def _twin(name: str) -> dict[str, Any]:
    return TWINS[name]()
