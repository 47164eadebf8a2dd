"""The plugin as people get it: from the wheel, in an environment that has nothing else of ours, and with xdist."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections import Counter
from pathlib import Path

from plugin_kit import OUTCOMES, in_session, make_project

ROOT = Path(__file__).parents[2]
PARTS = ("package", "reference", "handwritten", "compare", "pyproject.toml", "README.md")


def pip(*arguments: object) -> None:
    """Run pip, which may ask no index, nor look at what somebody else's path leads to."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-m", "pip", *map(str, arguments), "--no-deps", "--no-index", "--disable-pip-version-check"],
        capture_output=True, text=True, check=False, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def fresh_python(folder: Path) -> Path:
    """The Python of a new environment with the wheel; torch and the like are those of the running environment."""
    source = folder / "source"
    source.mkdir()
    for part in PARTS:
        # A copy: building leaves folders behind.
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, source / part, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            shutil.copy(ROOT / part, source / part)
    pip("wheel", source, "--no-build-isolation", "--wheel-dir", folder)
    (wheel,) = folder.glob("*.whl")
    home = folder / "venv"
    venv.create(home, with_pip=False)
    pip("--python", home / "bin" / "python", "install", wheel)
    python = home / "bin" / "python"
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = subprocess.check_output([python, "-I", "-c", code], text=True).strip()
    # Behind its own: what the wheel brings is found first.
    (Path(site) / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


def test_the_wheel_alone_brings_it_and_two_workers_find_what_one_process_does(tmp_path):
    """Nobody names the plugin, and it is there: the outcomes, one comparison for all layers, and one summary.

    All in one test, so that the environment is made once however many workers run the tests of this project.
    """
    python = fresh_python(tmp_path)
    project = tmp_path / "project"
    project.mkdir()
    found = in_session(
        make_project(project), "-n", "2", "--dist", "loadfile", "--layerdiff-report", "reports", "test_net.py",
        command=(str(python), "-P"), PYTHONPATH="",
    )  # fmt: skip

    where = subprocess.check_output(
        [python, "-P", "-c", "import layerdiff.testing; print(layerdiff.testing.__file__)"], text=True,
        env={"PYTHONPATH": ""},
    )  # fmt: skip
    assert Path(where).is_relative_to(python.parents[1])
    assert "2 workers" in found.stdout
    assert found.code == 1
    assert {name: outcome for name, (outcome, _) in found.tests.items()} == OUTCOMES
    # Both workers learn the layers' names; one compares, for all of them.
    log = Counter(found.log)
    assert log["expected made"] == log["expected runs on meta"] == 2
    assert log["actual made"] == log["expected runs on cpu"] == 1
    summary = found.stdout.partition(" layerdiff ====")[2].partition("short test summary")[0]
    assert summary.count("\ntest_net.py::test_layers[layer3.1]: layer3.1 C1\n") == 1
    assert "\nknown differences that were accepted: 2\n" in summary
    assert summary.count("stale: known.toml: entry 5: no such test, got test_net.py::test_gone\n") == 1
    assert len(re.findall(r"^report: file://\S+$", summary, re.M)) == 4
    assert len(list((project / "reports").iterdir())) == 5
