"""What lies beside the map of a candidate's convolution, where it is not zeros."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from layerdiff.compare.hypotheses.convolution.geometry import Geometry, needed_pads, padded_conv2d
from layerdiff.compare.hypotheses.convolution.projection import Projection
from layerdiff.compare.hypotheses.hypothesis import Hypothesis
from layerdiff.compare.hypotheses.kit import chain
from layerdiff.compare.hypotheses.site import Site
from layerdiff.compare.hypotheses.solving import near, snapped, spelled

__all__ = ["borders"]


def _differs_inside(site: Site, expected: Geometry) -> bool:
    """Whether the output in the middle, whose window meets no border, is another one than expected."""
    got, want, size = site.clear.got, site.clear.want, site.clear.inputs[0].shape[2:]
    i, j = want.shape[2] // 2, want.shape[3] // 2
    starts = [c * s - p for c, s, p in zip((i, j), expected.stride, expected.padding, strict=True)]
    inside = all(a >= 0 and a + span <= n for a, span, n in zip(starts, expected.spans, size, strict=True))
    return inside and got.shape == want.shape and not near(got[:, :, i, j], want[:, :, i, j])


def borders(site: Site, expected: Geometry) -> Iterator[Hypothesis]:
    """Something else than zeros beside the map: its own numbers again, or another constant, which is solved for."""
    size, size_out = site.clear.inputs[0].shape[2:], site.clear.got.shape[2:]
    pads = needed_pads(expected, size, size_out)
    if not any(pad > 0 for pad in pads) or _differs_inside(site, expected):
        return
    seen = Projection(site, expected)
    weight, bias = site.op.parameters["weight"], site.op.parameters.get("bias")
    for mode in ("reflect", "replicate", "circular"):
        try:
            fits = near(seen.at(expected, pads, mode=mode), seen.got)
        except RuntimeError:
            # Torch mirrors no map that is smaller than its border.
            continue
        if fits:
            title = f"pads with the map's own numbers ({mode}), expected zeros"
            step = padded_conv2d(expected, pads, weight, bias, mode=mode)
            yield Hypothesis("B2", title, "pad with zeros: padding_mode='zeros'", attributes={"padding_mode": "zeros"},
                             model=chain(site.op.inputs, step))  # fmt: skip
            return
    plain, ones = seen.at(expected, pads), seen.at(expected, pads, value=1.0)
    slope, gap = (ones - plain).ravel(), (seen.got - plain).ravel()
    found = float(np.vdot(slope, gap) / max(float(np.vdot(slope, slope)), np.finfo(np.float64).tiny))
    if found and near(plain + found * (ones - plain), seen.got) and not near(plain, seen.got):
        error = 2.0**12 * float(np.finfo(plain.dtype).eps) * max(abs(found), float(np.abs(plain).max()))
        value = snapped(found, error)
        yield Hypothesis("B2", f"pads with {spelled(value)}, expected 0", "pad with zeros", model=chain(
            site.op.inputs, padded_conv2d(expected, pads, weight, bias, value=value)))  # fmt: skip
