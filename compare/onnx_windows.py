"""The windows of ONNX's convolutions and poolings, by torch's names.

Source: ONNX's operator schemas, Conv and MaxPool.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["windows"]


def windows(attributes: Mapping[str, Any], sizes: Sequence[int], kernel: tuple[int, ...]) -> dict[str, object]:
    """kernel_size, stride, padding and dilation; and `pads` where they are not the same on both sides.

    `padding` is then what lies before each axis; `pads` lists all before and then all after, as ONNX does.

    Args:
        attributes: of the node, by ONNX's names.
        sizes: of the map that the windows lie on.
        kernel: the window's size.
    """
    ones = [1] * len(kernel)
    stride = tuple(attributes.get("strides") or ones)
    dilation = tuple(attributes.get("dilations") or ones)
    pads = attributes.get("pads") or [0] * (2 * len(kernel))
    automatic = attributes.get("auto_pad", "NOTSET")
    if automatic.startswith("SAME"):
        pads = _same_pads(sizes, kernel, stride, dilation, upper=automatic == "SAME_UPPER")
    before, after = tuple(pads[: len(kernel)]), tuple(pads[len(kernel) :])
    found: dict[str, object] = {"kernel_size": kernel, "stride": stride, "padding": before, "dilation": dilation}
    return found if before == after else found | {"pads": (*before, *after)}


def _same_pads(
    sizes: Sequence[int], kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int], *, upper: bool
) -> list[int]:
    """The pads for which the output is the input divided by the stride, rounded up."""
    short, long = [], []
    for size, k, s, d in zip(sizes, kernel, stride, dilation, strict=True):
        total = max((-(-size // s) - 1) * s + (k - 1) * d + 1 - size, 0)
        short.append(total // 2)
        long.append(total - total // 2)
    return short + long if upper else long + short
