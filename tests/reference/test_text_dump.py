"""The text dump: read and written bit for bit, and every fault in one named by file and line."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from layerdiff.reference import covered_prefix, expected_tensors, export_text, load_weights
from layerdiff.reference.text_dump_names import param_files, tensor_files
from layerdiff.reference.weights import make_weights


@pytest.fixture
def dump(resnet18, tmp_path):
    """A small partial dump: conv1 and its batch norm."""
    state = {name: value for name, value in resnet18.state.items() if name.startswith(("conv1", "bn1"))}
    export_text(make_weights("resnet18", "", "", state), tmp_path / "dump")
    return tmp_path / "dump"


def _awkward() -> dict[str, np.ndarray]:
    """Every tensor of resnet18 with random bit patterns: all exponents, denormals, both zeros, and no big kernels."""
    rng = np.random.default_rng(0)
    state = {}
    for name, shape in expected_tensors("resnet18").items():
        if np.prod(shape) > 40_000:
            continue
        bits = rng.integers(0, 0x7F800000, shape, dtype=np.uint32) | rng.integers(0, 2, shape, dtype=np.uint32) << 31
        value = bits.view(np.float32)
        value.flat[:4] = [0.0, -0.0, 1e-45, -1e-45]
        state[name] = np.abs(value) if name.endswith("running_var") else value
    return state


def test_export_reads_back_bit_for_bit(tmp_path):
    """Denormals, both zeros and the largest numbers come back as the same bits, in the same places."""
    state = _awkward()
    export_text(make_weights("resnet18", "", "", state), tmp_path / "dump")
    back = load_weights(f"txt:{tmp_path / 'dump'}", "resnet18")

    assert list(back.state) == list(state)
    for name, value in state.items():
        np.testing.assert_array_equal(value.view(np.uint32), back.state[name].view(np.uint32), err_msg=name)


def test_kernels_lie_output_height_width_input(resnet18, dump):
    """The second value of a kernel's file is the second input channel at the same place."""
    lines = (dump / "resnet18_conv1_weight.txt").read_text().split()
    kernel = resnet18.state["conv1.weight"]

    assert [float(line) for line in lines[:4]] == [*kernel[0, :, 0, 0], kernel[0, 0, 0, 1]]


def test_names_of_files():
    """Blocks are called by their kind, the shortcut's layers by theirs, and the linear layer has no parameters."""
    files = {name: file for file, name in tensor_files("resnet50").items()}
    small = {name: file for file, name in tensor_files("resnet18").items()}

    assert files["layer1.0.downsample.1.bias"] == "resnet50_layer1_bottleneck0_downsample_batchnorm_bias.txt"
    assert files["layer4.2.conv3.weight"] == "resnet50_layer4_bottleneck2_conv3_weight.txt"
    assert small["layer2.1.bn2.running_var"] == "resnet18_layer2_basicblock1_bn2_running_var.txt"
    assert param_files("resnet50")["resnet50_layer2_bottleneck0_conv2_param.txt"] == (128, 128, 3, 2, 1)
    assert "resnet50_fc_param.txt" not in param_files("resnet50")


def test_partial_dump_lists_what_it_lacks(dump):
    """What is there is loaded, what is not is named, and how far a run can go is known."""
    weights = load_weights(f"txt:{dump}", "resnet18")

    assert len(weights.state) + len(weights.missing) == 102
    assert "conv1.weight" in weights.state
    assert "fc.weight" in weights.missing
    assert weights.notes == ("The text dump lacks 97 of 102 tensors.",)
    assert covered_prefix(weights) == "bn1"


def test_all_bad_files_at_once(dump, refusal):
    """A bad word is given with file, line and text, a wrong count with both counts, a wrong parameter with both."""
    lines = (dump / "resnet18_bn1_bias.txt").read_text().split()
    (dump / "resnet18_bn1_bias.txt").write_text("\n".join([*lines[:4], "0.1o", *lines[5:]]))
    (dump / "resnet18_bn1_weight.txt").write_text("\n".join(lines[:-1]))
    (dump / "resnet18_bn1_running_mean.txt").write_text("\n".join([*lines[:-1], "1_0"]))
    (dump / "resnet18_bn1_param.txt").write_text("1e-3\n0.1\n")
    text = refusal(load_weights, f"txt:{dump}", "resnet18")

    assert "got 4 bad files, expected none" in text
    assert "resnet18_bn1_bias.txt, line 5: got '0.1o', expected a number" in text
    assert "resnet18_bn1_running_mean.txt, line 64: got '1_0', expected a number" in text
    assert "resnet18_bn1_weight.txt: got 63 values, expected 64 for bn1.weight (64,)" in text
    assert "resnet18_bn1_param.txt: got (0.001, 0.1), expected (1e-05, 0.1)" in text


def test_binary_rubbish_is_a_bad_word(dump, refusal):
    """Bytes that are no text are reported like any other word."""
    (dump / "resnet18_bn1_bias.txt").write_bytes(b"1.0\n\xff\xfe\x00\n")

    assert "resnet18_bn1_bias.txt, line 2: got" in refusal(load_weights, f"txt:{dump}", "resnet18")


def test_nan_in_a_dump_is_not_finite(dump, refusal):
    """`nan` reads as a number and is then refused as a weight."""
    (dump / "resnet18_bn1_bias.txt").write_text("nan\n" * 64)

    assert "bn1.bias: 64 NaN and 0 infinite of 64" in refusal(load_weights, f"txt:{dump}", "resnet18")


def test_a_file_that_cannot_be_read_is_named(dump, refusal):
    """A directory in the place of a file does not escape as an OSError."""
    (dump / "resnet18_bn1_bias.txt").unlink()
    (dump / "resnet18_bn1_bias.txt").mkdir()

    assert "resnet18_bn1_bias.txt: cannot be read: Is a directory" in refusal(load_weights, f"txt:{dump}", "resnet18")


def test_extra_files_are_listed(dump, refusal):
    """A file of this architecture without a tensor is a mistake; other files may lie beside the dump."""
    (dump / "README.txt").write_text("about")
    load_weights(f"txt:{dump}", "resnet18")
    (dump / "resnet18_layer9_conv1_weight.txt").write_text("1")

    assert "note: extra: resnet18_layer9_conv1_weight.txt" in refusal(load_weights, f"txt:{dump}", "resnet18")


def test_no_dump_there(dump, tmp_path, refusal):
    """No directory, an empty one, and another network's dump each say so."""
    (tmp_path / "empty").mkdir()

    assert "got No such file or directory" in refusal(load_weights, f"txt:{tmp_path / 'nowhere'}", "resnet18")
    assert "got Not a directory" in refusal(load_weights, f"txt:{dump / 'resnet18_bn1_bias.txt'}", "resnet18")
    assert "got no such file" in refusal(load_weights, f"txt:{tmp_path / 'empty'}", "resnet18")
    assert "got files of resnet18, expected resnet34_*.txt" in refusal(load_weights, f"txt:{dump}", "resnet34")


def test_values_finer_than_float32_are_said(dump):
    """A dump of float64 loads rounded, with a note."""
    (dump / "resnet18_bn1_bias.txt").write_text("0.1\n" * 64)

    assert (
        load_weights(f"txt:{dump}", "resnet18").notes[0]
        == "Values finer than float32 were rounded to it in 1 of the tensors."
    )


def test_export_keeps_what_is_there(dump, resnet18, refusal):
    """A directory that holds something is replaced only when asked, and then entirely."""
    state = {"fc.bias": resnet18.state["fc.bias"]}
    one = make_weights("resnet18", "", "", state)
    assert "the directory is not empty" in refusal(export_text, one, dump)
    assert (dump / "resnet18_conv1_weight.txt").exists()

    export_text(one, dump, overwrite=True)
    assert not (dump / "resnet18_conv1_weight.txt").exists()
    assert list(load_weights(f"txt:{dump}", "resnet18").state) == ["fc.bias"]


def test_a_failed_export_leaves_nothing(resnet18, tmp_path, refusal, monkeypatch):
    """When the disk fills up half-way there is no half dump, under any name."""
    from layerdiff.reference import text_dump

    written = []

    def until_full(path, values):
        written.append(path)
        path.write_text("1\n")
        if len(written) == 3:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(text_dump, "_write_values", until_full)

    assert "got No space left on device" in refusal(export_text, resnet18, tmp_path / "dump")
    assert list(tmp_path.iterdir()) == []


def test_real_dump_is_torchvisions_resnet50(shared_data):
    """The real dump's values are exact, in their places, and it lacks 29 kernels, all after layer2."""
    weights = load_weights(f"txt:{shared_data / 'weights/resnet50_txt'}", "resnet50")

    assert weights.state["conv1.weight"][0, 0, 0, 0] == np.float32(1.333477348089218140e-02)
    assert weights.state["conv1.weight"][0, 1, 0, 0] == np.float32(-1.845197193324565887e-02)
    assert len(weights.missing) == 29
    assert {name.rsplit(".", 1)[1] for name in weights.missing} == {"weight"}
    assert {name.split(".")[0] for name in weights.missing} == {"layer3", "layer4", "fc"}
    assert covered_prefix(weights) == "layer2"
    assert weights.notes == ("The text dump lacks 29 of 267 tensors.",)


def test_real_dump_is_written_again_byte_for_byte(shared_data, tmp_path):
    """What we write is the very file that we read, tensors and parameters alike."""
    real = shared_data / "weights/resnet50_txt"
    some = [path for path in sorted(real.iterdir()) if "_layer2_bottleneck0_" in path.name or "_conv1_" in path.name]
    (tmp_path / "some").mkdir()
    for path in some:
        shutil.copy(path, tmp_path / "some")
    export_text(load_weights(f"txt:{tmp_path / 'some'}", "resnet50"), tmp_path / "again")

    assert len(some) > 40
    for path in some:
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes(), path.name
