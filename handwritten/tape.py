"""Automatic differentiation: what ran is written down, and read backwards by the chain rule.

A variable is any array: the tape knows it by its identity, so a network of plain arrays and functions is differentiated
as it stands, and a block whose input goes two ways needs nothing special: its gradients are added.

    with Tape() as tape:
        loss = ops.cross_entropy(network(x), labels)
    gradients = tape.gradients(loss, network.parameters())

Source: Griewank & Walther, "Evaluating Derivatives", 2008, chapter 3 (reverse mode).
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar, Token
from dataclasses import dataclass
from typing import Any, ParamSpec, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from layerdiff.handwritten._checks import refusal

__all__ = ["Record", "Tape", "differentiable"]

Array = NDArray[np.floating[Any]]
Gradients = tuple[Array | None, ...]
P = ParamSpec("P")
R = TypeVar("R")

_recording: ContextVar[Tape | None] = ContextVar("recording", default=None)


@dataclass(frozen=True, eq=False)
class Record:
    """An operation that ran.

    Attributes:
        name: of the function.
        inputs: the arrays it took, in the order of its arguments.
        output: what it gave; of several results the first.
        pull_back: takes the gradient of the output, gives those of the inputs; None where there is none.
    """

    name: str
    inputs: tuple[Array, ...]
    output: Array
    pull_back: Callable[[Array], Gradients]


class Tape:
    """Writes down every differentiable operation that runs within its `with`, in this thread.

    Attributes:
        records: the operations, in the order they ran.
    """

    def __init__(self) -> None:
        self.records: list[Record] = []
        self._tokens: list[Token[Tape | None]] = []

    def __enter__(self) -> Self:
        self._tokens.append(_recording.set(self))
        return self

    def __exit__(self, *_: object) -> None:
        _recording.reset(self._tokens.pop())

    def gradients(
        self, output: Array, of: Sequence[Array], covector: Array | None = None, *, keep: bool = True
    ) -> list[Array]:
        """The gradients of `sum(covector * output)` with respect to arrays that took part in it.

        Args:
            output: what an operation on this tape gave.
            of: inputs, weights or what operations between them gave, each the very array that took part.
            covector: shape and dtype of `output`; 1 unless given, if `output` is a single number.
            keep: whether the tape can be read again. Without, it is empty afterwards, and what the network computed is
                given back on the way, for the gradients to lie where it lay.

        Returns:
            One array for each of `of`, of its shape and dtype.

        Raises:
            ValueError: `output` is not on the tape, its covector does not fit, or nothing on the tape leads from one
                of `of` to it; all of these are named.
        """
        sums: dict[int, Array] = {id(output): self._seed(output, covector)}
        wanted = {id(array) for array in of}
        for record in reversed(self.records) if keep else self._taken():
            key = id(record.output)
            if key not in sums:
                continue
            gradient = sums[key] if key in wanted else sums.pop(key)
            for array, part in zip(record.inputs, record.pull_back(gradient), strict=True):
                if part is not None:
                    before = sums.get(id(array))
                    sums[id(array)] = part if before is None else before + part
        lost = [f"of[{number}] {array.shape}" for number, array in enumerate(of) if id(array) not in sums]
        if lost:
            raise refusal(
                f"Tape.gradients: nothing on the tape leads to the output, got {', '.join(lost)}, "
                "expected arrays that took part in it",
                help="ask for the very array that went in: a copy, a slice or a reshaped view is another one",
            )
        return [sums[id(array)] for array in of]

    def _taken(self) -> Iterator[Record]:
        """The records from the last to the first, each off the tape as it is read."""
        while self.records:
            yield self.records.pop()

    def _seed(self, output: Array, covector: Array | None) -> Array:
        if not any(record.output is output for record in self.records):
            raise refusal(
                f"Tape.gradients: the output is not on the tape, got an array of shape {output.shape}, "
                "expected what an operation gave within the tape's `with`",
                help="operations of numpy_ops are written down, NumPy's own are not",
            )
        if covector is None and output.size == 1:
            return np.ones_like(output)
        if covector is None or covector.shape != output.shape or covector.dtype != output.dtype:
            got = "none" if covector is None else f"{covector.shape} {covector.dtype}"
            raise refusal(
                f"Tape.gradients: unusable covector, got {got}, expected {output.shape} {output.dtype} as the output",
                help="a loss is a single number and needs none",
            )
        return covector


def differentiable(vjp: Callable[..., Gradients]) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Gives an operation its vector-Jacobian product, by which a tape goes back through it.

    Args:
        vjp: called as `vjp(grad, y, *arguments)` with the gradient of the first result, that result, and the
            operation's own arguments; gives one gradient for each argument that is a floating array, in their order.

    Returns:
        A decorator. Without a tape the operation runs as it is; operations within it are not written down apart.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(function)

        @functools.wraps(function)
        def run(*args: P.args, **kwargs: P.kwargs) -> R:
            tape = _recording.get()
            if tape is None:
                return function(*args, **kwargs)
            token = _recording.set(None)
            try:
                result = function(*args, **kwargs)
            finally:
                _recording.reset(token)
            given = signature.bind(*args, **kwargs)
            inputs = tuple(value for value in given.arguments.values() if _is_variable(value))
            output: Any = result[0] if isinstance(result, tuple) else result
            # What is handed through unchanged is the same variable, and its gradient is there already.
            if all(output is not array for array in inputs):
                pull_back = functools.partial(_pulled, vjp, output, given)
                tape.records.append(Record(function.__name__, inputs, output, pull_back))
            return result

        return run

    return decorate


def _pulled(vjp: Callable[..., Gradients], output: Array, given: inspect.BoundArguments, gradient: Array) -> Gradients:
    token = _recording.set(None)
    try:
        return vjp(gradient, output, *given.args, **given.kwargs)
    finally:
        _recording.reset(token)


def _is_variable(value: object) -> bool:
    return isinstance(value, np.ndarray) and bool(np.issubdtype(value.dtype, np.floating))
