"""A chart as SVG for the page: what a renderer adds for others is taken off; it is small and links to nothing."""

from __future__ import annotations

import re
from xml.etree import ElementTree as Xml

__all__ = ["BASE", "trimmed"]

_SVG = "http://www.w3.org/2000/svg"
_LINK = "http://www.w3.org/1999/xlink"
_NEEDLESS = {"role", "class", "style", "pointer-events", "version", "stroke-miterlimit", "aria-hidden"}
_NEEDLESS |= {"aria-roledescription", "aria-label"}
_LONG = re.compile(r"-?\d+\.\d{3,}")

BASE = "https://vega.github.io/vega-datasets/"
"""What vl-convert puts before every address that is not a whole one."""

Xml.register_namespace("", _SVG)
Xml.register_namespace("xlink", _LINK)


def trimmed(svg: str, *, stretched: bool = False) -> str:
    """The SVG as an element of an HTML page that scales to the room it gets.

    Two digits behind the point are enough for a screen. Roles and labels go, since the page has words of its own for
    each chart; so does the background. Links stay, as `#...`, and none leads out of the page.

    Args:
        svg: as vl-convert makes it.
        stretched: to fill its room in both directions, without keeping its proportions.
    """
    top = Xml.fromstring(svg)
    for element in top.iter():
        for name in [name for name in element.attrib if name in _NEEDLESS or name.startswith("on")]:
            del element.attrib[name]
        for name in ("d", "transform", "x", "y", "x2", "y2", "width", "height"):
            if name in element.attrib:
                element.set(name, _LONG.sub(lambda found: f"{float(found[0]):.2f}", element.attrib[name]))
        _inside(element)
    _cleaned(top)
    background = top.find(f"{{{_SVG}}}rect")
    if background is not None:
        top.remove(background)
    for name in ("width", "height"):
        top.attrib.pop(name)
    top.set("aria-hidden", "true")
    top.set("focusable", "false")
    if stretched:
        top.set("preserveAspectRatio", "none")
    return Xml.tostring(top, encoding="unicode")


def _inside(element: Xml.Element) -> None:
    """A link of the element leads to a place in the page, or is none."""
    address = element.attrib.pop(f"{{{_LINK}}}href", None)
    element.attrib.pop("target", None)
    if address is not None and address.removeprefix(BASE).startswith("#"):
        element.set("href", address.removeprefix(BASE))
        # The list of layers has the same links in an order that a keyboard can go through.
        element.set("tabindex", "-1")


def _cleaned(top: Xml.Element) -> None:
    """Drop paths that draw nothing, and groups that hold nothing."""
    for parent in list(top.iter()):
        for child in list(parent):
            empty = child.tag == f"{{{_SVG}}}path" and child.get("d") in {"", "M0,0h0v0h0Z"}
            if empty:
                parent.remove(child)
    for _ in range(3):
        for parent in list(top.iter()):
            for child in list(parent):
                if child.tag == f"{{{_SVG}}}g" and len(child) == 0:
                    parent.remove(child)
