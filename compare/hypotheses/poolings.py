"""Causes at a pooling over windows: how it is padded, where its windows lie, and what it takes of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from layerdiff.compare.allowance import is_pair
from layerdiff.compare.hypotheses.convolution.geometry import Geometry, Pads, needed_pads, same_pads
from layerdiff.compare.hypotheses.convolution.places import find_place
from layerdiff.compare.hypotheses.global_pools import global_pools
from layerdiff.compare.hypotheses.hypothesis import Hypothesis
from layerdiff.compare.hypotheses.kit import Step, avg_pool2d, chain, elementwise
from layerdiff.compare.hypotheses.ruled import on_arrays, scaled
from layerdiff.compare.hypotheses.settings import differing, worded
from layerdiff.compare.hypotheses.site import Site
from layerdiff.compare.hypotheses.solving import factor, near, spelled
from layerdiff.compare.hypotheses.window_pools import POOLS, PadsOf, avg_windows, lp_windows, max_windows, min_windows

__all__ = ["hypotheses"]

_CODES = {"kernel_size": "D8", "stride": "D8", "dilation": "D8", "padding": "D3", "ceil_mode": "D5",
          "count_include_pad": "D6", "divisor_override": "D6"}  # fmt: skip
_CHANNELS = 16
"""To look where the values lie; a pooling does the same in every channel."""


def hypotheses(site: Site) -> Iterator[Hypothesis]:
    """What a pooling may do instead."""
    if site.op.kind in {"adaptive_avg_pool2d", "mean"}:
        yield from global_pools(site)
        return
    geometry = Geometry.of(site.op)
    if site.op.kind not in POOLS or geometry is None or site.clear.got.ndim != 4:
        return
    yield from _settings(site)
    if site.op.kind == "max_pool2d":
        yield from _beginnings(site, geometry)
    else:
        yield from _divisors(site, geometry)
    yield from _places(site, geometry)
    yield from _others(site, geometry)


def _of(site: Site, code: str, title: str, change: str, *steps: Step, evidence: tuple[str, ...] = ()) -> Hypothesis:
    return Hypothesis(code, title, change, model=chain(site.op.inputs, *steps), evidence=evidence)


def _gives(step: Step, site: Site) -> bool:
    """Whether a step gives what the candidate gave, on a coarse look."""
    try:
        return near(on_arrays(lambda t: step.function([t], {}), site.clear.inputs[0]), site.clear.got)
    except RuntimeError:
        # Torch refuses windows that are larger than the map.
        return False


def _settings(site: Site) -> Iterator[Hypothesis]:
    """What the candidate's own attributes say."""
    other = site.other
    if other is None or other.kind != site.op.kind:
        return
    for changed, expected in differing(site.op, other, tuple(_CODES)):
        step = _of_attributes(site.op.kind, {**site.op.attributes, **changed})
        if step is not None:
            yield Hypothesis(
                code=_CODES[next(iter(changed))],
                title=worded(changed, expected),
                change="set " + ", ".join(f"{name}={value}" for name, value in expected.items()),
                model=chain(site.op.inputs, step),
                attributes=expected,
                evidence=("its attributes say so",),
                rank=0,
            )


def _of_attributes(kind: str, a: dict[str, Any]) -> Step | None:
    if not all(is_pair(a.get(name)) for name in ("kernel_size", "stride", "padding")):
        return None
    kernel_size, stride, padding, ceil_mode = a["kernel_size"], a["stride"], a["padding"], bool(a.get("ceil_mode"))
    if kind == "max_pool2d":
        dilation = a.get("dilation", (1, 1))
        return Step(kind, {}, {}, lambda x, p: functional.max_pool2d(
            x[0], kernel_size, stride, padding, dilation, ceil_mode))  # fmt: skip
    divisor, whole = a.get("divisor_override"), bool(a.get("count_include_pad", True))
    return Step(kind, a, {}, lambda x, p: functional.avg_pool2d(
        x[0], kernel_size, stride, padding, ceil_mode, whole, divisor))  # fmt: skip


def _beginnings(site: Site, geometry: Geometry) -> Iterator[Hypothesis]:
    """A number that takes part in every maximum, or in those at the border."""
    want, got = site.clear.want, site.clear.got
    if got.shape != want.shape or not (got > want).any():
        return
    start = float(got[got > want].min())
    exact: Any = Step("max_pool2d", {}, {}, lambda x, p: functional.max_pool2d(
        x[0], geometry.kernel_size, geometry.stride, geometry.padding, geometry.dilation))  # fmt: skip
    if np.array_equal(np.maximum(want, start), got):
        yield _of(site, "D2", f"each maximum begins with {spelled(start)}, expected -inf",
                  "begin each maximum with -inf, or with the window's first number",
                  exact, elementwise("clamp", lambda x: torch.clamp(x, min=start)))  # fmt: skip
    pads = needed_pads(geometry, site.clear.inputs[0].shape[2:], got.shape[2:])
    padded = max_windows(geometry, pads, start)
    if _gives(padded, site):
        yield _of(site, "D1", f"pads with {spelled(start)}, expected -inf",
                  "pad with -inf, or leave what lies beside the map out of the maximum", padded)  # fmt: skip


def _divisors(site: Site, geometry: Geometry) -> Iterator[Hypothesis]:
    """An average that is divided by another number."""
    sample, n = site.clear, geometry.kernel_size[0] * geometry.kernel_size[1]
    whole = bool(site.op.attributes.get("count_include_pad", True))
    forms = (whole, not whole) if any(geometry.padding) else (whole,)
    for form in forms:
        step = avg_pool2d(geometry.kernel_size, geometry.stride, geometry.padding, count_include_pad=form)
        if form is not whole and _gives(step, site):
            words = ("with", "without") if form else ("without", "with")
            yield _of(site, "D6", f"the average is taken {words[0]} the padding, expected {words[1]}",
                      f"set count_include_pad={whole}", step)  # fmt: skip
            return
        plain = on_arrays(lambda t, step=step: step.function([t], {}), sample.inputs[0])  # type: ignore[misc]
        k = factor(sample.got, plain)
        if k is not None:
            by = spelled(round(n / k, 6))
            title = "the sum is taken, expected the average" if by == "1" else f"divides by {by}, expected {n}"
            yield _of(site, "D6", title, f"divide by {n}", scaled(step, k))
            return


def _places(site: Site, geometry: Geometry) -> Iterator[Hypothesis]:
    """Stride, padding and window size, from where the candidate's values lie."""
    x, got = site.clear.inputs[0][:, :_CHANNELS], site.clear.got[:, :_CHANNELS]
    kernels = dict.fromkeys([geometry.kernel_size, *((k, k) for k in range(2, 8))])
    for kernel_size in kernels:
        if kernel_size[0] > x.shape[2] or kernel_size[1] > x.shape[3]:
            continue
        windows = replace(geometry, kernel_size=kernel_size, stride=(1, 1))
        room = max(windows.spans)
        full = on_arrays(lambda t, w=windows, r=room: POOLS[site.op.kind](w, (r,) * 4).function([t], {}), x)  # type: ignore[misc]
        # Windows that lie beside the map altogether are taken for something that no output is.
        full = np.where(np.isfinite(full), full, 1e3 * np.abs(x).max())
        place = find_place(full, got, geometry.stride)
        if place is not None and place.stride is not None:
            found = replace(windows, stride=place.stride, padding=(room - place.origin[0], room - place.origin[1]))
            hypothesis = _lying(site, geometry, found)
            if hypothesis is not None:
                yield hypothesis
                return


def _lying(site: Site, expected: Geometry, found: Geometry) -> Hypothesis | None:
    """The cause where the windows are other ones than expected."""
    size, size_out = site.clear.inputs[0].shape[2:], site.clear.got.shape[2:]
    pads = needed_pads(found, size, size_out)
    make = _with_border(site, found, pads)
    if make is None:
        return None
    step = make(pads)
    evidence = (f"windows of {found.kernel_size}, stride {found.stride}, pads {_worded(pads)}",)
    if (found.kernel_size, found.stride) != (expected.kernel_size, expected.stride):
        changed: dict[str, object] = {"kernel_size": found.kernel_size, "stride": found.stride}
        wanted: dict[str, object] = {"kernel_size": expected.kernel_size, "stride": expected.stride}
        other = {name: value for name, value in changed.items() if wanted[name] != value}
        return _of(site, "D8", worded(other, wanted), f"set kernel_size={expected.kernel_size} and "
                   f"stride={expected.stride}", step, evidence=evidence)  # fmt: skip
    if found.padding == expected.padding:
        if site.clear.got.shape == site.clear.want.shape:
            return None
        more = any(a > b for a, b in zip(size_out, site.clear.want.shape[2:], strict=True))
        rounding = "up (ceil_mode), expected down" if more else "down further than expected"
        return _of(site, "D5", f"the number of windows is rounded {rounding}", "set ceil_mode="
                   f"{bool(site.op.attributes.get('ceil_mode', False))}", step, evidence=evidence)  # fmt: skip
    automatic = same_pads(expected, size)
    if (automatic[0], automatic[2]) == found.padding and size_out == site.clear.want.shape[2:]:
        step = make(lambda size: same_pads(expected, size))
        return _of(site, "D4", "pads as TensorFlow's SAME does: less above and left than below and right",
                   f"pad {expected.padding} on both sides", step, evidence=evidence)  # fmt: skip
    return _of(site, "D3", f"padding is {found.padding}, expected {expected.padding}",
               f"set padding={expected.padding}", step, evidence=evidence)  # fmt: skip


def _with_border(site: Site, found: Geometry, pads: Pads) -> Callable[[PadsOf], Step] | None:
    """The pooling that gives what the candidate gave, with nothing beside the map or with a number that is read off.

    A map without negative numbers, as a ReLU gives it, does not tell whether a max-pool pads with 0 or with nothing;
    the dense probe does, and windows that lie otherwise are then still one mistake.
    """
    plain = POOLS[site.op.kind]
    if _gives(plain(found, pads), site):
        return lambda p: plain(found, p)
    if site.op.kind != "max_pool2d":
        return None
    bare = on_arrays(lambda t: max_windows(found, pads).function([t], {}), site.clear.inputs[0])
    more = site.clear.got[site.clear.got > bare]
    if more.size and _gives(max_windows(found, pads, value := float(more.min())), site):
        return lambda p: max_windows(found, p, value)
    return None


def _worded(pads: Pads) -> str:
    top, bottom, left, right = pads
    return f"{top} above, {bottom} below, {left} left, {right} right"


def _others(site: Site, geometry: Geometry) -> Iterator[Hypothesis]:
    """Another kind of pooling over the same windows."""
    size, size_out = site.clear.inputs[0].shape[2:], site.clear.got.shape[2:]
    pads = needed_pads(geometry, size, size_out)
    k, s, p = geometry.kernel_size, geometry.stride, geometry.padding
    if site.op.kind == "max_pool2d":
        named = (
            ("the average", avg_windows(geometry, pads)),
            ("the average", avg_pool2d(k, s, p, count_include_pad=False)),
            ("the minimum", min_windows(geometry, pads)),
            ("the root of the sum of squares", lp_windows(geometry, pads)),
        )
    else:
        named = (
            ("the maximum", max_windows(geometry, pads)),
            ("the maximum", max_windows(geometry, pads, 0.0)),
            ("the minimum", min_windows(geometry, pads)),
            ("the root of the sum of squares", lp_windows(geometry, pads)),
        )
    kind = "maximum" if site.op.kind == "max_pool2d" else "average"
    for name, step in named:
        if _gives(step, site):
            yield _of(site, "D9", f"{name} of each window is taken, expected the {kind}",
                      f"take the {kind} of each window", step)  # fmt: skip
            return
