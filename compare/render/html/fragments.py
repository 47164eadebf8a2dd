"""What a layer is called in the page's address: `report.html#layer2.0.bn1` opens it."""

from __future__ import annotations

from urllib.parse import quote

__all__ = ["fragment", "own"]


def fragment(report: int, layer: str) -> str:
    """The id of a layer in the page, the same as the part of a link behind its `#`.

    Letters, digits, `.`, `_` and `-` stay, everything else is written as in an address, so that no name means anything
    in HTML. Layers of the second network and those after it have its number in front: `2/layer1.0.conv1`.

    Args:
        report: place of the network in the run, from 0.
        layer: its id in the expected network.
    """
    name = quote(layer, safe="", errors="backslashreplace").replace("~", "%7E")
    return name if report == 0 else f"{report + 1}/{name}"


def own(report: int, part: str) -> str:
    """The id of a part of the page itself, which no layer can have."""
    return f"~{report + 1}-{part}"
