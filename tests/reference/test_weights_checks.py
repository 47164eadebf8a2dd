"""Whatever is wrong with a set of tensors is found, and all of it is said at once."""

from __future__ import annotations

import numpy as np

from layerdiff.reference import load_weights
from layerdiff.reference.checks import checked_tensors


def test_all_problems_at_once(tensors, refusal):
    """One error lists what is missing, extra, misshapen, of a wrong dtype, not finite and below zero."""
    del tensors["conv1.weight"], tensors["fc.bias"]
    tensors["head.weight"] = np.zeros(3, np.float32)
    tensors["bn1.weight"] = np.zeros(32, np.float32)
    tensors["bn1.bias"] = np.zeros(64, np.int64)
    tensors["layer1.0.bn1.bias"] = np.array([np.nan] * 2 + [np.inf] * 3 + [0] * 59, np.float32)
    tensors["bn1.running_var"] = np.array([-0.5, -0.25] + [1] * 62, np.float32)
    text = refusal(checked_tensors, "mine.pth", tensors, "resnet18")

    assert text.splitlines() == [
        "mine.pth: the tensors do not fit resnet18, got 2 missing, 1 extra, 1 misshapen, 1 of a wrong dtype, "
        "1 not finite, 1 with a variance below zero, expected its 102 tensors",
        "note: missing: conv1.weight, fc.bias",
        "note: extra: head.weight",
        "note: misshapen: bn1.weight: got (32,), expected (64,)",
        "note: of a wrong dtype: bn1.bias: got int64, expected float32",
        "note: not finite: layer1.0.bn1.bias: 2 NaN and 3 infinite of 64",
        "note: with a variance below zero: bn1.running_var: 2 of 64, the lowest -0.5",
    ]


def test_long_lists_are_folded_with_their_count(refusal):
    """A hundred missing names do not fill the screen."""
    text = refusal(checked_tensors, "mine.pth", {}, "resnet18")

    assert "got 102 missing" in text
    assert text.endswith("layer1.0.bn1.running_var and 92 more")


def test_another_architectures_tensors_are_recognised(tensors, refusal):
    """Loading resnet18's tensors as resnet34's says whose they are."""
    assert "help: these are the tensors of resnet18" in refusal(checked_tensors, "mine.pth", tensors, "resnet34")


def test_batch_counters_are_ignored(tensors):
    """`num_batches_tracked` is neither extra nor kept."""
    tensors["bn1.num_batches_tracked"] = np.array(7)

    assert "bn1.num_batches_tracked" not in checked_tensors("mine.pth", tensors, "resnet18")


def test_values_beyond_float32_are_not_finite(tensors, refusal):
    """A float64 that float32 cannot hold would become infinite, and is refused."""
    tensors["bn1.bias"] = np.full(64, 1e300)

    assert "bn1.bias: 0 NaN and 64 infinite of 64" in refusal(checked_tensors, "mine.pth", tensors, "resnet18")


def test_order_and_dtype_are_ours(tensors):
    """Whatever order and byte layout they came in, tensors leave in torchvision's order, contiguous float32."""
    backwards = {name: np.asfortranarray(tensors[name].astype(np.float64)) for name in reversed(tensors)}
    checked = checked_tensors("mine.pth", backwards, "resnet18")

    assert list(checked) == list(tensors)
    for name, value in checked.items():
        assert value.dtype == np.float32
        assert value.flags.c_contiguous
        np.testing.assert_array_equal(tensors[name], value)


def test_partial_may_lack_tensors_but_not_all(tensors, refusal):
    """A partial set is what it is; an empty one is a mistake."""
    some = {name: tensors[name] for name in list(tensors)[:5]}

    assert list(checked_tensors("dump", some, "resnet18", partial=True)) == list(some)
    assert "102 missing" in refusal(checked_tensors, "dump", {}, "resnet18", partial=True)


def test_loading_reports_the_same(tmp_path, refusal, tensors):
    """The checks stand behind every file, not only behind the function."""
    import safetensors.numpy

    tensors["fc.bias"] = np.full(1000, np.nan, np.float32)
    path = tmp_path / "mine.safetensors"
    safetensors.numpy.save_file(tensors, path)

    assert "fc.bias: 1000 NaN and 0 infinite of 1000" in refusal(load_weights, str(path), "resnet18")
