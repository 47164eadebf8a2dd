"""Sessions of pytest in processes of their own, with the plugin as it is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from xml.etree import ElementTree as Xml

HERE = Path(__file__).parent

# An old editable install does not know the entry point; loading it twice would be an error.
PLUGIN = [] if entry_points(group="pytest11", name="layerdiff") else ["-p", "layerdiff.pytest_plugin"]

KNOWN = """
[[known]]
test = "test_net.py::test_known"
layer = "bn1"
code = "C1"
reason = "eps as in another framework"

[[known]]
test = "test_net.py::test_stale"
layer = "bn1"
reason = "was so once"

[[known]]
test = "test_net.py::test_layers"
layer = "bn1"
reason = "ours, and meant"

[[known]]
test = "test_net.py::test_layers"
layer = "conv1"
reason = "was so once"

[[known]]
test = "test_net.py::test_gone"
layer = "fc"
reason = "was there once"

[[known]]
test = "test_other.py::test_elsewhere"
layer = "fc"
reason = "in a file that is not looked at"
"""

OUTCOMES = {
    "test_same": "passed",
    "test_different": "failure",
    "test_known": "passed",
    "test_stale": "failure",
    "test_refused": "failure",
    "test_carried": "passed",
    "test_hostile": "failure",
    "test_fixture": "passed",
    "test_traces": "failure",
    "test_layers[conv1]": "failure",
    "test_layers[bn1]": "skipped",
    "test_layers[relu]": "skipped",
    "test_layers[layer3.0]": "skipped",
    "test_layers[layer3.1]": "failure",
    "test_layers[layer3.2]": "skipped",
    "test_layers[adaptive_avg_pool2d]": "skipped",
    "test_layers[flatten]": "skipped",
    "test_layers[fc]": "skipped",
    "test_unbuilt[conv1]": "failure",
    "test_unbuilt[bn1]": "failure",
}
"""What becomes of the tests in `sample.py`."""

RAISES = """
import numpy as np
from torch import nn
from layerdiff.testing import each_layer


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(4, 4, 3)

    def forward(self, x):
        return self.conv1(x)


@each_layer(expected=Net, x=np.ones((1, 3, 9, 9), np.float32))
def test_layers():
    return Net()
"""

CONFTEST = """
from pathlib import Path


def pytest_collection_finish(session):
    with Path("log.txt").open("a") as file:
        file.write("collected\\n")
"""


@dataclass(frozen=True)
class Session:
    """What a session of pytest said: exit code, stdout, stderr, and outcome and message of each test by its name."""

    code: int
    stdout: str
    stderr: str
    tests: dict[str, tuple[str, str]]
    folder: Path

    @property
    def log(self) -> list[str]:
        """What the tests noted."""
        return (self.folder / "log.txt").read_text().splitlines()


def in_session(folder: Path, *arguments: str, command=(sys.executable,), **environment: str) -> Session:
    """Run pytest in a folder."""
    for name in ("log.txt", "junit.xml"):
        (folder / name).unlink(missing_ok=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "CI", "GITHUB"))}
    done = subprocess.run(
        [*command, "-m", "pytest", "--junit-xml=junit.xml", *arguments],
        cwd=folder, env={**kept, "OMP_NUM_THREADS": "1", "COLUMNS": "80", **environment}, capture_output=True,
        text=True, check=False, timeout=600,
    )  # fmt: skip
    assert (folder / "junit.xml").exists(), done.stdout + done.stderr
    tests = {}
    for case in Xml.parse(folder / "junit.xml").iter("testcase"):
        outcome = case[0] if len(case) else None
        message = "" if outcome is None else outcome.get("message", "")
        tests[case.get("name")] = ("passed" if outcome is None else outcome.tag, message)
    return Session(done.returncode, done.stdout, done.stderr, tests, folder)


def make_project(folder: Path) -> Path:
    """The sample, the known differences, and a conftest that notes when collection was over."""
    shutil.copy(HERE / "sample.py", folder / "test_net.py")
    (folder / "test_raises.py").write_text(RAISES)
    (folder / "known.toml").write_text(KNOWN)
    (folder / "conftest.py").write_text(CONFTEST)
    # With warnings as errors the plugin must cause none.
    (folder / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\nlayerdiff_known = known.toml\n")
    return folder
