"""Weight files: what may be in them, what is refused, and that no code in them ever runs."""

from __future__ import annotations

import os
import pickle
import random

import numpy as np
import pytest
import safetensors.torch
import torch

from layerdiff.errors import InputError
from layerdiff.reference import export_safetensors, load_weights, state_dict


class Marker:
    """Pickled, this makes a directory wherever it is loaded without care."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.fixture
def full(resnet18) -> dict[str, torch.Tensor]:
    """A whole state dict, counters included."""
    return state_dict(resnet18)


@pytest.mark.parametrize("key", ["state_dict", "model"])
def test_wrapped_state_dicts_are_found(full, resnet18, tmp_path, key):
    """Training scripts save more than the state dict, and put `module.` before each name."""
    torch.save({key: {f"module.{name}": value for name, value in full.items()}, "epoch": 90}, tmp_path / "a.pth")
    weights = load_weights(str(tmp_path / "a.pth"), "resnet18")

    assert weights.sha256 == resnet18.sha256
    assert weights.notes == (
        f"The state dict was found under the key {key!r}.",
        "The prefix 'module.' was taken off every name.",
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_are_converted_and_said(full, tmp_path, dtype):
    """Half and double precision become float32, in either format, and the notes count the tensors."""
    small = {
        name: value.clamp(-100, 100).to(dtype) if value.is_floating_point() else value for name, value in full.items()
    }
    torch.save(small, tmp_path / "a.pth")
    safetensors.torch.save_file(small, tmp_path / "a.safetensors")
    for file in ("a.pth", "a.safetensors"):
        weights = load_weights(str(tmp_path / file), "resnet18")
        assert weights.notes == (f"Converted from {str(dtype)[6:]} to float32: 102 of the tensors.",)
        np.testing.assert_array_equal(weights.state["fc.weight"], small["fc.weight"].float().numpy())


def test_integers_are_no_weights(full, tmp_path, refusal):
    """Integer tensors are refused, not converted."""
    full["fc.bias"] = torch.zeros(1000, dtype=torch.int32)
    torch.save(full, tmp_path / "a.pth")

    assert "fc.bias: got int32, expected float32" in refusal(load_weights, str(tmp_path / "a.pth"), "resnet18")


@pytest.mark.parametrize("legacy", [False, True])
def test_code_in_a_pickle_is_refused_and_not_run(full, tmp_path, refusal, legacy):
    """A pickle that would make a directory is refused by name, and the directory is not made."""
    marker = tmp_path / "it-ran"
    full["fc.bias"] = Marker(marker)
    torch.save(full, tmp_path / "a.pth", _use_new_zipfile_serialization=not legacy)
    text = refusal(load_weights, str(tmp_path / "a.pth"), "resnet18")

    assert "refused and not run" in text
    assert "mkdir" in text
    assert not marker.exists()


def test_a_plain_pickle_with_code_is_not_run(tmp_path, refusal):
    """Nor one that torch never wrote."""
    marker = tmp_path / "it-ran"
    (tmp_path / "a.pt").write_bytes(pickle.dumps(Marker(marker)))

    refusal(load_weights, str(tmp_path / "a.pt"), "resnet18")
    assert not marker.exists()


def test_a_whole_network_is_refused(tmp_path, refusal):
    """`torch.save(model)` pickles its classes; only its tensors would do."""
    torch.save(torch.nn.Linear(2, 2), tmp_path / "a.pth")

    assert "torch.nn.modules.linear.Linear" in refusal(load_weights, str(tmp_path / "a.pth"), "resnet18")


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("keep", [0, 7, 1000, -1000])
def test_cut_short(full, tmp_path, refusal, suffix, keep):
    """A file that a download left half done is said to be cut short, wherever it was cut."""
    path = tmp_path / f"a{suffix}"
    save = torch.save if suffix == ".pth" else safetensors.torch.save_file
    save({"fc.bias": full["fc.bias"], "bn1.bias": full["bn1.bias"]}, path)
    path.write_bytes(path.read_bytes()[:keep])

    assert "cut short or not a" in refusal(load_weights, str(path), "resnet18")


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_broken_bytes_never_escape(full, tmp_path, suffix):
    """Whatever bytes are overwritten, the answer is weights or an InputError, never another exception."""
    path = tmp_path / f"a{suffix}"
    save = torch.save if suffix == ".pth" else safetensors.torch.save_file
    save({"fc.bias": full["fc.bias"][:3].clone()}, path)
    whole = path.read_bytes()
    draw = random.Random(0)
    for _ in range(150):
        broken = bytearray(whole)
        for _ in range(draw.randint(1, 8)):
            broken[draw.randrange(len(broken))] = draw.randrange(256)
        path.write_bytes(broken)
        with pytest.raises(InputError):
            load_weights(str(path), "resnet18")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([1, 2], "got a list"),
        (torch.zeros(3), "got a Tensor"),
        ({"epoch": 3, "lr": 0.1}, "got 2 entries that are no tensors"),
        ({3: torch.zeros(3)}, "3: Tensor"),
        ({"a": torch.eye(3).to_sparse()}, "'a': Tensor"),
    ],
)
def test_other_things_than_tensors(tmp_path, refusal, content, said):
    """A file that torch reads but that holds no state dict is described."""
    torch.save(content, tmp_path / "a.pth")

    assert said in refusal(load_weights, str(tmp_path / "a.pth"), "resnet18")


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".safetensors"])
def test_no_file(tmp_path, refusal, suffix):
    """A file that is not there, and a directory of that name."""
    path = tmp_path / f"a{suffix}"
    assert "got nothing there, expected a file" in refusal(load_weights, str(path), "resnet18")
    path.mkdir()
    assert "got a directory, expected a file" in refusal(load_weights, str(path), "resnet18")


def test_export_is_all_or_nothing(resnet18, tmp_path, refusal, monkeypatch):
    """A failed export leaves the old file and nothing else; a good one replaces it."""
    path = tmp_path / "a.safetensors"
    path.write_bytes(b"old")

    def full_disk(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("pathlib.Path.replace", full_disk)
        assert "got No space left on device" in refusal(export_safetensors, resnet18, path)
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("a.safetensors", b"old")]

    export_safetensors(resnet18, path)
    assert load_weights(str(path), "resnet18").sha256 == resnet18.sha256
    assert [file.name for file in tmp_path.iterdir()] == ["a.safetensors"]
