"""One session of the sample, which many tests look at."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
for folder in (str(HERE), str(HERE.parent / "compare")):
    if folder not in sys.path:
        sys.path.insert(0, folder)  # for plugin_kit.py and made_runs.py: in importlib mode no folder is on the path

from plugin_kit import PLUGIN, Session, in_session, make_project  # noqa: E402 - only now is it on the path


@pytest.fixture(scope="session")
def whole(tmp_path_factory) -> Session:
    """The sample's session, all of it, reports written."""
    folder = make_project(tmp_path_factory.mktemp("whole"))
    (folder / "reports").mkdir()
    return in_session(folder, *PLUGIN, "--layerdiff-report", "reports", "-q", "--continue-on-collection-errors")
