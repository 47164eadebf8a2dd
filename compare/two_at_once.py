"""Two images at once, where one was judged: what mixes the images of a batch shows only then."""

from __future__ import annotations

from typing import Any

import numpy as np

from layerdiff.compare.bits import same_bits
from layerdiff.compare.forward import forward
from layerdiff.compare.playback import Playback
from layerdiff.compare.trace import Array, Trace
from layerdiff.compare.yardstick import walk

__all__ = ["two_at_once"]

_LEAST = 32


def two_at_once(expected: Trace, network: Any, x: Array, *, seed: int) -> tuple[str, str]:
    """What is wrong with what `network` gives for two images at once, and what is worth a note; empty for nothing.

    The images are those in `x`, in half the size where that is large enough and the network takes it, and the same
    upside down.

    Args:
        expected: captured on one image; its operations are run on two.
        network: the candidate, with the expected network's weights.
        x: (1, c, h, w) float32.
        seed: of the bound, where the outputs are not the same to the bit.
    """
    halves = [x[:, :, ::2, ::2], x] if min(x.shape[2:]) >= 2 * _LEAST else [x]
    said, notes = "", list[str]()
    for image in halves:
        pair = np.ascontiguousarray(np.concatenate([image, image[:, :, ::-1]]))
        want = _output(expected, pair)
        if want is None:
            return "", "its batch was not looked at: the expected network's operations do not run on two images at once"
        try:
            have = forward(network, pair)
        except Exception as error:
            said = f"{type(error).__name__}: {(str(error).splitlines() or ['no message'])[0]}"
            continue
        problem = _compared(expected, have, pair, want, seed)
        if not problem or image is x or not _differs_alone(expected, network, image, seed):
            return problem, "; ".join(notes)
        # That is no matter of two images: whether they are mixed is seen at the size at which one is the same.
        notes.append(f"at {_size(image)} its output differs, though at {_size(x)} it is the same")
    return "", "; ".join([*notes, f"it does not take two images at once: {said}"])


def _differs_alone(expected: Trace, network: Any, image: Array, seed: int) -> bool:
    """Whether the network gives something else than the expected one for a single image of this size."""
    image = np.ascontiguousarray(image)
    want = _output(expected, image)
    if want is None:
        return False
    try:
        have = forward(network, image)
    except Exception:
        return False
    return bool(_compared(expected, have, image, want, seed))


def _size(image: Array) -> str:
    return "x".join(str(side) for side in image.shape[2:])


def _output(expected: Trace, x: Array) -> Array | None:
    try:
        return Playback(expected.ops, x, watched=[expected.returned_by or expected.final]).take(
            expected.returned_by or expected.final
        )
    except Exception:
        # A reference that somebody wrote for one image says nothing about two.
        return None


def _compared(expected: Trace, have: Array | None, x: Array, want: Array, seed: int) -> str:
    if have is None or have.shape != want.shape:
        got = "no tensor" if have is None else f"{have.shape}"
        return f"for two images at once its output is {got}, expected {want.shape}"
    if same_bits(have, want):
        return ""
    floor = 0.0
    for step in walk(expected.ops, x, seed=seed):
        floor = step.floor
    if np.all((np.abs(have - want) <= floor) | (have == want)):
        return ""
    return "for two images at once its output is another than the expected network's, though for one it is the same"
