"""Candidates' files, written by the tests that need them."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from layerdiff.candidate.load import Loaded, load_network
from layerdiff.candidate.spec import parse_spec
from layerdiff.errors import InputError

HEAD = "import torch\nfrom torch import nn\n"
"""How the files begin; their own lines are counted from 3."""

NET = """
class Net(nn.Module):
    def __init__(self, width=4):
        super().__init__()
        self.conv = nn.Conv2d(3, width, 3)
        self.relu = nn.ReLU()

    def forward(self, x):
        return self.relu(self.conv(x))
"""


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """An empty folder, the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def write(folder) -> Callable[..., Path]:
    """Writes a file there: torch's imports, then the given source, its indentation taken off."""

    def write(source: str, name: str = "net.py", head: str = HEAD) -> Path:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(head + textwrap.dedent(source))
        return path

    return write


@pytest.fixture
def net(write) -> Path:
    """`net.py` with one small network, `Net`."""
    return write(NET)


@pytest.fixture
def load(folder) -> Callable[..., Loaded]:
    """Loads what a text names."""
    return lambda text="net.py", **options: load_network(parse_spec(text), **options)


@pytest.fixture
def refusal(load) -> Callable[..., list[str]]:
    """The lines of the error that loading what a text names raises."""

    def refusal(text: str = "net.py", **options: object) -> list[str]:
        with pytest.raises(InputError) as caught:
            load(text, **options)
        return [str(caught.value), *getattr(caught.value, "__notes__", ())]

    return refusal
