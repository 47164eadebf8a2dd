"""Whose memory an array is."""

from __future__ import annotations

import weakref

import numpy as np
import pytest
import torch

from layerdiff.compare.sole import sole
from layerdiff.compare.torch_sole import sole_array

_SHAPE = (2, 3, 96, 96)
"""Large enough for torch to be asked."""


class _Weak:
    """Holds something as long as somebody else does."""

    def __init__(self, thing):
        self.ref = weakref.ref(thing)

    def thing(self):
        return self.ref()


def _numpy_holders():
    return {
        "the array": (lambda a: a, lambda held: held),
        "a view": (lambda a: a[:1], lambda held: held),
        "a buffer": (memoryview, np.asarray),
        "a tensor": (torch.from_numpy, lambda held: held.numpy()),
    }


@pytest.mark.parametrize("name", list(_numpy_holders()))
@pytest.mark.parametrize("gives", [lambda a: a, lambda a: a.reshape(-1)], ids=["itself", "a view"])
def test_an_array_that_somebody_holds_is_copied(name, gives):
    """What whoever made an array keeps of it he can write to, and what was given stays as it was."""
    keep, look = _numpy_holders()[name]
    kept = []

    def make():
        made = np.zeros(_SHAPE, np.float32)
        kept.append(keep(made))
        return gives(made)

    found = sole([make()])
    look(kept[0]).reshape(-1)[:] = 1

    assert not found.any()


@pytest.mark.parametrize("gives", [lambda a: a, lambda a: a.reshape(-1)], ids=["itself", "a view"])
def test_an_array_that_somebody_can_come_back_to_is_copied(gives):
    """A weak reference is enough to write to an array as long as it lives."""
    kept = []

    def make():
        made = np.zeros(_SHAPE, np.float32)
        kept.append(_Weak(made))
        return gives(made)

    found = sole([make()])

    assert kept[0].thing() is None
    assert not found.any()


def _read_only():
    array = np.ones(_SHAPE)
    array.flags.writeable = False
    return array


@pytest.mark.parametrize(
    "make",
    [
        lambda: np.ones(_SHAPE)[:1],
        lambda: np.ones(_SHAPE).transpose(0, 2, 3, 1),
        lambda: np.broadcast_to(np.float32(1), _SHAPE),
        lambda: np.frombuffer(bytearray(b"\1" * 64), np.uint8),
        lambda: np.ones((3, 4)).view(np.recarray),
        lambda: np.float32(1),
        _read_only,
    ],
    ids=["a part", "turned", "one number", "a buffer", "a subclass", "a number", "read only"],
)
def test_what_is_copied_comes_as_an_array_of_its_own(make):
    """A part of something larger, memory that is not NumPy's, a subclass: all come as NumPy's own copy would."""
    found, copy = sole([make()]), np.array(make(), order="K")

    assert type(found) is np.ndarray
    assert found.base is None
    assert found.flags.writeable
    assert (found.shape, found.strides, found.dtype) == (copy.shape, copy.strides, copy.dtype)
    assert np.array_equal(found, copy)


def _address(array):
    return array.__array_interface__["data"][0]


@pytest.mark.parametrize("gives", [lambda a: a, lambda a: a.reshape(6, -1)], ids=["itself", "a view of all of it"])
def test_an_array_that_nobody_holds_is_not_copied(gives):
    """An operation that gives a new array, or a new array in another shape, costs no copy of it."""
    where = []

    def make():
        made = np.zeros(_SHAPE, np.float32)
        where.append(_address(made))
        return gives(made)

    assert _address(sole([make()])) == where[0]


def _tensor_holders():
    return {
        "the tensor": (lambda t: t, lambda held: held),
        "a view": (lambda t: t[:1], lambda held: held),
        "the same, detached": (lambda t: t.detach(), lambda held: held),
        "an array": (lambda t: t.numpy(), torch.from_numpy),
        "a part of its array": (lambda t: t.numpy()[:1], torch.from_numpy),
        "its memory": (lambda t: t.untyped_storage(), lambda held: torch.empty(0).set_(held)),
        "DLPack": (torch.utils.dlpack.to_dlpack, torch.utils.dlpack.from_dlpack),
    }


@pytest.mark.parametrize("name", list(_tensor_holders()))
@pytest.mark.parametrize("gives", [lambda t: t, lambda t: t.view(-1)], ids=["itself", "a view"])
def test_a_tensor_that_somebody_holds_is_copied(name, gives):
    """What whoever made a tensor keeps of it, in whichever form, he can write to: what was given stays as it was."""
    keep, look = _tensor_holders()[name]
    kept = []

    def make():
        made = torch.zeros(_SHAPE)
        kept.append(keep(made))
        return gives(made)

    found = sole([sole_array([make()])])
    look(kept[0]).view(-1)[:] = 1

    assert not found.any()


def test_a_tensor_on_memory_of_numpys_is_copied():
    """A new tensor each time, on the same memory of NumPy's: torch does not know who else holds that."""
    buffer = np.zeros(_SHAPE, np.float32)

    found = sole([sole_array([torch.from_numpy(buffer)])])
    buffer[...] = 1

    assert not found.any()


def test_a_tensor_shared_with_other_processes_is_copied():
    """Memory that another process can write to is nobody's own."""
    found = sole([sole_array([torch.zeros(_SHAPE).share_memory_()])])

    assert found.base is None


@pytest.mark.parametrize(
    ("make", "taken"),
    [
        (lambda made: made, True),
        (lambda made: made.view(6, -1), True),
        (lambda made: made[:1], False),
        (lambda made: made.transpose(2, 3), False),
        (torch.nn.Parameter, False),
    ],
    ids=["itself", "a view of all of it", "a part", "turned", "a parameter"],
)
def test_a_tensor_that_nobody_holds_is_not_copied(make, taken):
    """An operation that gives a new tensor costs no copy of it; what does not lie as a copy would is copied."""
    where = []

    def made():
        tensor = torch.zeros(_SHAPE)
        where.append(tensor.data_ptr())
        return make(tensor)

    found = sole([sole_array([made()])])

    assert (_address(found) == where[0]) == taken
    assert found.flags.c_contiguous or not taken


def test_where_torch_does_not_tell_who_holds_a_tensor_it_is_copied(monkeypatch):
    """The count of tensors on a storage is no public affair of torch's: without it nothing is taken as it is."""
    monkeypatch.delattr(torch._C, "_storage_Use_Count")

    found = sole([sole_array([torch.zeros(_SHAPE)])])

    assert found.base is None
    assert not found.any()
