"""Causes in the arithmetic itself: half precision, bfloat16, TF32, or float32 where float64 was given.

Rounding cannot be foretold to the last bit, so these models are of two sorts. Where inputs or weights are rounded and
the arithmetic goes on in the given precision, the model is as sharp as any other. Where the output is rounded too, it
lies on the short format's grid; the model then allows one step of that grid, and stands only because every output of
the candidate lies on it, which no other mistake brings about.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from layerdiff.compare.allowance import Call
from layerdiff.compare.diagnosis.geometry import Geometry
from layerdiff.compare.diagnosis.hypothesis import Hypothesis
from layerdiff.compare.diagnosis.kit import Step, chain
from layerdiff.compare.diagnosis.ruled import on_arrays, ruled, step_allowance
from layerdiff.compare.diagnosis.site import Sample, Site
from layerdiff.compare.diagnosis.steps import step_of
from layerdiff.compare.diagnosis.trial import residual
from layerdiff.compare.playback import play
from layerdiff.compare.trace import Array

__all__ = ["hypotheses"]

_CHANNELS = 4
"""Output channels on which a format is tried before it is on all."""

_BLOCK = 8
"""Rows and columns of the output on which it is tried."""

_NEARER = 0.2
"""What may be left of a difference: the float32 sums behind rounded operands take a hundredth of it, or less."""


@dataclass(frozen=True)
class _Format:
    name: str
    code: str
    roundoff: float
    to: Callable[[Tensor], Tensor]
    is_stored: bool
    ties: Callable[[Tensor], Tensor] | None = None
    """Rounds what lies in the middle of two numbers the other way, where both ways are met."""


def _cut(x: Tensor, bits: int, half: int) -> Tensor:
    """Float32's last `bits` bits dropped, after `half` was added to them."""
    found = x.to(torch.float32).contiguous().view(torch.int32)
    return ((found + half) & ~((1 << bits) - 1)).view(torch.float32).to(x.dtype)


_FORMATS = (
    _Format("float16", "H2", 2.0**-11, lambda x: x.to(torch.float16).to(x.dtype), True),
    _Format("bfloat16", "H2", 2.0**-8, lambda x: x.to(torch.bfloat16).to(x.dtype), True),
    # NVIDIA's conversion rounds ties away from zero; other ways to write it take the lower one.
    _Format("TF32", "H1", 2.0**-11, lambda x: _cut(x, 13, 1 << 12), False, lambda x: _cut(x, 13, (1 << 12) - 1)),
    # What is given to a tensor core as it is loses its last bits without a rounding.
    _Format("TF32, downwards", "H1", 2.0**-10, lambda x: _cut(x, 13, 0), False),
    _Format("bfloat16, downwards", "H2", 2.0**-7, lambda x: _cut(x, 16, 0), False),
)
_OPERANDS = ((True, True), (False, True), (True, False), (False, False))
"""Which of inputs and weights are rounded, the likeliest first."""

_FLOAT32 = _Format("float32", "H3", 2.0**-24, lambda x: x.to(torch.float32).to(x.dtype), True)


def hypotheses(site: Site) -> Iterator[Hypothesis]:
    """Which shorter format the candidate computes in."""
    sample = site.clear
    if sample.got.shape != sample.want.shape or not np.isfinite(sample.want).all():
        return
    if any("dtype" in problem for problem in site.problems):
        yield from _of_output(site, _FLOAT32)
    if not np.isfinite(sample.got).all():
        yield from _overflowed(site)
        return
    size = float(np.linalg.norm(sample.want.ravel()))
    if float(np.linalg.norm((sample.got - sample.want).ravel())) > 0.05 * size:
        return
    # The coarsest grid first: within its range float16's holds all of bfloat16's.
    for form in sorted(_FORMATS, key=lambda form: -form.roundoff):
        if form.is_stored and all(_on_grid(one.got, form) and not _on_grid(one.want, form) for one in site.samples):
            yield from _of_output(site, form)
            return
    few = _few(site)
    fitting = [
        (_left(small, few), whole)
        for form in _FORMATS
        for small, whole in zip(_of_operands(few, form), _of_operands(site, form), strict=True)
        if residual(small.model, few) <= 1
    ]
    # What sums in float32 is allowed much in float64's eyes, and within that any small mistake would be explained.
    least = min([_NEARER, *(4 * left for left, _ in fitting)])
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


def _on_grid(array: Array, form: _Format) -> bool:
    return bool(np.array_equal(on_arrays(form.to, array), array))


def _of_output(site: Site, form: _Format) -> Iterator[Hypothesis]:
    """All of it, the output too; where the sums are made in the short format the order matters, and no model fits."""
    if not all(_on_grid(sample.got, form) for sample in site.samples):
        return
    few = _few(site)
    # Whoever rounds the output has rounded what went into it, nearly always; the few channels tell.
    for operands, weights in _OPERANDS if form.is_stored and form is not _FLOAT32 else _OPERANDS[:1]:
        if _fits(few, form, operands=operands, weights=weights):
            break
    else:
        operands = weights = True
    step = _rounded(site, form, operands=operands, weights=weights, output=True)
    only = "" if operands or weights or not site.op.parameters else "the output alone is rounded to "
    whole = form is _FLOAT32
    yield Hypothesis(
        code=form.code,
        title=f"{only}{form.name}" if only
        else f"computes in {form.name}" + (" though it is given float64" if whole else ""),
        change="compute in the precision of the input: convert neither values nor weights to "
        f"{form.name}" + (", and write down no array's type" if whole else ""),
        model=chain(site.op.inputs, step) if step is not None else (),
        evidence=(f"every output is a {form.name} number",),
    )  # fmt: skip


def _fits(few: Site, form: _Format, *, operands: bool, weights: bool) -> bool:
    step = _rounded(few, form, operands=operands, weights=weights, output=True)
    return step is not None and residual(chain(few.op.inputs, step), few) <= 1


def _overflowed(site: Site) -> Iterator[Hypothesis]:
    """What is infinite, being larger than float16 can hold, where all else lies on its grid."""
    half = _FORMATS[0]
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


def _of_operands(site: Site, form: _Format) -> Iterator[Hypothesis]:
    """Inputs and weights, or one of them; the sums are made in the given precision, or in float32."""
    # Tensor cores round both operands, and round none without the other.
    # Nothing but products is made there.
    if form.code == "H1" and site.op.kind not in {"conv2d", "linear"}:
        return
    for operands, weights in _OPERANDS[: 1 if form.code == "H1" else 3]:
        if weights and not site.op.parameters:
            continue
        step = _rounded(site, form, operands=operands, weights=weights, output=False)
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


def _rounded(site: Site, form: _Format, *, operands: bool, weights: bool, output: bool) -> Step | None:
    """The expected operation on rounded inputs and weights, its output rounded or not; None where there is no step.

    Its allowance: that of the operation, its sums being made in float32 where the format is a processor's own, and
    one step of the format where the output is rounded.
    """
    inner = step_of(site.op)
    if inner is None:
        return None
    in_float32 = output or form.code == "H1"

    def prepared(x: Sequence[Tensor], p: Mapping[str, Tensor]) -> tuple[list[Tensor], dict[str, Tensor]]:
        return (
            [form.to(one) if operands else one for one in x],
            {role: form.to(one) if weights else one for role, one in p.items()},
        )

    def function(x: Sequence[Tensor], p: Mapping[str, Tensor]) -> Tensor:
        y = inner.function(*prepared(x, p))
        return form.to(y) if output else y

    def allowance(call: Call) -> Array:
        as_is = np.float32 if in_float32 else call.output.dtype
        inputs = tuple(array.astype(as_is) for array in call.inputs)
        once = step_allowance(inner, Call(call.attributes, call.parameters, inputs, call.output.astype(as_is)), inputs)
        if form.ties is not None:
            once = once + _by_ties(inner, form.to, form.ties, call, operands=operands, weights=weights)
        return once + (2 * form.roundoff * np.abs(call.output) if output else 0.0)

    return ruled(allowance, function, inner.parameters)


def _by_ties(
    inner: Step, one: Callable[[Tensor], Tensor], other: Callable[[Tensor], Tensor], call: Call, *,
    operands: bool, weights: bool,
) -> Array:  # fmt: skip
    """How far an output may move where what lies in the middle of two numbers is rounded the other way.

    An operation of which this is asked is linear in its input and in its weight: its magnitude on magnitudes bounds it.
    """
    x, p = ([torch.from_numpy(np.ascontiguousarray(array)) for array in call.inputs],
            {role: torch.from_numpy(np.array(array, dtype=call.output.dtype)) for role, array in call.parameters.items()
             if role != "bias"})  # fmt: skip

    def apart(t: Tensor) -> Tensor:
        return (one(t) - other(t)).abs()

    moved = torch.zeros(call.output.shape, dtype=x[0].dtype)
    if operands:
        moved = moved + inner.function([apart(t) for t in x], {role: t.abs() for role, t in p.items()})
    if weights:
        moved = moved + inner.function([t.abs() for t in x], {role: apart(t) for role, t in p.items()})
    bound: Array = 1.01 * moved.numpy()
    return bound
