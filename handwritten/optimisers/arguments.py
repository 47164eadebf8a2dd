"""What an optimiser is given, checked: parameters, a weight decay for each, gradients."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from layerdiff.handwritten._checks import refusal
from layerdiff.handwritten.numpy_ops._arrays import Array

__all__ = ["NonFiniteGradientError", "check_gradients", "named", "one_each"]


class NonFiniteGradientError(ValueError):
    """A gradient holds NaN or an infinity, and nothing has moved: the training has gone astray.

    Attributes:
        names: of the parameters with such a gradient.
    """

    def __init__(self, message: str, names: tuple[str, ...]) -> None:
        super().__init__(message)
        self.names = names


def named(where: str, parameters: Iterable[Array | tuple[str, Array]]) -> list[tuple[str, Array]]:
    """Each parameter with its name, or with its number where it has none.

    Raises:
        ValueError: there are none, or some cannot be updated in place, come twice or share a name; the error names all.
    """
    pairs = [entry if isinstance(entry, tuple) else (str(number), entry) for number, entry in enumerate(parameters)]
    if not pairs:
        raise refusal(
            f"{where}: nothing to optimise, got no parameters, expected at least one array",
            help="an iterator is empty once it has been read: pass network.named_parameters() itself",
        )
    problems = [f"{name} {why}" for name, array in pairs if (why := _unusable(array))]
    names, arrays = Counter(name for name, _ in pairs), Counter(id(array) for _, array in pairs)
    problems += [f"{name} is the name of {count}" for name, count in names.items() if count > 1]
    problems += [f"{name} is an array that comes twice" for name, array in pairs if arrays[id(array)] > 1]
    if problems:
        raise refusal(
            f"{where}: unusable parameters, got {', '.join(problems)}, "
            "expected writeable floating arrays, each once and under a name of its own",
            help="parameters are updated in place; one that a network uses twice is given once",
        )
    return pairs


def _unusable(array: Array) -> str:
    if not isinstance(array, np.ndarray):
        return f"is a {type(array).__name__}"
    if not np.issubdtype(array.dtype, np.floating):
        return f"is {array.dtype}"
    return "" if array.flags.writeable else "is read-only"


def one_each(where: str, weight_decay: float | tuple[float, ...], count: int) -> tuple[float, ...]:
    """A weight decay for each of `count` parameters.

    Raises:
        ValueError: there is another number of them.
    """
    decays = weight_decay if isinstance(weight_decay, tuple) else (weight_decay,) * count
    if len(decays) != count:
        raise refusal(
            f"{where}: wrong number of weight decays, got {len(decays)}, expected {count} as there are parameters",
            help="a single number serves all of them",
        )
    return decays


def _not_finite(gradient: Array) -> int:
    """How many values are NaN or infinite; a sum that is finite says that none are, and is made faster than a count."""
    with np.errstate(over="ignore", invalid="ignore"):
        return 0 if np.isfinite(gradient.sum()) else int(gradient.size - np.isfinite(gradient).sum())


def check_gradients(where: str, names: Sequence[str], parameters: Sequence[Array], gradients: Sequence[Array]) -> None:
    """Refuses gradients that do not fit their parameters, or are not finite.

    Raises:
        ValueError: their number, shapes or dtypes; the error names all parameters at fault.
        NonFiniteGradientError: some hold NaN or an infinity; the error names all of them.
    """
    if len(gradients) != len(parameters):
        raise refusal(
            f"{where}: wrong number of gradients, got {len(gradients)}, expected {len(parameters)} as there are "
            "parameters",
            help="ask the tape for tape.gradients(loss, optimiser.parameters)",
        )
    pairs = list(zip(names, parameters, gradients, strict=True))
    unfit = [
        (name, parameter, gradient)
        for name, parameter, gradient in pairs
        if (parameter.shape, parameter.dtype) != (gradient.shape, gradient.dtype)
    ]
    if unfit:
        got = ", ".join(f"{name} {gradient.shape} {gradient.dtype}" for name, _, gradient in unfit)
        expected = ", ".join(f"{parameter.shape} {parameter.dtype}" for _, parameter, _ in unfit)
        raise refusal(
            f"{where}: gradients that do not fit, got {got}, expected {expected}",
            help="gradients come in the order of the parameters, each with its parameter's shape and dtype",
        )
    astray = {name: _not_finite(gradient) for name, _, gradient in pairs}
    astray = {name: count for name, count in astray.items() if count}
    if astray:
        got = ", ".join(f"{name} ({count} of its values)" for name, count in astray.items())
        error = NonFiniteGradientError(
            f"{where}: NaN or infinity in a gradient, got {got}, expected finite numbers", tuple(astray)
        )
        error.add_note("help: nothing has moved; the learning rate may be too large, or an input not finite")
        raise error
