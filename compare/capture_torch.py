"""Capture of a torch network: a function mode sees every operation, hooks see in which module it runs."""

from __future__ import annotations

import contextlib

import torch
from torch import Tensor, nn

from layerdiff.compare.own_backward import applications_seen
from layerdiff.compare.recorder import Recorder, Recording, StopForward, ValueLeftError
from layerdiff.compare.torch_facts import array_of, description, imprint_of
from layerdiff.compare.torch_ours import WatchingFailed, ours
from layerdiff.compare.torch_state import buffers_restored, gradients_on, random_state
from layerdiff.compare.torch_watch import Watch
from layerdiff.compare.trace import Array
from layerdiff.errors import InputError

__all__ = ["record_torch"]


def record_torch(
    network: nn.Module, x: Array | Tensor, *, until: str | None = None, keep: bool = False, survive: bool = False,
    graded: bool = False,
) -> Recording:  # fmt: skip
    """The operations of `network(x)`, what it gave, and all values where `keep`.

    A module of torch's own without children is one operation, and so is a class of the network's own that builds one
    layer out of arithmetic (`folding`); what happened inside is in `Op.inner`. So is every function, method or
    operator called elsewhere that gives a tensor made from the input (`out + identity`, `F.relu`, `x.view`). Modules
    are seen whether they are registered or not, and so are functions called on a module's weights without calling the
    module. The network runs as it is, in whatever mode it is in; nothing is attached to it, and its buffers and
    torch's random state are afterwards as they were.

    Args:
        network: takes one tensor.
        x: (n, c, h, w); a meta tensor if the network is on meta tensors too: then nothing is computed.
        until: stop once this part of the network has run.
        keep: keep every value.
        survive: if the forward pass raises, give what ran before, with `Recording.crash`, and do not raise.
        graded: note of each operation whether gradients were switched off when it ran.
    """
    open_: set[str] = set()
    tensor = x if isinstance(x, Tensor) else torch.from_numpy(x)
    while True:
        try:
            return _record(network, tensor, until=until, keep=keep, survive=survive, open_=open_, graded=graded)
        except ValueLeftError as left:
            # What was taken for one operation gives something away that is used elsewhere: it is not one.
            if left.path in open_:
                raise
            open_.add(left.path)


def _record(
    network: nn.Module, x: Tensor, *, until: str | None, keep: bool, survive: bool, open_: set[str], graded: bool
) -> Recording:
    recorder = Recorder(x, imprint_of, until=until, keep=keep)
    watch = Watch(recorder, network, open_, graded=graded)
    managers = (
        buffers_restored(network), torch.random.fork_rng(devices=[]),
        gradients_on(network) if graded else torch.no_grad(), watch.modules.hooks(),
        applications_seen(watch.applied), watch,
    )  # fmt: skip
    recording = recorder.recording
    with contextlib.ExitStack() as stack:
        for manager in managers:
            stack.enter_context(manager)
        drawn = random_state()
        try:
            output = network(x)
        except StopForward:
            recording.stopped = True
            return recording
        except ValueLeftError:
            raise
        except WatchingFailed as failed:
            raise InputError(
                f"capture: {type(network).__name__} runs, but not while it is watched, got {failed}"
            ) from failed
        except Exception as error:
            if not survive:
                raise
            recording.crash = watch.crash_of(error)
            return recording
        recording.random = random_state() != drawn
        recording.crash = None
        # Before the buffers are put back: what is returned may be one of them.
        with ours("the network's end"):
            if isinstance(output, Tensor) and not output.is_meta:
                recorder.takes(output, "the network's end")
                recorder.returns(output, array_of(output).copy())
            else:
                words = "" if isinstance(output, Tensor) else description(output, recorder.producer)
                recorder.returns(output, None, words)
    return recording
