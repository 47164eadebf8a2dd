"""How a batch of images is cut into bands of rows: what is worked on together, and what a thread gets.

The cut depends on the sizes alone and never on the number of threads, so every product has the same operands however
many threads there are, and the result the same bits.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Band", "cut_bands", "share"]


@dataclass(frozen=True)
class Band:
    """Some rows of one image, or all rows of some images.

    Attributes:
        images: from the first to before the last.
        rows: alike.
    """

    images: tuple[int, int]
    rows: tuple[int, int]

    @property
    def index(self) -> tuple[slice, slice]:
        """Takes the band out of an array of (n, rows, ...)."""
        return slice(*self.images), slice(*self.rows)

    @property
    def count(self) -> int:
        """Rows in all."""
        return (self.images[1] - self.images[0]) * (self.rows[1] - self.rows[0])


def cut_bands(images: int, rows: int, width: int, *, about: int, whole: int) -> tuple[Band, ...]:
    """Bands of some `about` pixels each, an even number of them where it can be had.

    Args:
        images: how many.
        rows: of each.
        width: pixels in a row.
        about: pixels of a band, so many that they stay in a core's cache.
        whole: where there are fewer pixels than this in all, they are one band.
    """
    size = rows * width
    if images * size < whole:
        return (Band((0, images), (0, rows)),)
    if 2 * size <= about:
        count = _even(-(-images // (about // size)), images)
        return tuple(Band(part, (0, rows)) for part in _parts(images, count))
    count = max(1, round(size / about))
    if images % 2:
        count = _even(count, rows)
    return tuple(Band((i, i + 1), part) for i in range(images) for part in _parts(rows, count))


def share(count: int, threads: int, thread: int) -> slice:
    """Which of `count` things in a row are the `thread`th of `threads`' to do."""
    return slice(thread * count // threads, (thread + 1) * count // threads)


def _even(count: int, most: int) -> int:
    return count + 1 if count % 2 and count < most else count


def _parts(length: int, count: int) -> list[tuple[int, int]]:
    return [(i * length // count, (i + 1) * length // count) for i in range(count)]
