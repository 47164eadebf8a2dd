"""From `--steps`, `--optimizer` and `--step` to the training that candidates are held against."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from layerdiff.candidate.spec import parse_spec
from layerdiff.errors import InputError
from layerdiff.numpy_mover import NumpyMover

if TYPE_CHECKING:
    from layerdiff.compare.steps.mover import Training
    from layerdiff.handwritten.optimisers import Specification

__all__ = ["LARGEST_COUNT", "OPTIMIZER", "asked_training", "check_training", "load_step", "trained"]

LARGEST_COUNT = 1000
"""More steps say nothing that these do not."""

OPTIMIZER = "sgd:lr=0.1,momentum=0.9,weight_decay=1e-4"
"""By which networks are trained unless something else is said: how ResNets are (He et al. 2015, section 3.4)."""


def trained(
    expected: Any,
    steps: int = 3,
    optimizer: str = OPTIMIZER,
    step: Callable[[Any, Any, Any], object] | None = None,
) -> Training:
    """The training of a reference, for `compare_networks(..., training=)`.

    Args:
        expected: a torch network that gives (n, classes); is not changed.
        steps: how many, from 1 to 1000.
        optimizer: name and hyperparameters as torch.optim has them: `adam:lr=1e-3,betas=0.9/0.999`.
        step: moves a candidate in torch once, given the network, images and labels; without it candidates are moved
            by the same optimiser.

    Raises:
        InputError: a network, a count or an optimiser that cannot be used.
    """
    if not hasattr(expected, "named_parameters") or not hasattr(expected, "named_modules"):
        raise InputError(f"trained: cannot be trained, got {type(expected).__name__}, expected a torch network")
    return asked_training(steps, optimizer, lambda: expected, step)


def load_step(spec: str) -> Callable[[Any, Any, Any], object]:
    """Somebody's training step, out of a file or a module.

    Args:
        spec: `FILE.py:FUNCTION` or `module:FUNCTION`.

    Raises:
        InputError: there is no such function, or it cannot be had.
    """
    from layerdiff.candidate.load import load_value

    parsed = parse_spec(spec, option="step")
    if parsed.kind not in {"file", "module"}:
        raise InputError(f"step: cannot be used, got {spec!r}, expected FILE.py:FUNCTION or module:FUNCTION")
    found = load_value(parsed, _unnamed).network
    if not callable(found):
        raise InputError(
            f"step: not a function, got {type(found).__name__} from {spec}, expected one of network, images and labels"
        )
    step: Callable[[Any, Any, Any], object] = found
    return step


def _unnamed(_module: object, file: str) -> tuple[str, str]:
    raise InputError(f"step: names no function, got {file}, expected FILE.py:FUNCTION")


def check_training(count: int, optimizer: str, until: str | None = None) -> Specification:
    """The optimiser that was asked for, once it and the number of steps are known to be usable.

    Raises:
        InputError: one of them is not.
    """
    if not 1 <= count <= LARGEST_COUNT:
        raise InputError(f"steps: got {count}, expected from 1 to {LARGEST_COUNT}")
    if until is not None:
        raise InputError(f"steps: the whole network is trained, got --until {until}", help="leave one of the two out")
    from layerdiff.handwritten.optimisers import by_name

    try:
        return by_name(optimizer)
    except ValueError as error:
        notes = [note.removeprefix("help: ") for note in getattr(error, "__notes__", ())]
        raise InputError(str(error).replace("by_name", "optimizer"), help=notes[0] if notes else None) from None


def asked_training(count: int, optimizer: str, network: Callable[[], Any], step: Any | None) -> Training:
    """The training of a reference, `count` steps by `optimizer`.

    Args:
        count: of the steps, at least 1.
        optimizer: such as `sgd:lr=0.1,momentum=0.9`, see `handwritten.optimisers.by_name`.
        network: gives the reference, in torch.
        step: somebody's own training step for candidates in torch: moves a network on images and labels.

    Raises:
        InputError: a count or an optimiser that cannot be used.
    """
    from layerdiff.compare.steps.mover import Training

    found = check_training(count, optimizer)
    return Training(
        optimizer=optimizer,
        name=found.name,
        values=dict(found.values),
        count=count,
        network=network,
        numpy=lambda one: NumpyMover(one, optimizer),
        step=step,
    )
