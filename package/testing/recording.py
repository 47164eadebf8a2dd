"""What one test compared: what is accepted in it, where its reports go, and what the summary says of it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from layerdiff.compare.result import Report
    from layerdiff.testing.differences import Difference
    from layerdiff.testing.known import Known

__all__ = ["Keep", "Recorder", "current", "recording"]

Keep = Literal["failed", "all", "none"]


@dataclass
class Recorder:
    """What happens in one test; a comparison outside of any test has one that keeps and accepts nothing.

    Attributes:
        test: the node id that reports and known differences go by; of a per-layer test without the layer.
        layer: of a per-layer test.
        folder: where reports go; None for nowhere.
        keep: which of them.
        known: the differences that are accepted in this test.
        used: those of them that were met.
        compared: how many comparisons there were.
        rows: for the summary: the places and codes that a comparison failed for, and the link to its report.
    """

    test: str = ""
    layer: str | None = None
    folder: Path | None = None
    keep: Keep = "failed"
    known: Sequence[Known] = ()
    used: set[Known] = field(default_factory=set)
    compared: int = 0
    rows: list[dict[str, str]] = field(default_factory=list)

    def accepts(self, one: Difference) -> Known | None:
        """The entry by which a difference is accepted; it is noted that it was met."""
        for entry in self.known:
            if entry.layer == one.place and (not entry.code or entry.code in one.codes):
                self.used.add(entry)
                return entry
        return None

    def filed(self, report: Report, *, failed: bool) -> str:
        """Write the report where it is to be kept; its link, empty for none."""
        self.compared += 1
        if self.folder is None:
            return ""
        from layerdiff.testing.files import cleared, written

        if self.compared == 1:
            cleared(self.folder, self.test)
        if self.keep == "none" or (self.keep == "failed" and not failed):
            return ""
        return written(report, self.folder, self.test, self.compared)

    def failed_for(self, found: Sequence[Difference], link: str) -> None:
        """Note for the summary what a comparison failed for."""
        places = ", ".join(" ".join([one.place, *one.codes]) for one in found[:4])
        more = f" and {len(found) - 4} more" if len(found) > 4 else ""
        self.rows.append({"places": places + more, "link": link})


_recorders: list[Recorder] = []


def current() -> Recorder:
    """The recorder of the test that runs now."""
    return _recorders[-1] if _recorders else Recorder()


@contextlib.contextmanager
def recording(recorder: Recorder) -> Iterator[Recorder]:
    """Comparisons inside are this recorder's."""
    _recorders.append(recorder)
    try:
        yield recorder
    finally:
        _recorders.remove(recorder)
