"""The expected side of a run: torchvision's network, or one that was named or handed over, and its weights."""

from __future__ import annotations

import contextlib
import functools
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from layerdiff.candidate.guard import Watched
from layerdiff.candidates import Candidate, guess_architecture, load_candidate
from layerdiff.environment import subject_facts
from layerdiff.errors import InputError
from layerdiff.subject import Subject, capture_expected, load_subject

if TYPE_CHECKING:
    from layerdiff.compare.modes import Mode
    from layerdiff.compare.trace import Array, Trace
    from layerdiff.compare.transfer import Transfer

__all__ = ["Asked", "Reference", "referred"]

_SIZE = (224, 224)


@dataclass(frozen=True)
class Asked:
    """What was asked of the expected side.

    Attributes:
        weights: whose weights it gets.
        keep: whether a network that is not torchvision's keeps its own.
        images: photos; a cat for none.
        size: height and width to crop them to.
        batch: how many at once.
        until: capture only this part.
    """

    weights: str = "auto"
    keep: bool = False
    images: Sequence[Path] = ()
    size: tuple[int, int] | None = None
    batch: int | None = None
    until: str | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Of an input of one picture."""
        return (1, 3, *(self.size or _SIZE))

    def subject(self, expected: str) -> Subject:
        """Weights, pictures and input for `torchvision:NAME`."""
        return load_subject(expected, self.weights, self.images, self.size, self.batch)


@dataclass(frozen=True)
class Reference:
    """The expected side of a run: captured, with what it takes to give its weights to another.

    Attributes:
        trace: of its forward pass.
        weights: its tensors, by name.
        subject: pictures, their input, and the weights as they were asked for.
        facts: all that is needed to repeat it.
        watched: what is seen of its code, where that is not torchvision's; complete after the block.
        notes: what must be said first.
        again: captures it once more, in the mode that is given; within the block.
        network: gives it, with its weights, to be copied; within the block.
    """

    trace: Trace
    weights: Mapping[str, Array] = field(repr=False)
    subject: Subject
    facts: Mapping[str, str]
    watched: Watched = field(default_factory=Watched)
    notes: tuple[str, ...] = ()
    again: Callable[[Mode], Trace] | None = field(default=None, repr=False)
    network: Callable[[], Any] | None = field(default=None, repr=False)


@contextlib.contextmanager
def referred(expected: str | Any | None, candidates: Sequence[Candidate], asked: Asked) -> Iterator[Reference]:
    """A block in which the expected network is there, with its weights.

    A network that is not torchvision's gets the weights of the torchvision network it is most like, if it takes all
    of them: a network fresh from its constructor hides bugs. Else it keeps its own. Afterwards it is as it was.

    Args:
        expected: `torchvision:NAME`, a network named or handed over, or None for what the first candidate is most
            like.
        candidates: what will be judged.
        asked: the rest.

    Raises:
        InputError: any of it cannot be had.
    """
    note = ""
    if expected is None:
        architecture, note = guess_architecture(candidates, asked.shape)
        expected = f"torchvision:{architecture}"
    if isinstance(expected, str) and expected.startswith("torchvision:"):
        subject = asked.subject(expected)
        trace = capture_expected(subject, until=asked.until)
        notes = (*([note] if note else []), *subject.notes)
        again = functools.partial(_again, subject, asked.until)
        network = functools.partial(_torchvision, subject)
        facts = subject_facts(subject)
        yield Reference(trace, subject.weights.state, subject, facts, notes=notes, again=again, network=network)
        return
    found = load_candidate(expected, option="expected")
    if found.kind != "network":
        raise InputError(
            f"expected: cannot be judged against, got {expected!r}, expected torchvision:NAME or a network's code",
            help="FILE.py:CALL or module:CALL name a network that can be run layer by layer",
        )
    with found.at_work("judgement") as watched, _foreign(found, asked, watched) as reference:
        yield reference


@contextlib.contextmanager
def _foreign(found: Candidate, asked: Asked, watched: Watched) -> Iterator[Reference]:
    from layerdiff.compare.capture import capture
    from layerdiff.compare.foreign import in_eval_mode
    from layerdiff.compare.judging import tensors_of
    from layerdiff.compare.modes import in_mode
    from layerdiff.compare.transfer import transferred

    with in_eval_mode(found.network), contextlib.ExitStack() as stack:
        said: tuple[str, ...] = ()
        subject, transfer = _weights_for(found, asked)
        facts = {**subject_facts(subject), **dict(found.facts)}
        if transfer is None:
            own, note = "its own weights", f"expected: {found.name} keeps the weights it was built with"
            facts |= {
                "architecture": found.name,
                "weights": f"those {found.name} was built with",
                "weights_sha256": _hash(found.network),
            }
        else:
            stack.enter_context(transferred(transfer, subject.weights.state, tensors_of(found.network)))
            own = f"weights {subject.weights.source}"
            note = f"expected: {found.name} with the weights of {subject.architecture}, {subject.weights.source}"
            said = subject.notes
        try:
            trace = capture(found.network, subject.x, name=f"{found.name}, {own}", until=asked.until)
        except InputError:
            raise
        except Exception as error:
            first = (str(error).splitlines() or ["no message"])[0]
            raise InputError(
                f"expected: {found.name} raises on an input of {subject.x.shape}, got {type(error).__name__}: {first}",
                help="what others are judged against must run; `layerdiff shapes` says why one crashes",
            ) from error
        state = {key: array.copy() for key, array in tensors_of(found.network).items()}

        def again(mode: Mode) -> Trace:
            with in_mode(found.network, mode):
                return capture(found.network, subject.x, name=f"{found.name}, {own}", until=asked.until)

        yield Reference(
            trace, state, subject, facts, watched, (note, *said, *found.notes), again, lambda: found.network
        )


def _torchvision(subject: Subject) -> Any:
    from layerdiff.reference import torchvision_model

    return torchvision_model(subject.architecture, subject.weights)


def _again(subject: Subject, until: str | None, mode: Mode) -> Trace:
    return capture_expected(subject, until=until, mode=mode)


def _weights_for(found: Candidate, asked: Asked) -> tuple[Subject, Transfer | None]:
    """Pictures and weights for a network of somebody's, and where they go in it; None where it keeps its own."""
    from layerdiff.compare.foreign import propose_transfer

    try:
        architecture, _ = guess_architecture([found], asked.shape)
    except InputError:
        return asked.subject("torchvision:resnet50"), None
    subject = asked.subject(f"torchvision:{architecture}")
    if asked.keep:
        return subject, None
    trace = capture_expected(subject, until=None)
    transfer = propose_transfer(trace, found.network, subject.x, subject.weights.state)
    fits = not transfer.unplaced and not transfer.unfilled and not transfer.suspicions
    return subject, transfer if fits else None


def _hash(network: Any) -> str:
    from layerdiff.compare.judging import tensors_of

    found = hashlib.sha256()
    for name, array in sorted(tensors_of(network).items()):
        found.update(f"{name} {array.shape} ".encode())
        found.update(array.tobytes())
    return found.hexdigest()
