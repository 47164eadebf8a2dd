"""Traces and runs as files."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from layerdiff.compare.capture import capture
from layerdiff.compare.result import Report, Run
from layerdiff.compare.saved import read_run, read_trace, run_to_json, write_file, write_trace
from layerdiff.compare.traces import compare_traces, with_floors
from layerdiff.errors import InputError


@pytest.fixture
def trace(make_resnet, x):
    """A trace of part of a network with all values and floors."""
    return with_floors(capture(make_resnet(), x, until="layer1", keep=True, metadata={"input_sha256": "ab"}), x)


def test_a_trace_is_read_back_as_it_was_written(trace, tmp_path):
    """Values bit for bit, structure, floors and metadata; only that it can be run again is lost."""
    path = tmp_path / "a.safetensors"

    write_trace(trace, path)
    back = read_trace(path)

    assert [op.layer for op in trace.ops] == [op.layer for op in back.ops]
    assert [op.inputs for op in trace.ops] == [op.inputs for op in back.ops]
    assert all(np.array_equal(trace.values[name], back.values[name]) for name in trace.values)
    assert (trace.floors, trace.final, trace.network, trace.metadata) == (
        back.floors, back.final, back.network, back.metadata,
    )  # fmt: skip
    assert back.ops[0].run is None
    assert back.ops[0].attributes == {
        "kernel_size": [7, 7], "stride": [2, 2], "padding": [3, 3], "dilation": [1, 1], "groups": 1,
    }  # fmt: skip


def test_the_same_trace_gives_the_same_bytes(trace, tmp_path):
    """Writing twice gives equal files."""
    for name in ("a", "b"):
        write_trace(trace, tmp_path / f"{name}.safetensors")

    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def test_a_trace_without_its_values_is_not_written(make_resnet, x, tmp_path):
    """A trace that lacks values is refused, and no file is left."""
    with pytest.raises(InputError, match="cannot write a trace that lacks values, got none for conv1, bn1"):
        write_trace(capture(make_resnet(), x), tmp_path / "a.safetensors")

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda content: content[: len(content) // 2], "not a readable safetensors file"),
        (lambda content: b"hello", "not a readable safetensors file"),
        (lambda content: content.replace(b"layerdiff trace 1", b"layerdiff trace 9"), "not a trace, got format"),
        (lambda content: content.replace(b'\\"kind\\"', b'\\"kinb\\"'), "its metadata cannot be read"),
        (
            lambda content: content.replace(b'\\"layer\\":\\"bn1\\"', b'\\"layer\\":\\"bn9\\"'),
            "its tensors are not those it lists",
        ),
        (
            lambda content: content.replace(b'[\\"conv1\\"]', b'[\\"relu1\\"]'),
            "its tensors are not those it lists, expected bn1",
        ),
    ],
    ids=["cut short", "text", "format", "field", "layer", "loop"],
)
def test_a_spoilt_trace_is_refused(trace, tmp_path, spoil, message):
    """A trace cut short, of another kind, or at odds with itself is refused in one line."""
    path = tmp_path / "a.safetensors"
    write_trace(trace, path)
    path.write_bytes(spoil(path.read_bytes()))

    with pytest.raises(InputError, match=message):
        read_trace(path)


def test_a_floor_below_zero_is_refused(trace, tmp_path):
    """A trace whose floors are no distances is not compared with; one that is not finite counts as none."""
    path = tmp_path / "a.safetensors"

    write_trace(replace(trace, floors={**trace.floors, "bn1": -1.0}), path)
    with pytest.raises(InputError, match=r"a floor is below zero, got -1\.0 for bn1"):
        read_trace(path)

    write_trace(replace(trace, floors={**trace.floors, "bn1": float("nan")}), path)
    assert "bn1" not in read_trace(path).floors


def test_a_trace_that_is_not_there_is_refused(tmp_path):
    """A missing file is said."""
    with pytest.raises(InputError, match="no such file, expected a trace"):
        read_trace(tmp_path / "none.safetensors")


def test_two_traces_of_equal_networks_are_same(trace, make_resnet, x, tmp_path):
    """Two recorded traces are compared against the expected one's floors."""
    write_trace(trace, tmp_path / "a.safetensors")
    actual = capture(make_resnet(), x, until="layer1", keep=True)

    report = compare_traces(read_trace(tmp_path / "a.safetensors"), actual)

    assert report.verdict == "same"
    assert not report.replayed
    assert report.until == "layer1"


def test_two_traces_name_the_first_layer_that_differs(trace, make_resnet, x):
    """Of two faults in recorded traces the first is named; whether the second hides behind it no trace can tell."""
    actual = make_resnet()
    actual.layer1[0].bn1.eps = 1e-3
    actual.layer1[1].bn2.eps = 1e-3

    report = compare_traces(trace, capture(actual, x, until="layer1", keep=True))

    assert report.verdict == "different"
    assert [layer.layer for layer in report.layers if layer.status == "fault"] == ["layer1.0.bn1"]
    assert {layer.status for layer in report.layers[6:]} == {"inherited"}


def test_traces_need_a_bound(trace):
    """Without floors a tolerance must be given, both halves of it, and of one input."""
    bare = replace(trace, floors={})

    with pytest.raises(InputError, match="the expected trace has no floor for 18 layers, the first conv1"):
        compare_traces(bare, trace)
    for bad in (float("nan"), float("inf"), -1.0):
        with pytest.raises(InputError, match="compare: atol is of no use"):
            compare_traces(bare, trace, rtol=0.0, atol=bad)
    with pytest.raises(InputError, match="rtol and atol go together"):
        compare_traces(bare, trace, rtol=1e-3)
    with pytest.raises(InputError, match="of different inputs, got cdcdcdcdcdcd, expected "):
        compare_traces(trace, replace(trace, input_digest="cd" * 32))
    assert compare_traces(bare, trace, rtol=0.0, atol=0.0).verdict == "same"


def test_a_tolerance_replaces_the_floors(trace):
    """`atol + rtol·|expected|`, as everywhere in the field."""
    moved = replace(trace, values={name: value * np.float32(1.01) for name, value in trace.values.items()})

    assert compare_traces(trace, moved).verdict == "different"
    assert compare_traces(trace, moved, rtol=0.02, atol=0.0).verdict == "same"
    assert compare_traces(trace, moved, rtol=0.005, atol=0.0).verdict == "different"


def test_traces_of_other_shapes_and_dtypes_are_at_fault(trace):
    """A layer of another shape or dtype is at fault, not broadcast and not cast."""
    short = replace(trace, values=dict(trace.values) | {"bn1": trace.values["bn1"][:, :3]})
    double = replace(trace, values=dict(trace.values) | {"bn1": trace.values["bn1"].astype(np.float64)})

    reasons = [compare_traces(trace, actual).layers[1].reason for actual in (short, double)]

    assert reasons == ["shape: got (1, 3, 33, 25), expected (1, 64, 33, 25)", "dtype: got float64, expected float32"]


def test_a_run_is_read_back_as_it_was_written(trace, tmp_path):
    """A run survives its JSON, and the JSON has neither NaN nor Infinity."""
    bad = replace(trace, values=dict(trace.values) | {"bn1": trace.values["bn1"] * np.float32("nan")})
    run = Run({"seed": "0"}, (compare_traces(trace, trace), compare_traces(trace, bad)), ("a note",))
    path = tmp_path / "run.json"

    write_file(path, run_to_json(run))

    json.loads(path.read_text(), parse_constant=pytest.fail)
    assert read_run(path) == run


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{}", "wrong schema, got None, expected 1"),
        ("[1]", "not a run"),
        ("{", "not a run"),
        ('{"schema": 1}', "not a run"),
    ],
)
def test_a_spoilt_run_is_refused(tmp_path, content, message):
    """What is no run, or of another schema, is refused in one line."""
    path = tmp_path / "run.json"
    path.write_text(content)

    with pytest.raises(InputError, match=message):
        read_run(path)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda layers: layers.pop(0),
        lambda layers: layers.append(layers[-1]),
        lambda layers: layers[0]["measures"][0].update(over=9),
        lambda layers: layers[0]["measures"][0].update(size=0),
        lambda layers: layers[0]["measures"][0].update(ratio=-1.0),
        lambda layers: layers[0]["measures"][0].update(allowed=None, ratio=0.5),
        lambda layers: layers[0].update(together=["nobody"]),
        lambda layers: layers[0].update(together=[layers[0]["layer"]]),
    ],
    ids=["without the first", "with the last twice", "over", "size", "ratio", "allowed", "together", "itself"],
)
def test_a_run_that_contradicts_itself_is_refused(trace, tmp_path, spoil):
    """A run with layers taken out or doubled, or figures that cannot be, is not judged again."""
    path = tmp_path / "run.json"
    content = json.loads(run_to_json(Run({}, (compare_traces(trace, trace),))))
    spoil(content["reports"][0]["layers"])
    path.write_text(json.dumps(content))

    with pytest.raises(InputError, match="its figures contradict each other"):
        read_run(path)


def test_a_run_that_is_not_there_is_refused(tmp_path):
    """A missing file is said."""
    with pytest.raises(InputError, match="no such file, expected a run"):
        read_run(tmp_path / "run.json")


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    """A write that fails leaves neither the file nor a part of it."""

    def full(self, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", full)

    with pytest.raises(InputError, match="cannot be written, got No space left on device"):
        write_file(tmp_path / "run.json", b"{}")
    assert list(tmp_path.iterdir()) == []


def test_links_and_modes_are_kept(tmp_path):
    """A link is followed, a file that is replaced keeps its mode, and what is no file is not replaced."""
    target, link = tmp_path / "target.json", tmp_path / "link.json"
    target.write_text("old")
    target.chmod(0o640)
    link.symlink_to(target)

    write_file(link, b"new")

    assert link.is_symlink()
    assert (target.read_text(), target.stat().st_mode & 0o777) == ("new", 0o640)
    with pytest.raises(InputError, match="cannot be written, expected a file that may be written"):
        write_file(tmp_path, b"new")


def test_a_folder_that_is_not_there_is_said(tmp_path):
    """Writing into a folder that does not exist is refused in one line."""
    with pytest.raises(InputError, match="cannot be written, got No such file or directory"):
        write_file(tmp_path / "none" / "run.json", b"{}")


def test_an_empty_run_has_no_verdict():
    """A run read from a file with no layers is unknown, not same."""
    assert Run({}, (Report("a", "b", ()),)).verdict == "unknown"
