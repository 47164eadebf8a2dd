"""Where in a picture an input comes from, by correlation: it only says what to try, and in which order."""

from __future__ import annotations

import numpy as np

from layerdiff.compare.trace import Array

__all__ = ["best_offset", "likeness", "scan"]

_POINTS = 400
_FEW_POINTS = 150
_MOST_OFFSETS = 60_000


def likeness(levels: Array, x: Array) -> float:
    """The mean over the channels of x of the correlation with the picture's channel that it is most like, 0 to 1.

    Args:
        levels: (3, h, w).
        x: (3, h, w).
    """
    step = max(1, round((x[0].size / 2500) ** 0.5))
    ours, theirs = (_standard(part[:, ::step, ::step].reshape(3, -1)) for part in (levels, x))
    return float(np.abs(theirs @ ours.T).max(axis=1).mean())


def best_offset(resized: Array, x: Array) -> tuple[int, int] | None:
    """Top and left of the window of a picture that is most like x; None where there are no or too many windows.

    Args:
        resized: (h', w', 3).
        x: (3, h, w).
    """
    h, w = x.shape[1:]
    rows, columns = resized.shape[0] - h + 1, resized.shape[1] - w + 1
    if rows < 1 or columns < 1 or rows * columns == 1 or rows * columns > _MOST_OFFSETS:
        return None
    ys, xs = _points(h, w, _FEW_POINTS)
    y = _standard(x[1, ys, xs][None])[0]
    best, found = 0.0, (0, 0)
    for top in range(rows):
        for channel in range(3):
            windows = resized[top + ys, :, channel].astype(np.float32)
            gathered = windows[np.arange(len(ys))[:, None], xs[:, None] + np.arange(columns)]
            score = np.abs(y @ _standard(gathered.T).T)
            left = int(score.argmax())
            if score[left] > best:
                best, found = float(score[left]), (top, left)
    return found


def scan(resized: Array, picture: tuple[int, int], x: Array, *, keep: bool) -> list[int]:
    """Lengths of the shorter side (without `keep`: of both sides) that would give the most similar centre, best first.

    Args:
        resized: the picture (h', w', 3) at a size near to those in question.
        picture: height and width of the picture itself.
        x: (3, h, w).
        keep: whether the proportions are kept.
    """
    h, w = x.shape[1:]
    ys, xs = _points(h, w, _POINTS)
    y = _standard(x[1, ys, xs][None])[0]
    scores: dict[int, float] = {}
    for length in range(max(h, w), 2 * max(h, w) + 1):
        if keep:
            sizes = [length if side == min(picture) else int(length * side / min(picture)) for side in picture]
        else:
            sizes = [length, length]
        at = []
        for points, have, want, size in zip((ys, xs), resized.shape, (h, w), sizes, strict=False):
            at.append(((points + round((size - want) / 2) + 0.5) * (have / size) - 0.5).clip(0, have - 1))
        sampled = _between(resized, at[0], at[1])
        scores[length] = float(np.abs(_standard(sampled.T) @ y).max())
    return sorted(scores, key=lambda length: -scores[length])


def _points(h: int, w: int, count: int) -> tuple[Array, Array]:
    generator = np.random.default_rng(0)
    return generator.integers(0, h, count), generator.integers(0, w, count)


def _between(picture: Array, ys: Array, xs: Array) -> Array:
    """Bilinear samples, (points, 3)."""
    top, left = np.floor(ys).astype(int), np.floor(xs).astype(int)
    bottom, right = np.minimum(top + 1, picture.shape[0] - 1), np.minimum(left + 1, picture.shape[1] - 1)
    down, across = (ys - top)[:, None], (xs - left)[:, None]
    upper = picture[top, left] * (1 - across) + picture[top, right] * across
    lower = picture[bottom, left] * (1 - across) + picture[bottom, right] * across
    found: Array = upper * (1 - down) + lower * down
    return found


def _standard(rows: Array) -> Array:
    rows = rows.astype(np.float64)
    rows = rows - rows.mean(axis=-1, keepdims=True)
    length = np.sqrt((rows**2).sum(axis=-1, keepdims=True))
    return rows / np.where(length == 0, 1, length)
