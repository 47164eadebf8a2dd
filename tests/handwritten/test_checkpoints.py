"""Checkpoints: what was written is read back to the bit, all of the file or none, and a wrong byte is found."""

from __future__ import annotations

import os

import numpy as np
import pytest
import safetensors.numpy

from layerdiff.handwritten.training import Checkpoint, Epoch, History, network_state, read_checkpoint
from layerdiff.handwritten.training.checkpoints import write_checkpoint

STATE = {
    "network.conv1.weight": np.random.default_rng(0).standard_normal((4, 3, 2, 2)).astype(np.float32),
    "network.bn1.running_var": np.array([0.1, 5e-324]),
    "optimiser.step": np.array(12),
    "optimiser.nesterov": np.array(True),
    "optimiser.betas": np.array([0.9, 0.999]),
    "random.dropout": np.frombuffer(b'{"state": 1}', dtype=np.uint8),
    "network.turned": np.arange(6.0).reshape(2, 3).T,
}
HISTORY = History((Epoch(1, 0.1, 2.3, 1 / 3, 2.1, 0.4), Epoch(2, 1e-5, 0.1 + 0.2, 0.5, 1.9, 1.0)))
FACTS = {"seed": "3", "batch_size": "64"}
CHECKPOINT = Checkpoint(STATE, HISTORY, FACTS)


@pytest.fixture
def path(tmp_path):
    """A checkpoint as `train` keeps it, in a folder that it made."""
    found = tmp_path / "run" / "last.safetensors"
    write_checkpoint(found, CHECKPOINT)
    return found


def told(call, *args):
    """All that an error says."""
    with pytest.raises(ValueError, match=r"got .*, expected ") as caught:
        call(*args)
    return "\n".join([str(caught.value), *caught.value.__notes__])


def test_what_was_written_is_read_back(path):
    """Every array has its bits, shape and dtype; the history its very numbers; the facts their words."""
    found = read_checkpoint(path)

    assert found.state.keys() == STATE.keys()
    for name, array in STATE.items():
        assert (found.state[name].shape, found.state[name].dtype) == (array.shape, array.dtype)
        assert found.state[name].tobytes() == array.tobytes()
    assert found.history == HISTORY
    assert found.facts == FACTS


def test_the_network_alone(path):
    """The network's arrays come out under the names of its state dict, nothing else with them."""
    state = network_state(read_checkpoint(path))

    assert state.keys() == {"conv1.weight", "bn1.running_var", "turned"}
    np.testing.assert_array_equal(STATE["network.conv1.weight"], state["conv1.weight"])


def test_a_checkpoint_is_plain_safetensors(path):
    """Other programs can read the arrays, and the epoch is in the metadata for people."""
    assert safetensors.numpy.load_file(path).keys() == STATE.keys()
    with safetensors.safe_open(path, framework="numpy") as file:
        assert file.metadata()["epoch"] == "2"


def test_every_wrong_byte_is_found(path):
    """A bit changed anywhere in the file, header or values, is refused; so is a file cut short anywhere."""
    whole = path.read_bytes()
    for place in [*range(0, len(whole), 7), len(whole) - 1]:
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(ValueError, match=r"the checkpoint is cut short or damaged|not the checkpoint of"):
            read_checkpoint(path)
    for length in range(0, len(whole), 97):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match="the checkpoint is cut short or damaged"):
            read_checkpoint(path)


def test_a_damaged_checkpoint_is_said(path):
    """The error has the path and the size, says why, and where there may be another."""
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    text = told(read_checkpoint, path)
    assert f"{path}: the checkpoint is cut short or damaged, got {len(whole) - 1} bytes, expected a whole file" in text
    assert "help: best.safetensors beside it may be whole" in text
    assert "note: SafetensorError" in text

    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 4]))
    assert "note: its bytes are not those that were written" in told(read_checkpoint, path)


def test_a_foreign_file_is_refused(path):
    """Weights alone, of whoever, are no checkpoint, and the error says how to load them."""
    safetensors.numpy.save_file({"conv1.weight": np.zeros(3)}, path)
    text = told(read_checkpoint, path)

    assert "not the checkpoint of a training, got format 'none', expected 'layerdiff training 1'" in text
    assert "help: weights alone are loaded with network.load_state_dict" in text


def test_no_such_checkpoint(tmp_path):
    """A path that leads nowhere or to a folder is refused."""
    assert "no such checkpoint, got nothing there, expected a file" in told(read_checkpoint, tmp_path / "none")
    text = told(read_checkpoint, tmp_path)
    assert "got a directory" in text
    assert "help: `train` keeps last.safetensors and best.safetensors in the folder it is given" in text


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_an_interrupt_while_writing_leaves_the_old_file(path, monkeypatch, failing):
    """Whenever it comes, the checkpoint of before is whole, and nothing half done is left beside it."""

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(*{"fsync": (os, "fsync"), "replace": ("pathlib.Path.replace",)}[failing], interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_checkpoint(path, Checkpoint({"a": np.zeros(1)}, History(), {}))

    assert read_checkpoint(path).history == HISTORY
    assert list(path.parent.iterdir()) == [path]


def test_a_place_that_cannot_be_written_to(tmp_path):
    """A file where the folder should be is refused in words."""
    (tmp_path / "run").write_text("")
    text = told(write_checkpoint, tmp_path / "run" / "last.safetensors", CHECKPOINT)

    assert "the checkpoint cannot be written, got " in text
    assert "help: what was there before is still there" in text
