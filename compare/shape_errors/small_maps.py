"""M13: the map has become smaller than the window that is put on it."""

from __future__ import annotations

from layerdiff.compare.shape_errors.explanation import Explanation
from layerdiff.compare.shape_errors.facts import Facts, by
from layerdiff.compare.shape_errors.windows import window_of

__all__ = ["map_is_too_small"]

_WINDOWS = frozenset({"conv2d", "max_pool2d", "avg_pool2d", "lp_pool2d"})


def map_is_too_small(facts: Facts) -> Explanation | None:
    """M13: a kernel that is larger than its map, as when a stem for ImageNet is given a small image."""
    crash = facts.crash
    if crash is None or crash.kind not in _WINDOWS or not crash.input_shapes or len(crash.input_shapes[0]) != 4:
        return None
    shape = crash.input_shapes[0]
    windows = [window_of(crash.attributes, axis) for axis in (0, 1)]
    for n, window in zip(shape[2:], windows, strict=True):
        if window is None or window.size(n) >= 1:
            continue
        sizes = [facts.actual.shape[2:], *(op.shape[2:] for op in [*facts.back(crash.inputs[0])][::-1])]
        passed = [by(size) for size in dict.fromkeys(sizes) if len(size) == 2]
        change = "use a stem for small images (3×3 convolution without stride, no max-pool), or give it a larger image"
        if crash.kind != "conv2d" and "avg" in crash.kind:
            change = f"replace {crash.layer} by nn.AdaptiveAvgPool2d((1, 1)), or give it a larger image"
        return Explanation(
            code="M13",
            title=f"a {by((windows[0].kernel, windows[1].kernel))} window does not fit on a "  # type: ignore[union-attr]
            f"{by(shape[2:])} map",
            layer=crash.layer,
            arithmetic=f"{window.sum(n)} = {window.size(n)} < 1; the image shrank {' → '.join(passed)}",
            change=change,
            evidence=(f"{crash.inputs[0]} gives {list(shape)}", f"the image came as {list(facts.actual.shape)}"),
            source=crash.source,
        )
    return None
