"""The README is true: its examples run."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    """The README's code blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def write_files(folder: Path) -> None:
    """The files that the README shows, under their names."""
    for name, text in re.findall(r"^```python title=(\S+)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL):
        (folder / name).write_text(text)


@pytest.mark.parametrize("block", blocks("console"), ids=lambda block: block.splitlines()[0][2:42])
def test_every_console_example_runs(layerdiff, tmp_path, block):
    """Every command of a block, in its order, in a folder with the README's files: the exit code it says, else 0."""
    write_files(tmp_path)
    for line in block.splitlines():
        command = line[2:]
        name, *arguments = shlex.split(command, comments=True)
        assert name == "layerdiff"
        done = layerdiff(*arguments, cwd=tmp_path)
        said = re.search(r"# exit code (\d)$", command)
        code = int(said[1]) if said else 0
        assert done.returncode == code, f"{command}\n{done.stdout}{done.stderr}"


def test_there_are_console_examples():
    """The pattern finds them: an empty list of examples would pass for a true one."""
    assert sum(block.count("\n") for block in blocks("console")) >= 15


@pytest.mark.parametrize("code", blocks("python"))
def test_every_python_example_runs(code, tmp_path):
    """Every Python example of the README runs, its assertions included."""
    write_files(tmp_path)
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr


def test_the_two_commands_are_those_that_ci_runs():
    """The README's line for the tests stands in .ci/run, to the letter, and its environments are in tox.ini."""
    commands = re.findall(r"^python3 -m pip install tox && (tox run.*)$", README, re.MULTILINE)

    assert commands == ["tox run -e report", "tox run"]
    assert "python3 -m pip install tox && tox run\n" in (ROOT / ".ci" / "run").read_text()
    assert "[testenv:report]" in (ROOT / "tox.ini").read_text()


def test_the_example_report_is_what_the_command_prints():
    """The report in the README has the lines of a real one: those of `test_command`, for ResNet-50."""
    example = next(block for block in blocks("") if block.startswith("expected"))

    assert (
        len(re.findall(r"^same: 175 of 175 layers; the worst, \S+, is at 0\.\d\d of its allowance$", example, re.M))
        == 2
    )
    assert all(len(line) <= 80 for line in example.splitlines())


def test_the_report_on_the_example_is_what_the_command_prints(layerdiff, tmp_path):
    """Every line of the README's report on its own example stands in the real one."""
    write_files(tmp_path)
    example = re.search(r"^18 ✗.*?(?=^```$)", README, re.MULTILINE | re.DOTALL)[0]

    printed = layerdiff("run", "--actual", "net.py", "--weights", "synthetic", cwd=tmp_path).stdout.splitlines()

    assert [line for line in example.splitlines() if line and line not in printed] == []
