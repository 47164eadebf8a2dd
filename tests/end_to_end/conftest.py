"""The command, run as its users run it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def layerdiff(tmp_path_factory) -> Run:
    """Runs the installed command in an empty folder, with one thread unless told otherwise."""
    home = tmp_path_factory.mktemp("home")

    def run(*arguments: object, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
        known = {"HOME": str(home), "TORCH_HOME": str(home / "torch"), "OMP_NUM_THREADS": "1", "COLUMNS": "80"}
        return subprocess.run(
            [sys.executable, "-P", "-m", "layerdiff", *map(str, arguments)],
            cwd=cwd or home,
            env={**os.environ, **known, **environment},
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )

    return run


@pytest.fixture(scope="session")
def small(layerdiff, tmp_path_factory) -> list[str]:
    """Options that make a run small: ResNet-18, its synthetic weights from a file, 65x49."""
    path = tmp_path_factory.mktemp("weights") / "resnet18.safetensors"
    done = layerdiff("weights", "export", "synthetic:1", path, "--arch", "resnet18")
    assert done.returncode == 0, done.stderr
    return ["--expected", "torchvision:resnet18", "--weights", str(path), "--size", "65x49"]


@pytest.fixture(scope="session")
def _dump(layerdiff, small, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("text") / "dump"
    done = layerdiff("weights", "export", small[3], folder, "--arch", "resnet18")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def dump(_dump, tmp_path) -> Path:
    """The same weights as a text dump, its files to be replaced or removed, not to be written into."""
    return Path(shutil.copytree(_dump, tmp_path / "dump", copy_function=os.link))
