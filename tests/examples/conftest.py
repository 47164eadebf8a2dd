"""The examples as modules, and a way to run one as a learner does."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

EXAMPLES = Path(__file__).parents[2] / "examples"
if str(EXAMPLES) not in sys.path:
    sys.path.insert(0, str(EXAMPLES))  # they are scripts, which find one another beside themselves


@pytest.fixture
def show():
    """Runs an example's command: what it printed, all but long words within 80 columns, and its figures."""

    def shown(command, *arguments):
        result = CliRunner().invoke(command, [str(argument) for argument in arguments], standalone_mode=False)
        if result.exception is not None:
            raise result.exception
        wide = [line for line in result.stdout.splitlines() if len(line) > 80 and len(line.split()) > 1]
        assert not wide, wide
        return result.stdout, result.return_value

    return shown


@pytest.fixture
def refused(monkeypatch, capsys):
    """Runs an example as a script that must end with exit code 2: what it said on stderr."""

    def said(command, *arguments):
        import example_kit

        monkeypatch.setattr(sys, "argv", ["example.py", *(str(argument) for argument in arguments)])
        with pytest.raises(SystemExit) as ended:
            example_kit.run(command)
        assert ended.value.code == 2
        return capsys.readouterr().err

    return said


@pytest.fixture(scope="session")
def in_full():
    """Skips, saying so, what takes minutes: unless LAYERDIFF_LONG is set."""
    if not os.environ.get("LAYERDIFF_LONG"):
        pytest.skip("LAYERDIFF_LONG is not set: the full figures are made by `tox run -e examples`")
