"""Causes in the arithmetic itself: half precision, bfloat16, TF32, or float32 where float64 was given.

Rounding cannot be foretold to the last bit, so these models are of two sorts. Where inputs or weights are rounded and
the arithmetic goes on in the given precision, the model is as sharp as any other. Where the output is rounded too, it
lies on the short format's grid; the model then allows one step of that grid, and stands only because every output of
the candidate lies on it, which no other mistake brings about.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from layerdiff.compare.hypotheses.convolution.geometry import Geometry
from layerdiff.compare.hypotheses.hypothesis import Hypothesis
from layerdiff.compare.hypotheses.kit import chain
from layerdiff.compare.hypotheses.ruled import on_arrays
from layerdiff.compare.hypotheses.short_formats import FLOAT32, FORMATS, Format, rounded_step
from layerdiff.compare.hypotheses.site import Sample, Site
from layerdiff.compare.hypotheses.trial import residual
from layerdiff.compare.playback import play
from layerdiff.compare.trace import Array

__all__ = ["hypotheses"]

_CHANNELS = 4
"""Output channels on which a format is tried before it is on all."""

_BLOCK = 8
"""Rows and columns of the output on which it is tried."""

_SUMS = 0.01
"""What is left of a difference by the float32 sums behind rounded operands: a hundredth of it, or less."""

_NEARER = 0.2
"""What may be left of a difference by a model that explains it."""

_OPERANDS = ((True, True), (False, True), (True, False), (False, False))
"""Which of inputs and weights are rounded, the likeliest first."""


def hypotheses(site: Site) -> Iterator[Hypothesis]:
    """Which shorter format the candidate computes in."""
    sample = site.clear
    if sample.got.shape != sample.want.shape or not np.isfinite(sample.want).all():
        return
    if any("dtype" in problem for problem in site.problems):
        yield from _of_output(site, FLOAT32)
    if not np.isfinite(sample.got).all():
        yield from _overflowed(site)
        return
    size = float(np.linalg.norm(sample.want.ravel()))
    if float(np.linalg.norm((sample.got - sample.want).ravel())) > 0.05 * size:
        return
    # The coarsest grid first: within its range float16's holds all of bfloat16's.
    for form in sorted(FORMATS, key=lambda form: -form.roundoff):
        if form.is_stored and all(_on_grid(one.got, form) and not _on_grid(one.want, form) for one in site.samples):
            yield from _of_output(site, form)
            return
    few = _few(site)
    fitting = [
        (_left(small, few), whole)
        for form in FORMATS
        for small, whole in zip(_of_operands(few, form), _of_operands(site, form), strict=True)
        if residual(small.model, few) <= 1
    ]
    # What sums in float32 is allowed much in float64's eyes, and within that any small mistake would be explained.
    # Below what such sums leave nothing is told apart: float16 has as many bits as TF32.
    least = min([_NEARER, *(max(_SUMS, 4 * left) for left, _ in fitting)])
    yield from (whole for left, whole in fitting if left <= least)


def _left(hypothesis: Hypothesis, site: Site) -> float:
    """How much of the difference to the candidate is left under a model."""
    given = dict(zip(site.op.inputs, site.clear.inputs, strict=True))
    played, _ = play(hypothesis.model, given)
    left, gap = played[-1].output - site.clear.got, site.clear.want - site.clear.got
    return float(np.linalg.norm(left) / max(float(np.linalg.norm(gap)), np.finfo(np.float64).tiny))


def _few(site: Site) -> Site:
    """The first output channels alone, in the middle of the map: what these refute, all would."""
    op = site.op
    weight = op.parameters.get("weight")
    if op.kind not in {"conv2d", "linear"} or weight is None:
        return site
    groups = op.attributes.get("groups", 1)
    each = len(weight) // groups if isinstance(groups, int) else len(weight)
    count, taken = min(_CHANNELS, each), weight.shape[1]
    parameters = {role: array[:count] for role, array in op.parameters.items()}
    samples = [Sample((one.inputs[0][:, :taken],), one.want[:, :count], one.got[:, :count]) for one in site.samples]
    small = replace(op, parameters=parameters, attributes={**op.attributes, "groups": 1})
    geometry = Geometry.of(op)
    if op.kind == "conv2d" and geometry is not None and min(site.clear.want.shape[2:]) > _BLOCK + max(geometry.spans):
        samples = [_block(one, geometry) for one in samples]
        small = replace(small, attributes={**small.attributes, "padding": (0, 0)})
    return replace(site, op=small, real=samples[0], dense=samples[1] if len(samples) > 1 else None)


def _block(sample: Sample, geometry: Geometry) -> Sample:
    """Some neighbouring outputs whose windows meet no border, and what lies under these."""
    rows, columns = (
        (n // 2 - _BLOCK // 2, s, p, span)
        for n, s, p, span in zip(sample.want.shape[2:], geometry.stride, geometry.padding, geometry.spans, strict=True)
    )
    (top, down), (left, right) = (
        (slice(at, at + _BLOCK), slice(at * s - p, (at + _BLOCK - 1) * s - p + span))
        for at, s, p, span in (rows, columns)
    )
    return Sample(
        (sample.inputs[0][:, :, down, right],), sample.want[:, :, top, left], sample.got[:, :, top, left]
    )  # fmt: skip


def _on_grid(array: Array, form: Format) -> bool:
    return bool(np.array_equal(on_arrays(form.to, array), array))


def _of_output(site: Site, form: Format) -> Iterator[Hypothesis]:
    """All of it, the output too; where the sums are made in the short format the order matters, and no model fits."""
    if not all(_on_grid(sample.got, form) for sample in site.samples):
        return
    few = _few(site)
    # Whoever rounds the output has rounded what went into it, nearly always; the few channels tell.
    for operands, weights in _OPERANDS if form.is_stored and form is not FLOAT32 else _OPERANDS[:1]:
        if _fits(few, form, operands=operands, weights=weights):
            break
    else:
        operands = weights = True
    step = rounded_step(site.op, form, operands=operands, weights=weights, output=True)
    only = "" if operands or weights or not site.op.parameters else "the output alone is rounded to "
    whole = form is FLOAT32
    yield Hypothesis(
        code=form.code,
        title=f"{only}{form.name}" if only
        else f"computes in {form.name}" + (" though it is given float64" if whole else ""),
        change="compute in the precision of the input: convert neither values nor weights to "
        f"{form.name}" + (", and write down no array's type" if whole else ""),
        model=chain(site.op.inputs, step) if step is not None else (),
        evidence=(f"every output is a {form.name} number",),
    )  # fmt: skip


def _fits(few: Site, form: Format, *, operands: bool, weights: bool) -> bool:
    step = rounded_step(few.op, form, operands=operands, weights=weights, output=True)
    return step is not None and residual(chain(few.op.inputs, step), few) <= 1


def _overflowed(site: Site) -> Iterator[Hypothesis]:
    """What is infinite, being larger than float16 can hold, where all else lies on its grid."""
    half = FORMATS[0]
    for sample in site.samples:
        fine = np.isfinite(sample.got)
        if not fine.all() and _on_grid(sample.got[fine], half) and not _on_grid(sample.want[fine], half):
            yield Hypothesis(
                code="H2",
                title="computes in float16, and leaves its range",
                change="compute in the precision of the input: float16 ends at 65504",
                evidence=("every finite output is a float16 number", f"{int((~fine).sum())} outputs are not finite"),
            )
            return


def _of_operands(site: Site, form: Format) -> Iterator[Hypothesis]:
    """Inputs and weights, or one of them; the sums are made in the given precision, or in float32."""
    # Tensor cores round both operands, and round none without the other.
    # Nothing but products is made there.
    if form.code == "H1" and site.op.kind not in {"conv2d", "linear"}:
        return
    for operands, weights in _OPERANDS[: 1 if form.code == "H1" else 3]:
        if weights and not site.op.parameters:
            continue
        step = rounded_step(site.op, form, operands=operands, weights=weights, output=False)
        if step is None:
            return
        both = "inputs and weights are" if operands and weights else "weights are" if weights else "inputs are"
        yield Hypothesis(
            code=form.code,
            title=f"{both} rounded to {form.name}",
            change="switch TF32 off: torch.backends.cuda.matmul.allow_tf32 and torch.backends.cudnn.allow_tf32"
            if form.code == "H1"
            else f"keep inputs and weights as they are, and convert neither to {form.name}",
            model=chain(site.op.inputs, step),
        )
