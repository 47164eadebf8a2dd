"""The settings of Python, torch and NumPy that somebody's code may change, each with how it is read and put back."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn.modules import module as nn_module

__all__ = ["Change", "Setting", "changes", "read_settings", "same_randomness_after", "seed_all"]


@dataclass(frozen=True)
class Setting:
    """One setting.

    Attributes:
        what: it is, in words.
        read: its value, not to be changed by what follows.
        write: puts a value of `read` back.
        harmful: whether it could change what a network computes.
        shown: whether its value says something to a reader.
    """

    what: str
    read: Callable[[], Any]
    write: Callable[[Any], object]
    harmful: bool = False
    shown: bool = True


@dataclass(frozen=True)
class Change:
    """A setting that was changed; `text` says what and how."""

    setting: Setting
    before: Any
    text: str

    def undo(self) -> None:
        """Put it back."""
        self.setting.write(self.before)


def _flushes_denormals() -> bool:
    # There is no call that tells.
    return bool(np.float32(1e-40) * np.float32(1) == 0)


def _folder() -> str | None:
    try:
        return os.getcwd()  # noqa: PTH109
    except FileNotFoundError:
        return None


def _write_folder(folder: str | None) -> None:
    if folder is not None:
        os.chdir(folder)


def _environment() -> dict[str, str]:
    # torch's compiler sets some of its own when it is imported.
    return {name: value for name, value in os.environ.items() if not name.startswith(("TORCHINDUCTOR_", "TRITON_"))}


def _write_environment(before: dict[str, str]) -> None:
    for name in _environment().keys() - before.keys():
        del os.environ[name]
    for name, value in before.items():
        if os.environ.get(name) != value:
            os.environ[name] = value


def _write_dictionary(target: dict[Any, Any]) -> Callable[[Any], object]:
    def write(items: tuple[tuple[Any, Any], ...]) -> None:
        target.clear()
        target.update(items)

    return write


def _attribute(what: str, owner: Any, name: str, *, harmful: bool) -> Iterator[Setting]:
    # Some came with later versions of torch.
    if hasattr(owner, name):
        yield Setting(what, lambda: getattr(owner, name), lambda value: setattr(owner, name, value), harmful)


def _precisions() -> Iterator[Setting]:
    backends = torch.backends
    yield from _attribute("torch.backends.fp32_precision", backends, "fp32_precision", harmful=True)
    yield from _attribute("torch.backends.mkldnn.fp32_precision", backends.mkldnn, "fp32_precision", harmful=True)
    for operation in ("matmul", "conv"):
        owner = getattr(backends.mkldnn, operation, None)
        yield from _attribute(
            f"torch.backends.mkldnn.{operation}.fp32_precision", owner, "fp32_precision", harmful=True
        )


def _signals() -> Iterator[Setting]:
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            yield Setting(
                f"the handler of {number.name}",
                lambda number=number: signal.getsignal(number),  # type: ignore[misc]
                lambda handler, number=number: signal.signal(number, handler),  # type: ignore[misc]
                shown=False,
            )


def _hooks() -> Iterator[Setting]:
    for name, hooks in vars(nn_module).items():
        if name.startswith("_global_") and isinstance(hooks, dict):
            yield Setting(
                "hooks on every module of the process",
                lambda hooks=hooks: tuple(hooks.items()),  # type: ignore[misc]
                _write_dictionary(hooks),
                harmful=True,
                shown=False,
            )


def _settings() -> Iterator[Setting]:
    yield Setting("torch's default dtype", torch.get_default_dtype, torch.set_default_dtype, harmful=True)
    yield Setting(
        "torch's default device",
        torch.get_default_device,
        lambda device: torch.set_default_device(None if device.type == "cpu" else device),
        harmful=True,
    )
    yield Setting(
        "torch's float32 matmul precision",
        _matmul_precision,
        lambda value: torch.set_float32_matmul_precision(value) if value else None,
        harmful=True,
    )
    # The newer names of it last: writing the older one writes some of them.
    yield from _precisions()
    yield Setting(
        "torch's deterministic mode",
        lambda: (torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()),
        lambda value: torch.use_deterministic_algorithms(value[0], warn_only=value[1]),
        harmful=True,
        shown=False,
    )
    yield Setting("the flushing of denormal numbers", _flushes_denormals, torch.set_flush_denormal, harmful=True)
    yield Setting(
        "torch's autocast on the CPU",
        lambda: torch.is_autocast_enabled("cpu"),
        lambda value: torch.set_autocast_enabled("cpu", value),
        harmful=True,
    )
    yield from _hooks()
    yield Setting("torch's gradient mode", torch.is_grad_enabled, torch.set_grad_enabled)
    yield Setting("torch's number of threads", torch.get_num_threads, torch.set_num_threads)
    yield from _attribute("cuDNN's benchmark mode", torch.backends.cudnn, "benchmark", harmful=False)
    yield from _attribute("cuDNN's deterministic mode", torch.backends.cudnn, "deterministic", harmful=False)
    yield from _attribute("cuDNN's use", torch.backends.cudnn, "enabled", harmful=False)
    yield from _attribute("oneDNN's use", torch.backends.mkldnn, "enabled", harmful=False)
    yield Setting("torch's seed", torch.initial_seed, lambda value: None)
    yield Setting("NumPy's random state", _numpy_state, lambda value: None, shown=False)
    yield Setting("Python's random state", random.getstate, random.setstate, shown=False)
    yield Setting("NumPy's handling of floating-point errors", np.geterr, lambda value: np.seterr(**value), shown=False)
    yield Setting("environment variables", _environment, _write_environment, shown=False)
    yield Setting("the current folder", _folder, _write_folder)
    yield Setting("the recursion limit", sys.getrecursionlimit, sys.setrecursionlimit)
    yield Setting("the warnings filters", _blanket_filters, lambda value: None, shown=False)
    yield from _signals()


def _blanket_filters() -> list[Any]:
    # Filters of single messages come with many an import. `warnings.catch_warnings` puts them all back.
    return [entry for entry in warnings.filters if entry[1] is None and entry[2] is Warning and entry[3] is None]


def _matmul_precision() -> str | None:
    try:
        return torch.get_float32_matmul_precision()
    except RuntimeError:
        # It has no one value while the newer settings disagree.
        return None


def _numpy_state() -> tuple[Any, ...]:
    state = np.random.get_state()  # noqa: NPY002
    # A generator of another kind, which hardly anybody uses, is put back but not looked into.
    return (state[0], state[1].tobytes(), *state[2:]) if isinstance(state, tuple) else ()


def read_settings() -> list[tuple[Setting, Any]]:
    """Every setting with its value."""
    return [(setting, setting.read()) for setting in _settings()]


def changes(before: list[tuple[Setting, Any]]) -> tuple[Change, ...]:
    """The settings that no longer have the values of `read_settings`."""
    found = []
    for setting, value in before:
        now = setting.read()
        if now != value:
            found.append(Change(setting, value, _describe(setting, value, now)))
    return tuple(found)


def _describe(setting: Setting, before: Any, now: Any) -> str:
    if setting.shown:
        return f"{setting.what} (from {before} to {now})"
    if isinstance(before, dict):
        names = sorted(name for name in {*before, *now} if before.get(name) != now.get(name))
        return f"{setting.what} ({', '.join(names)})"
    return setting.what


def seed_all(seed: int) -> None:
    """Seed the generators of torch, NumPy and Python."""
    torch.manual_seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    random.seed(seed)


@contextlib.contextmanager
def same_randomness_after() -> Iterator[None]:
    """The generators of torch, NumPy and Python are afterwards as they were."""
    states = torch.get_rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002
    try:
        yield
    finally:
        torch.set_rng_state(states[0])
        np.random.set_state(states[1])  # noqa: NPY002
        random.setstate(states[2])
