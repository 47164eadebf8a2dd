"""The pytest plugin: options, the fixture `layerdiff`, a test for each layer, and a summary; docs/pytest.md.

It is there as soon as layerdiff is installed, so it imports nothing of it before a test compares something.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from layerdiff.testing.recording import Recorder, recording

if TYPE_CHECKING:
    from layerdiff.compare.result import Report
    from layerdiff.testing.known import Known

__all__ = ["Comparing"]

_SHOWN = 30


@dataclass
class _Session:
    """What one process knows of its session.

    Attributes:
        folder: where reports go.
        keep: which of them.
        known: all accepted differences.
        ids: of every test that was collected, with and without its layer.
        files: in which they are.
        lost: entries of tests that are not there, in words.
    """

    folder: Path | None
    keep: Any
    known: tuple[Known, ...]
    ids: set[tuple[str, str]] = field(default_factory=set)
    files: set[str] = field(default_factory=set)
    lost: list[str] = field(default_factory=list)


_SESSION = pytest.StashKey[_Session]()
_NAME = pytest.StashKey[tuple[str, str | None]]()
_RECORDER = pytest.StashKey[Recorder]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """--layerdiff-report, --layerdiff-keep and --layerdiff-known."""
    group = parser.getgroup("layerdiff", "networks compared layer by layer")
    group.addoption("--layerdiff-report", metavar="DIR", help="write the reports of comparisons into this folder")
    group.addoption(
        "--layerdiff-keep", choices=["failed", "all", "none"], default="failed",
        help="which of them: of comparisons that fail (default), all, or none",
    )  # fmt: skip
    group.addoption(
        "--layerdiff-known", metavar="FILE", help="differences that are known and accepted, in TOML; see docs/pytest.md"
    )
    parser.addini("layerdiff_known", "differences that are known and accepted; relative to this file")


def pytest_configure(config: pytest.Config) -> None:
    """Read the known differences, once, before anything is collected."""
    folder = config.getoption("--layerdiff-report")
    named = config.getoption("--layerdiff-known")
    path = Path(config.invocation_params.dir, named) if named else None
    if path is None and config.getini("layerdiff_known"):
        path = Path(config.inipath.parent if config.inipath else config.rootpath, config.getini("layerdiff_known"))
    known: tuple[Known, ...] = ()
    if path is not None:
        known = _read_known(path)
    where = Path(config.invocation_params.dir, folder) if folder else None
    config.stash[_SESSION] = _Session(where, config.getoption("--layerdiff-keep"), known)


def _read_known(path: Path) -> tuple[Known, ...]:
    from layerdiff.errors import InputError
    from layerdiff.testing.known import read_known

    try:
        return read_known(path)
    except InputError as error:
        raise pytest.UsageError("\n".join((str(error), *getattr(error, "__notes__", ())))) from None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test for each layer of a function that `each_layer` decorates."""
    layers = getattr(metafunc.function, "layerdiff_layers", None)
    if layers is None:
        return
    from layerdiff.errors import InputError
    from layerdiff.testing.per_layer import PARAMETER

    try:
        ids = layers.ids
    except InputError as error:
        raise pytest.Collector.CollectError("\n".join((str(error), *getattr(error, "__notes__", ())))) from None
    metafunc.parametrize(PARAMETER, ids, ids=ids)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Remember the test by the name that known differences and reports go by."""
    test, layer = _named(item)
    item.stash[_NAME] = (test, layer)
    session = item.config.stash[_SESSION]
    session.ids.add((test, layer or ""))
    session.files.add(test.partition("::")[0])


def _named(item: pytest.Item) -> tuple[str, str | None]:
    """The test's id without its layer, and its layer."""
    callspec = getattr(item, "callspec", None)
    layer = getattr(callspec, "params", {}).get("layerdiff_layer")
    if callspec is None or layer is None:
        return item.nodeid, None
    head = item.nodeid.removesuffix(f"[{callspec.id}]")
    rest = callspec.id.removesuffix(layer).removesuffix("-") if callspec.id.endswith(layer) else (
        callspec.id.removeprefix(layer).removeprefix("-")
    )  # fmt: skip
    return (f"{head}[{rest}]" if rest else head), layer


def pytest_collection_finish(session: pytest.Session) -> None:
    """Find the known differences of tests that are not there."""
    config = session.config
    mine = config.stash[_SESSION]
    # Where only some tests of a file were looked for, nobody can say that another one is not there.
    partly = any("::" in argument for argument in config.args) or config.getoption("lf", False)
    for one in () if partly else mine.known:
        there = any(test == one.test for test, _ in mine.ids)
        if one.test.partition("::")[0] in mine.files and not there:
            mine.lost.append(f"{one.where}: no such test, got {one.test}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Comparisons inside are this test's; known differences that did not show make it fail."""
    session = item.config.stash[_SESSION]
    test, layer = item.stash.get(_NAME, (item.nodeid, None))
    known = tuple(one for one in session.known if one.test == test)
    recorder = item.stash[_RECORDER] = Recorder(test, layer, session.folder, session.keep, known)
    with recording(recorder):
        result = yield
    stale = [one for one in known if one not in recorder.used] if layer is None else []
    if stale:
        from layerdiff.testing.per_layer import stale_words

        pytest.fail(stale_words(stale[0].layer, stale[0].where), pytrace=False)
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Put what the summary needs into the report, which xdist carries to where the summary is written."""
    report = yield
    recorder = item.stash.get(_RECORDER, None)
    if recorder is not None and report.when == "call":
        report.layerdiff = {"rows": recorder.rows, "known": len(recorder.used)}  # type: ignore[attr-defined]
    return report


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """A line for each comparison that failed, with its layers and the link to its report."""
    reports = [one for group in terminalreporter.stats.values() for one in group if hasattr(one, "layerdiff")]
    rows = [(one.nodeid, row) for one in reports if one.failed for row in one.layerdiff["rows"]]
    accepted = sum(one.layerdiff["known"] for one in reports)
    lost = sorted(set(config.stash[_SESSION].lost))
    if not (rows or accepted or lost):
        return
    from layerdiff.compare.harmless import printable

    terminalreporter.section("layerdiff")
    for nodeid, row in rows[:_SHOWN]:
        terminalreporter.write_line(printable(f"{nodeid}: {row['places']}"))
    if len(rows) > _SHOWN:
        terminalreporter.write_line(f"and {len(rows) - _SHOWN} more")
    links = list(dict.fromkeys(row["link"] for _, row in rows if row["link"]))
    for link in links:
        terminalreporter.write_line(f"report: {printable(link)}")
    if accepted:
        terminalreporter.write_line(f"known differences that were accepted: {accepted}")
    for line in lost:
        terminalreporter.write_line(printable(f"stale: {line}"))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """A known difference of a test that is not there fails the session; a worker tells its controller."""
    mine = session.config.stash[_SESSION]
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["layerdiff_lost"] = mine.lost
    if mine.lost and session.exitstatus in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take over what a worker of xdist found."""
    node.config.stash[_SESSION].lost.extend(getattr(node, "workeroutput", {}).get("layerdiff_lost", ()))


class Comparing:
    """What the fixture `layerdiff` gives: the assertions, and comparisons that are kept like theirs.

    Attributes:
        assert_same_network: see `layerdiff.testing`.
        assert_traces_close: see `layerdiff.testing`.
    """

    @property
    def assert_same_network(self) -> Callable[..., Report]:
        """The assertion of that name in `layerdiff.testing`."""
        from layerdiff.testing import assert_same_network

        return assert_same_network

    @property
    def assert_traces_close(self) -> Callable[..., Report]:
        """The assertion of that name in `layerdiff.testing`."""
        from layerdiff.testing import assert_traces_close

        return assert_traces_close

    def compare(self, actual: Any, expected: Any, x: Any, **options: Any) -> Report:
        """The report on `actual`, whatever its verdict; see `assert_same_network` for what it takes.

        It is kept where all are (`--layerdiff-keep all`).
        """
        from layerdiff.testing.assertions import compared
        from layerdiff.testing.recording import current

        report = compared(actual, expected, x, **options)
        current().filed(report, failed=False)
        return report


@pytest.fixture
def layerdiff() -> Comparing:
    """Networks compared layer by layer: `assert_same_network`, `assert_traces_close`, and `compare` for a report."""
    return Comparing()
