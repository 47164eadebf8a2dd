"""A picture in the form in which somebody's function takes it: a PIL image, a path, or an array."""

from __future__ import annotations

import inspect
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from layerdiff.errors import InputError
from layerdiff.saved_input import as_array

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from layerdiff.candidate.home import Home
    from layerdiff.reference import Picture
    from layerdiff.subject import Subject

__all__ = ["prepared", "watched_call"]

_PATHS = {"path", "file", "filename", "fname", "filepath", "file_path", "file_name", "image_path", "img_path"}
_ARRAYS = {"array", "arr", "np_image", "np_img", "image_array", "ndarray", "bgr", "rgb"}
_PICTURES = {"pil", "pil_image", "pil_img"}

Kind = str
_KINDS: tuple[Kind, ...] = ("a PIL image", "a path", "an array")


def prepared(
    function: Callable[[Any], Any], place: str, home: Home | None, subject: Subject, files: Sequence[Path]
) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """What somebody's function gives for each picture, (n, 3, h, w), and notes.

    The form in which it takes a picture is what its parameter's annotation or name says. Where they say nothing, a PIL
    image, a path and an array are tried in this order, and a note says which it was.

    Args:
        function: of one argument.
        place: its name, for errors.
        home: where its code lives; None where it was handed over, and runs unwatched.
        subject: whose pictures.
        files: where these come from; none for the picture that is built in.

    Raises:
        InputError: it raises for every form, or gives no tensor, or tensors that do not go together.
    """
    import numpy as np

    from layerdiff.compare.preprocessing import as_nchw

    kinds, samples, notes = _kinds(function), [], list[str]()
    with tempfile.TemporaryDirectory() as folder:
        for i, picture in enumerate(subject.pictures):
            path = files[i] if files else Path(folder, "picture.png")
            if not files:
                picture.image.save(path)
            forms = _forms(picture, path)

            def call(forms: Mapping[Kind, Callable[[], Any]] = forms, kinds: Sequence[Kind] = kinds) -> Any:
                return _first_that_runs(function, forms, kinds, place, home)

            (value, kind, again), said = watched_call(call, place, home)
            notes += said
            if len(_kinds(function)) > 1:
                notes.append(f"{place}: it was given {kind}")
            if not again:
                notes.append(f"{place}: gives something else when it is called again: it draws random numbers")
            # The next picture in the same form.
            kinds = (kind,)
            sample, read = as_nchw(value, subject.x.shape, place)
            samples.append(sample)
            notes += [f"{place}: {note}" for note in read if note != "a batch axis was added"]
    shapes = list(dict.fromkeys(sample.shape for sample in samples))
    if len(shapes) > 1:
        raise InputError(
            f"{place}: gives shapes that do not go together, got {shapes[:3]}, expected one for all pictures"
        )
    return np.concatenate(samples), tuple(dict.fromkeys(notes))


def _forms(picture: Picture, path: Path) -> dict[Kind, Callable[[], Any]]:
    import numpy as np

    return {
        "a PIL image": picture.image.copy,
        "a path": lambda: str(path),
        "an array": lambda: np.array(picture.image),
    }


def _kinds(function: Callable[[Any], Any]) -> tuple[Kind, ...]:
    """What it takes, as its parameter's annotation or name says; else all, in the order in which they are tried."""
    try:
        parameter = next(iter(inspect.signature(function).parameters.values()))
    except (TypeError, ValueError, StopIteration):
        return _KINDS
    noted = parameter.annotation
    text = "" if noted is parameter.empty else noted if isinstance(noted, str) else f"{noted!r}"
    name = parameter.name.lower()
    if "ndarray" in text.lower():
        return ("an array",)
    if "Image" in text:
        return ("a PIL image",)
    if "Path" in text or text in {"str", "<class 'str'>"} or "str |" in text:
        return ("a path",)
    for kind, names in zip(_KINDS, (_PICTURES, _PATHS, _ARRAYS), strict=True):
        if name in names:
            return (kind,)
    return _KINDS


def _first_that_runs(
    function: Callable[[Any], Any],
    forms: Mapping[Kind, Callable[[], Any]],
    kinds: Sequence[Kind],
    place: str,
    home: Home | None,
) -> tuple[NDArray[Any], Kind, bool]:
    """What it gives for the first form of the picture that it takes, which that is, and whether it gives it again."""
    import numpy as np

    from layerdiff.candidate.blame import first_line, is_own_failure, source_note
    from layerdiff.candidate.home import Home

    raised, notes = list[str](), list[str]()
    for kind in kinds:
        try:
            value, second = (function(forms[kind]()) for _ in range(2))
        except Exception as error:
            if not is_own_failure(error):
                raise
            raised.append(f"given {kind}, it raises {type(error).__name__}: {first_line(error)}")
            notes += source_note(error, home or Home(None)) if len(kinds) == 1 else []
            continue
        array = np.array(as_array(value, place))
        return array, kind, np.array_equal(array, np.array(as_array(second, place)), equal_nan=array.dtype.kind == "f")
    if len(kinds) == 1:
        raise InputError(f"{place}: cannot prepare the picture: {raised[0]}", notes=notes)
    raise InputError(
        f"{place}: cannot prepare the picture, got an exception for every form of it, expected a tensor",
        notes=raised,
        help="annotate the argument: Image.Image, str or np.ndarray (h, w, 3)",
    )


def watched_call(call: Callable[[], Any], place: str, home: Home | None) -> tuple[Any, tuple[str, ...]]:
    """What a call of somebody's code gives, and notes of what else it did."""
    from layerdiff.candidate.guard import foreign

    if home is None:
        return call(), ()
    with foreign(place, "preprocessing", home=home, seed=0) as watched:
        value = call()
    return value, watched.notes
