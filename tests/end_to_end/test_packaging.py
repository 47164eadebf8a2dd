"""What is installed: names that nobody shadows, files that are all there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import layerdiff

CODE = """
import compare, reference, handwritten, layerdiff
from layerdiff import judge
import layerdiff.reference, layerdiff.handwritten, layerdiff.compare
assert compare.MINE and reference.MINE and handwritten.MINE
for module in (layerdiff, layerdiff.reference, layerdiff.handwritten, layerdiff.compare):
    assert not hasattr(module, "MINE"), module
print("fine")
"""


@pytest.fixture
def own_folder(tmp_path):
    """A user's folder with a compare.py, a reference/ and a handwritten.py of their own."""
    (tmp_path / "compare.py").write_text("MINE = True\n")
    (tmp_path / "handwritten.py").write_text("MINE = True\n")
    (tmp_path / "reference").mkdir()
    (tmp_path / "reference" / "__init__.py").write_text("MINE = True\n")
    return tmp_path


def test_nobody_shadows_anybody(own_folder):
    """In a folder with a user's own compare.py and reference/, both theirs and ours are imported."""
    done = subprocess.run([sys.executable, "-c", CODE], cwd=own_folder, capture_output=True, text=True, check=False)

    assert done.stdout == "fine\n", done.stderr


def test_the_command_works_from_such_a_folder(own_folder):
    """The command does not take the user's modules for its own."""
    done = subprocess.run(
        [sys.executable, "-m", "layerdiff", "weights", "inspect", "synthetic", "--arch", "resnet18"],
        cwd=own_folder, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr


def test_every_public_name_is_there():
    """Every name in `__all__` can be imported, and nothing else is promised."""
    assert all(getattr(layerdiff, name) is not None for name in layerdiff.__all__)
    assert dir(layerdiff) == sorted(layerdiff.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        layerdiff.nonsense  # noqa: B018


def test_every_module_is_installed():
    """Each Python file of the checkout's folders is importable from what is installed."""
    root = Path(__file__).parents[2]
    for folder, package in {
        "reference": "reference",
        "handwritten": "handwritten",
        "compare": "compare",
        "package": "",
    }.items():
        for path in (root / folder).rglob("*.py"):
            parts = [part for part in (package, *path.relative_to(root / folder).with_suffix("").parts) if part]
            name = ".".join(["layerdiff", *(part for part in parts if part != "__init__")])
            assert _installed(name), f"{name} is not in the wheel"


def _installed(name: str) -> bool:
    from importlib.util import find_spec

    return find_spec(name) is not None
