"""Where a candidate lives: its folder on Python's path, and the neighbours that it imports from there."""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

__all__ = ["PRIVATE", "Home"]

PRIVATE = "_layerdiff_candidate_"
"""How the names begin under which candidates' files are kept in `sys.modules`."""

_entered: list[Home] = []
"""Homes whose neighbours may be in `sys.modules`, which is one for the whole process, and so is this."""


class Home:
    """The folder of a candidate, and what it imported from there.

    Two candidates may each have a `utils.py`. While one's code runs, only its own neighbours can be imported; they
    stay importable until another home is entered, so that pickle finds their classes.

    Attributes:
        folder: absolute; None for nowhere.
        neighbours: modules imported from there, by name.
        path_changed: whether its code changed `sys.path`; what it added is in force whenever it runs.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self.neighbours: dict[str, ModuleType] = {}
        self.path_changed = False
        self._front: list[str] = [] if folder is None else [str(folder)]
        self._back: list[str] = []

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """The home's folder first on `sys.path` and its neighbours importable; `sys.path` is restored."""
        self._take_over()
        path, modules = list(sys.path), set(sys.modules)
        given = [*self._front, *path, *self._back]
        sys.path[:] = given
        importlib.invalidate_caches()
        self.path_changed = False
        try:
            yield
        finally:
            if sys.path != given:
                self.path_changed = True
                self._learn(path)
            sys.path[:] = path
            self._keep(modules)

    def holds(self, file: str) -> bool:
        """Whether a file lies in this folder, and is not one of a library installed below it."""
        if self.folder is None:
            return False
        path = Path(file)
        return path.is_relative_to(self.folder) and not {"site-packages", "dist-packages"} & set(path.parts)

    def _take_over(self) -> None:
        for other in _entered:
            if other is not self:
                for name in other._installed():
                    del sys.modules[name]
        if self not in _entered:
            _entered.append(self)
        sys.modules.update(self.neighbours)

    def _installed(self) -> list[str]:
        return [name for name, module in self.neighbours.items() if sys.modules.get(name) is module]

    def _learn(self, path: list[str]) -> None:
        known = set(path)
        first = next((i for i, entry in enumerate(sys.path) if entry in known), len(sys.path))
        self._front = sys.path[:first]
        self._back = [entry for entry in sys.path[first:] if entry not in known]

    def _keep(self, before: set[str]) -> None:
        folders = {Path(entry).resolve() for entry in (*self._front, *self._back)}
        if self.folder is not None:
            folders.add(self.folder)
        new = [name for name in sys.modules if name not in before and not name.startswith(PRIVATE)]
        tops = {name.partition(".")[0] for name in new}
        near = {top for top in tops if _folders_of(sys.modules.get(top)) & folders}
        self.neighbours.update({name: sys.modules[name] for name in new if name.partition(".")[0] in near})


def _folders_of(module: ModuleType | None) -> set[Path]:
    """The entries of `sys.path` by which a module or package of the top level may have been found."""
    packages = getattr(module, "__path__", None)
    if packages is not None:
        return {Path(str(package)).resolve().parent for package in packages}
    file = getattr(module, "__file__", None)
    return {Path(file).resolve().parent} if isinstance(file, str) else set()
