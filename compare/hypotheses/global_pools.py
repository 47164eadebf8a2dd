"""Causes at a pooling over the whole map: the wrong axes, a fixed window, or something else than the mean."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations
from typing import Any

import numpy as np
from torch import Tensor

from layerdiff.compare.allowance import Call, is_pair, unit_roundoff
from layerdiff.compare.hypotheses.hypothesis import Hypothesis
from layerdiff.compare.hypotheses.kit import Step, avg_pool2d, chain, move
from layerdiff.compare.hypotheses.ruled import moved, on_arrays, ruled
from layerdiff.compare.hypotheses.site import Site
from layerdiff.compare.hypotheses.solving import factor, near, spelled
from layerdiff.compare.trace import Array

__all__ = ["global_pools"]

_AXES = "NCHW"
_WHOLE_MAP = "use nn.AdaptiveAvgPool2d(1) or mean((2, 3)), which take the whole map"


def global_pools(site: Site) -> Iterator[Hypothesis]:
    """What the mean over all rows and columns may be instead."""
    x, want = site.clear.inputs[0], site.clear.want
    if x.ndim != 4 or want.size != x.shape[0] * x.shape[1]:
        return
    yield from _fixed(site)
    solvers: tuple[Callable[[Site], Iterator[Hypothesis]], ...] = ()
    if site.clear.got.shape == want.shape:
        if near(site.clear.got, want):
            return
        solvers += (_scaled, _chosen, _parts)
    for solve in (*solvers, _windows, _axes):
        found = next(solve(site), None)
        if found is not None:
            yield found
            return


def _of(site: Site, title: str, change: str, *steps: Step, evidence: tuple[str, ...] = ()) -> Hypothesis:
    return Hypothesis("D7", title, change, model=chain(site.op.inputs, *steps), evidence=evidence)


def _fixed(site: Site) -> Iterator[Hypothesis]:
    """A window of a fixed size, as the candidate's own attributes give it; on a smaller map it raises."""
    other, size = site.other, site.clear.inputs[0].shape[2:]
    if other is None or other.kind != "avg_pool2d":
        return
    a: Any = {"padding": (0, 0), "ceil_mode": False, "count_include_pad": True, "divisor_override": None,
              **other.attributes}  # fmt: skip
    kernel, stride, padding = a.get("kernel_size"), a.get("stride"), a["padding"]
    if not is_pair(kernel) or not is_pair(padding) or (kernel == size and padding == (0, 0)):
        return
    whole: dict[str, object] = {"kernel_size": size, "stride": size, "padding": (0, 0)}
    step = avg_pool2d(kernel, stride if is_pair(stride) else kernel, padding, ceil_mode=bool(a["ceil_mode"]),
                      count_include_pad=bool(a["count_include_pad"]))  # fmt: skip
    yield Hypothesis(
        code="D7",
        title=f"the map is padded by {padding[0]}×{padding[1]} before it is averaged, expected no padding"
        if kernel == size
        else f"a fixed window of {kernel[0]}×{kernel[1]}, expected the whole map",
        change=_WHOLE_MAP,
        model=chain(site.op.inputs, step) if a["divisor_override"] is None else (),
        attributes={name: value for name, value in whole.items() if other.attributes.get(name, value) != value},
        evidence=(
            f"its attributes: kernel_size is {kernel}, padding {padding}; "
            f"the map has {size[0]} rows and {size[1]} columns",
        ),
        rank=0,
    )


def _scaled(site: Site) -> Iterator[Hypothesis]:
    """The sum, or a sum divided by another number."""
    h, w = site.clear.inputs[0].shape[2:]
    k = factor(site.clear.got, site.clear.want * (h * w))
    by = 1 / (k or 1)
    by = round(by) if abs(by - round(by)) <= 1e-12 * abs(by) else by
    if by == h * w or (k is None and not near(site.clear.got, site.clear.want * (h * w))):
        return
    shape = site.clear.want.shape[1:]

    def allowance(call: Call) -> Array:
        # As for an average, see `accumulation`: √n · ‖1/divisor, ...‖ · ‖map‖.
        size = np.sqrt(np.square(call.inputs[0]).sum(axis=(2, 3))).reshape(call.output.shape)
        n = call.inputs[0][0, 0].size
        bound: Array = 4 * unit_roundoff(call.output.dtype) * (n / abs(by) * size + np.abs(call.output))
        return bound

    step = ruled(allowance, lambda x, p: (x[0].sum((2, 3)) / by).reshape(-1, *shape))
    title = "the sum is taken, expected the mean" if by == 1 else f"divides by {spelled(by)}, expected {h * w}"
    yield _of(site, title, "divide the sum by the number of rows times the number of columns", step)


def _chosen(site: Site) -> Iterator[Hypothesis]:
    """One number of each map."""
    shape = site.clear.want.shape[1:]
    forms = (
        ("the maximum is taken, expected the mean", lambda x: x.amax((2, 3))),
        ("the minimum is taken, expected the mean", lambda x: x.amin((2, 3))),
        ("the first number of each map is taken, expected the mean", lambda x: x[:, :, 0, 0]),
    )
    for title, function in forms:
        step = move(lambda x, f=function: f(x).reshape(-1, *shape))  # type: ignore[misc]
        if _gives(step, site):
            yield _of(site, title, "take the mean over rows and columns", step)
            return


def _parts(site: Site) -> Iterator[Hypothesis]:
    """The mean of a corner of the map; its size is read from running sums."""
    x = site.clear.inputs[0]
    got = site.clear.got.reshape(x.shape[:2])
    (h, w), shape = x.shape[2:], site.clear.want.shape[1:]
    # A window that lies in any corner is one above and left in a map that is flipped.
    for down, right in ((False, False), (True, True), (True, False), (False, True)):
        turned = x[:, :, :: -1 if down else 1, :: -1 if right else 1]
        sums = turned.cumsum(axis=2).cumsum(axis=3)
        means = sums / (np.arange(1, h + 1)[:, None] * np.arange(1, w + 1))
        apart = np.abs(means - got[:, :, None, None]).max(axis=(0, 1))
        i, j = np.unravel_index(int(np.argmin(apart)), apart.shape)
        kh, kw = int(i) + 1, int(j) + 1
        if (kh, kw) == (h, w) or not near(np.ascontiguousarray(means[:, :, i, j]), got):
            continue
        rows, columns = slice(h - kh if down else 0, None), slice(w - kw if right else 0, None)
        step = moved(lambda t, r=rows, c=columns: t[:, :, r, c], avg_pool2d((kh, kw), (h, w)))  # type: ignore[misc]
        where = f"{'last' if down else 'first'} {kh} rows and the {'last' if right else 'first'} {kw} columns"
        yield _of(site, f"the mean is taken of the {where} only, expected all",
                  "take the mean over all rows and columns", step, move(lambda t: t.reshape(-1, *shape)))  # fmt: skip
        return


def _windows(site: Site) -> Iterator[Hypothesis]:
    """Windows of a fixed size, of which there are several on this map."""
    x, got = site.clear.inputs[0], site.clear.got
    h, w = x.shape[2:]
    if got.ndim != 4 or got.shape[:2] != x.shape[:2] or got.shape[2:] == (1, 1):
        return
    h_out, w_out = got.shape[2:]
    lone = got[:, :, 0, 0]
    for k in range(1, min(h, w) + 1):
        if not near(x[:, :, :k, :k].mean(axis=(2, 3)), lone):
            continue
        for s in range(1, max(h, w) + 1):
            step = avg_pool2d((k, k), (s, s))
            if ((h - k) // s + 1, (w - k) // s + 1) == (h_out, w_out) and _gives(step, site):
                yield _of(site, f"a fixed window of {k}×{k}, expected the whole map",
                          _WHOLE_MAP, step)  # fmt: skip
                return


def _axes(site: Site) -> Iterator[Hypothesis]:
    """The mean over other axes, or of numbers that lie in another order."""
    x, got = site.clear.inputs[0], site.clear.got
    if near(np.ravel(got), np.ravel(site.clear.want)):
        return
    for count in (2, 1, 3):
        for dims in combinations([d for d in range(4) if x.shape[d] > 1], count):
            mean = x.mean(axis=dims)
            if dims != (2, 3) and mean.size == got.size and near(mean.reshape(got.shape), got):
                step = Step("mean", {"dim": dims, "keepdim": False}, {}, lambda t, p, d=dims: t[0].mean(d))  # type: ignore[misc]
                named = " and ".join(_AXES[d] for d in dims)
                yield _of(site, f"the mean is taken over {named}, expected H and W", "take the mean over axes 2 and 3",
                          step, move(lambda t: t.reshape(got.shape)))  # fmt: skip
                return
    n, c, h, w = x.shape

    def read(t: Tensor) -> Tensor:
        return t.reshape(t.shape[0], t.shape[2], t.shape[3], t.shape[1]).permute(0, 3, 1, 2)

    if got.size == n * c and near(on_arrays(read, x).mean(axis=(2, 3)).reshape(got.shape), got):
        step = moved(read, avg_pool2d((h, w), (h, w)))
        yield _of(site, "the numbers are read as NHWC without being moved", "permute the axes, do not reshape",
                  step, move(lambda t: t.reshape(got.shape)))  # fmt: skip


def _gives(step: Step, site: Site) -> bool:
    try:
        return near(on_arrays(lambda t: step.function([t], {}), site.clear.inputs[0]), site.clear.got)
    except RuntimeError:
        return False
