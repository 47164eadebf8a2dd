"""The candidate's own preprocessing: loaded, given the pictures, and judged before any layer."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath
from types import ModuleType
from typing import TYPE_CHECKING, Any

from layerdiff.candidate.spec import parse_spec
from layerdiff.errors import InputError
from layerdiff.picture_forms import prepared, watched_call
from layerdiff.saved_input import SUFFIXES, as_array, read_input

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from layerdiff.candidate.home import Home
    from layerdiff.compare.finding import Finding
    from layerdiff.compare.result import InputResult, Report
    from layerdiff.subject import Subject

__all__ = ["OwnInput", "Preparation", "is_code", "judge_preparation", "load_preparation", "with_input"]

_FORMS = "FILE.py:FUNCTION, module:FUNCTION, or a saved input: " + ", ".join(SUFFIXES)
_NAMES = ("preprocess", "transform", "prepare", "load_image", "get_transform", "make_transform", "build_transform")


@dataclass(frozen=True)
class Preparation:
    """A preprocessing, ready to be used.

    Attributes:
        name: what it is, in words.
        facts: its file's hash and the like.
        notes: how it was loaded.
        function: takes a picture in some form; None where the input itself is there.
        array: the input; None where a function makes it.
        home: where its code lives; None where it was handed over.
    """

    name: str
    facts: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    function: Callable[[Any], Any] | None = field(default=None, repr=False)
    array: NDArray[Any] | None = field(default=None, repr=False)
    home: Home | None = field(default=None, repr=False)


@dataclass(frozen=True)
class OwnInput:
    """What a preparation gives: the comparison, the causes of a difference, and what must be said."""

    result: InputResult
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]


def is_code(named: str | None) -> bool:
    """Whether what was named is somebody's code, which must be watched when it runs."""
    return named is not None and PurePath(named).suffix.lower() not in SUFFIXES


def load_preparation(given: Any) -> Preparation:
    """The preprocessing that was named or handed over; somebody's code is imported.

    Args:
        given: `FILE.py:FUNCTION`, `module:FUNCTION`, a file with an input, a function, or an array.

    Raises:
        InputError: there is no such thing, or it is none of these.
    """
    if isinstance(given, PurePath):
        given = str(given)
    if isinstance(given, str) and not is_code(given):
        path = Path(given).expanduser()
        array = read_input(path)
        return Preparation(given, {"preprocess_sha256": hashlib.sha256(path.read_bytes()).hexdigest()}, array=array)
    if isinstance(given, str):
        return _code(given)
    if callable(given) and not hasattr(given, "shape"):
        name = getattr(given, "__name__", type(given).__name__)
        return Preparation(name, function=_one_argument(given, name))
    return Preparation(f"a {type(given).__name__}", array=as_array(given, "preprocess"))


def _code(named: str) -> Preparation:
    from layerdiff.candidate.load import load_value

    try:
        spec = parse_spec(named, option="preprocess")
    except InputError as error:
        if ".py:" in named:
            raise
        raise InputError(f"preprocess: cannot be used, got {named!r}, expected {_FORMS}") from error
    if spec.kind not in {"file", "module"}:
        raise InputError(f"preprocess: cannot be used, got {named!r}, expected {_FORMS}")
    loaded = load_value(spec, _pick)
    facts = {"preprocess_sha256": loaded.sha256} if loaded.sha256 else {}
    facts |= {f"preprocess_imports {path}": digest for path, digest in loaded.imported.items()}
    function, notes = loaded.network, list(loaded.notes)
    if callable(function) and _takes(function, 0) and not _takes(function, 1):
        function = _run(loaded.network, loaded.name, loaded.home)
        notes.append(f"{loaded.name}: takes no argument, so it was called, and what it gave prepares the picture")
    return Preparation(loaded.name, facts, tuple(notes), _one_argument(function, loaded.name), home=loaded.home)


def _pick(module: ModuleType, target: str) -> tuple[str, str]:
    from layerdiff.candidate.contents import listing

    found = [name for name in _NAMES if callable(getattr(module, name, None))]
    if len(found) != 1:
        got = f"{len(found)} that could be it: {', '.join(found)}" if found else "none"
        raise InputError(
            f"{target}: which function prepares the picture is not said, got {got}, expected one",
            notes=listing(module),
            help=f"say which, such as {target}:{found[0] if found else 'preprocess'}",
        )
    return found[0], f"took {found[0]} for its name"


def _one_argument(function: Any, place: str) -> Callable[[Any], Any]:
    if not callable(function):
        raise InputError(
            f"{place}: cannot be called, got a {type(function).__name__}, "
            "expected a function from a picture to a tensor"
        )
    if not _takes(function, 1):
        raise InputError(
            f"{place}: wrong arguments, got {_signature(function)}, expected a function of one: the picture",
            help="give the others defaults, or write a function of one argument around it",
        )
    found: Callable[[Any], Any] = function
    return found


def _takes(function: Any, count: int) -> bool:
    try:
        inspect.signature(function).bind(*[None] * count)
    except TypeError:
        return False
    except ValueError:
        return count == 1
    return True


def _signature(function: Any) -> str:
    from layerdiff.candidate.contents import signature_of

    return signature_of(function)


def judge_preparation(preparation: Preparation, subject: Subject, files: Sequence[Path]) -> OwnInput:
    """Whether what a preparation gives for the subject's pictures is the subject's input.

    Args:
        preparation: a function is called once for each picture, an array is taken as it is.
        subject: pictures and the expected input.
        files: where the pictures come from; none for the picture that is built in.

    Raises:
        InputError: it raises, or gives something that is no input.
    """
    import numpy as np

    from layerdiff.compare.preprocessing import judge_input

    array, notes = preparation.array, tuple[str, ...]()
    if array is None and preparation.function is not None:
        array, notes = prepared(preparation.function, preparation.name, preparation.home, subject, files)
    pictures = [np.asarray(picture.image) for picture in subject.pictures]
    assert array is not None
    result, findings = judge_input(subject.x, array, pictures, subject.record, source=preparation.name)
    return OwnInput(result, findings, notes)


def with_input(report: Report, own: OwnInput) -> Report:
    """The report with the input's part, its verdict settled again."""
    from layerdiff.compare.verdict import settle

    found = replace(report, input=own.result, findings=(*own.findings, *report.findings))
    return settle(found, scale=report.scale)


def _run(call: Callable[[], Any], place: str, home: Home) -> Any:
    from layerdiff.candidate.blame import first_line, is_own_failure, source_note

    try:
        return watched_call(call, place, home)[0]
    except Exception as error:
        if not is_own_failure(error):
            raise
        raise InputError(
            f"{place}: cannot be built, got {type(error).__name__}: {first_line(error)}", notes=source_note(error, home)
        ) from error
