"""Heat maps: one channel's cells as a small picture inside the page, and all channels as data for its script."""

from __future__ import annotations

import base64
import io
from typing import Any

from PIL import Image

from layerdiff.compare.evidence.records import Map
from layerdiff.compare.render.html.colours import DIFFERENCE, VALUE
from layerdiff.compare.render.words import number

__all__ = ["PALETTES", "SIDES", "as_data", "channel_words", "picture"]

SIDES = ("expected", "actual", "difference")

PALETTES = {
    "value": base64.b64encode(VALUE).decode(),
    "difference": base64.b64encode(DIFFERENCE).decode(),
}
"""The 256 colours of each kind of map, for the script."""


def picture(one: Map, side: str) -> str:
    """A PNG of one cell a pixel, as a `data:` address."""
    image = Image.frombytes("P", (one.columns, one.rows), base64.b64decode(getattr(one, side)))
    image.putpalette(DIFFERENCE if side == "difference" else VALUE)
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def as_data(one: Map) -> dict[str, Any]:
    """What the script needs of a channel to draw it: cells, their range, and its words."""
    return {
        "rows": one.rows,
        "columns": one.columns,
        "words": channel_words(one),
        "low": one.low,
        "high": one.high,
        "greatest": one.greatest,
        **{side: getattr(one, side) for side in SIDES},
    }


def channel_words(one: Map) -> str:
    """Which channel it is, and how far out it lies; the text for whom a picture says nothing."""
    which = "all features" if one.channel is None else f"channel {one.channel}"
    where = f"{which} of image {one.image}"
    if not one.over:
        return f"{where}: all of it within the allowance"
    worst = "beyond what is allowed" if one.ratio is None else f"at worst {number(one.ratio)} of the allowance"
    return f"{where}: {one.over:,} value{'s' * (one.over != 1)} beyond, {worst}"
