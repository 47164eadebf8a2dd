"""A candidate's code, imported: from a file by its path, or as a module by its name."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import itertools
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import NoReturn

from layerdiff.candidate.blame import first_line, is_own_failure, shown, source_note
from layerdiff.candidate.home import PRIVATE, Home
from layerdiff.errors import InputError

__all__ = ["import_file", "import_module", "read_source"]

_count = itertools.count()


def read_source(target: str) -> tuple[Path, bytes]:
    """The absolute path of a Python file, and its bytes.

    Raises:
        InputError: it is not there, not a file, cannot be read, or is not text.
    """
    path = Path(target).expanduser()
    if not path.exists():
        near = difflib.get_close_matches(path.name, _python_files(path.parent), n=1)
        raise InputError(
            f"{target}: no such file, expected a Python file",
            help=f"did you mean {path.parent / near[0]}?" if near else None,
        )
    if not path.is_file():
        raise InputError(f"{target}: not a file, got {'a folder' if path.is_dir() else 'a device'}, expected Python")
    try:
        content = path.read_bytes()
        text = importlib.util.decode_source(content)
    except OSError as error:
        raise InputError(f"{target}: cannot be read, got {error.strerror}") from None
    except (UnicodeDecodeError, SyntaxError) as error:
        raise InputError(f"{target}: not Python, got {first_line(error)}, expected text") from None
    if "\0" in text:
        raise InputError(f"{target}: not Python, got binary data, expected text")
    return path.resolve(), content


def _python_files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.py")) if folder.is_dir() else []


def import_file(path: Path, content: bytes, place: str, home: Home) -> ModuleType:
    """The module in a file, under a name of its own in `sys.modules`, where pickle and dataclasses look for it.

    Raises:
        InputError: it does not compile, or raises.
    """
    stem = re.sub(r"\W", "_", path.stem)
    name = f"{PRIVATE}{next(_count)}_{stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        # From the bytes that were hashed, not by the loader: that would leave a __pycache__ beside the file.
        exec(compile(content, str(path), "exec", dont_inherit=True), module.__dict__)
    except BaseException as error:
        sys.modules.pop(name, None)
        _raise_explained(error, place, home)
    return module


def import_module(name: str, home: Home) -> ModuleType:
    """A module by its name, from the current folder or from what is installed.

    Raises:
        InputError: there is none, or it does not import.
    """
    try:
        return importlib.import_module(name)
    except BaseException as error:
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing and f"{name}.".startswith(f"{missing}."):
            raise InputError(
                f"{name}: no such module, got no {missing!r} in the current folder or among what is installed",
                help="run from the folder that holds it, or give the file: path/to/file.py:NAME",
            ) from error
        _raise_explained(error, name, home)


def _raise_explained(error: BaseException, place: str, home: Home) -> NoReturn:
    """Raise what the user is to read; what is not the import's own failure passes as it is."""
    if not isinstance(error, Exception) or not is_own_failure(error):
        raise error
    raise _explained(error, place, home) from error


def _explained(error: Exception, place: str, home: Home) -> InputError:
    said = f"{type(error).__name__}: {first_line(error)}"
    if isinstance(error, SyntaxError):
        file = shown(error.filename) if error.filename else place
        line = f"{file}:{error.lineno}"
        text = (error.text or "").strip()
        return InputError(
            f"{place}: does not import, got {type(error).__name__}: {error.msg} at {line}, expected Python",
            notes=[f"{line}: {text}"] if text else [],
        )
    notes = source_note(error, home)
    if isinstance(error, ModuleNotFoundError) and error.name:
        return InputError(
            f"{place}: does not import, got no module {error.name!r}, expected it to be installed or beside the file",
            notes=notes,
            help=_advice(error.name.partition(".")[0], home),
        )
    if isinstance(error, ImportError) and "relative import" in str(error):
        return InputError(f"{place}: does not import, got {said}", notes=notes, help=_as_module(place, home))
    return InputError(f"{place}: does not import, got {said}", notes=notes)


def _advice(top: str, home: Home) -> str:
    folder = home.folder
    for above in () if folder is None else folder.parents:
        if (above / top).is_dir() or (above / f"{top}.py").is_file():
            return f"it is in {above}: put that on the path with PYTHONPATH={above}"
    return f"python -m pip install {top}, if that is its name; or run with PYTHONPATH set to the folder that holds it"


def _as_module(place: str, home: Home) -> str:
    if home.folder is None:
        return "give it as a module"
    parts = [home.folder.name, Path(place).stem]
    above = home.folder.parent
    while (above / "__init__.py").is_file():
        parts.insert(0, above.name)
        above = above.parent
    return f"a file of a package is given as a module: run in {above} with {'.'.join(parts)}:NAME"
