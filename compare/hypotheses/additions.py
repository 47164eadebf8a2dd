"""Causes at an addition: a term that is missing, taken twice, scaled, or passed through something first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from torch import Tensor
from torch.nn import functional

from layerdiff.compare.hypotheses.hypothesis import Hypothesis
from layerdiff.compare.hypotheses.kit import chain
from layerdiff.compare.hypotheses.roles import shortcut_index
from layerdiff.compare.hypotheses.ruled import combination
from layerdiff.compare.hypotheses.site import Site
from layerdiff.compare.hypotheses.solving import snapped, spelled, tolerance
from layerdiff.compare.trace import Array

__all__ = ["hypotheses"]

_ROWS = 8192
"""Elements from which factors are solved; the model is tried on all."""

_Term = tuple[str, Callable[[Sequence[Tensor]], Tensor], Callable[[Sequence[Array]], Array]]


def hypotheses(site: Site) -> Iterator[Hypothesis]:
    """What a sum of two terms may be instead; each candidate form is solved for its factors."""
    samples = site.samples
    if site.op.kind != "add" or len(site.op.inputs) != 2 or len(set(site.op.inputs)) != 2:
        return
    if any(sample.got.shape != sample.want.shape for sample in samples):
        return
    names = _names(site)
    plain, positive, product = _terms(names)
    forms = (
        plain,
        (positive[0], plain[1]),
        (plain[0], positive[1]),
        positive,
        (product,),
        (*plain, product),
    )
    for form in forms:
        factors = _solved(site, form)
        if factors is None:
            continue
        if form is plain and factors == (1.0, 1.0):
            return
        yield _named(site, form, factors, names)
        return


def _names(site: Site) -> tuple[str, str]:
    return ("the shortcut", "the main branch") if shortcut_index(site) == 0 else ("the main branch", "the shortcut")


def _terms(names: tuple[str, str]) -> tuple[tuple[_Term, _Term], tuple[_Term, _Term], _Term]:
    plain: tuple[_Term, _Term] = (
        (names[0], lambda x: x[0], lambda x: x[0]),
        (names[1], lambda x: x[1], lambda x: x[1]),
    )
    positive: tuple[_Term, _Term] = (
        (f"relu({names[0]})", lambda x: functional.relu(x[0]), lambda x: np.maximum(x[0], 0)),
        (f"relu({names[1]})", lambda x: functional.relu(x[1]), lambda x: np.maximum(x[1], 0)),
    )
    return plain, positive, (f"{names[0]} · {names[1]}", lambda x: x[0] * x[1], lambda x: x[0] * x[1])


def _solved(site: Site, form: Sequence[_Term]) -> tuple[float, ...] | None:
    """The factors of a form by least squares, as round as rounding lets them be; None where the form does not fit."""
    sample = site.clear
    chosen = np.random.default_rng(0).permutation(sample.got.size)[:_ROWS]
    inputs = [np.broadcast_to(array, sample.got.shape).ravel()[chosen] for array in sample.inputs]
    columns, target = np.stack([term[2](inputs) for term in form], axis=1), sample.got.ravel()[chosen]
    if not np.isfinite(columns).all() or not np.isfinite(target).all():
        return None
    factors, _, rank, _ = np.linalg.lstsq(columns, target, rcond=None)
    # Once more for what is left: the normal rounding of a fit is larger than that of a sum.
    factors = factors + np.linalg.lstsq(columns, target - columns @ factors, rcond=None)[0]
    room = tolerance(np.abs(columns).sum(axis=1) * (1 + np.abs(factors).max()))
    if rank < len(form) or float(np.abs(columns @ factors - target).max()) > room:
        return None
    # Least squares is as good as the data; a factor's own error is that of the sum over the size of its column.
    errors = room / np.abs(columns).max(axis=0)
    return tuple(snapped(float(f), float(e)) for f, e in zip(factors, errors, strict=True))


def _named(site: Site, form: Sequence[_Term], factors: tuple[float, ...], names: tuple[str, str]) -> Hypothesis:
    kept = [(factor, term) for factor, term in zip(factors, form, strict=True) if factor]
    labels = tuple(term[0] for _, term in kept)
    code, title, change = _words(kept, labels, names)
    model = combination([factor for factor, _ in kept], [term[1] for _, term in kept]) if kept else combination(
        [0.0], [form[0][1]]
    )  # fmt: skip
    ids = "; ".join(f"{name} is {layer}" for name, layer in zip(names, site.op.inputs, strict=True))
    return Hypothesis(
        code=code,
        title=title,
        change=change,
        model=chain(site.op.inputs, model),
        evidence=(f"fitted: {_formula(kept)}", ids),
    )


def _words(
    kept: Sequence[tuple[float, _Term]], labels: tuple[str, ...], names: tuple[str, str]
) -> tuple[str, str, str]:
    """The code, the title and the advice for a sum of these terms."""
    add_both = f"add {names[0]} and {names[1]}, each once and as they are"
    factors = dict(zip(labels, (factor for factor, _ in kept), strict=True))
    if len(kept) == 1 and labels[0] in names:
        (other,) = (name for name in names if name != labels[0])
        extra = "" if kept[0][0] == 1 else f", and {labels[0]} is taken {spelled(kept[0][0])} times"
        return "A5", f"{other} is not added{extra}", add_both
    through = [name for name in names if f"relu({name})" in labels]
    if through and all(factor == 1 for factor, _ in kept) and len(kept) == 2:
        if len(through) == 2:
            return "E3", "a ReLU is put on both branches before the addition", "apply the ReLU to the sum only"
        code = "E3" if through[0] == "the main branch" else "E6"
        return code, f"a ReLU is put on {through[0]} before the addition", (
            "add the last batch norm's output as it is" if code == "E3"
            else "keep the block's input as it was: no in-place ReLU on it before the addition"
        )  # fmt: skip
    for name, factor in factors.items():
        if name in names and factor == 2 and all(factors.get(other) == 1 for other in names if other != name):
            return "A6", f"{name} is added twice", add_both
    return "A6", f"another sum: {_formula(kept)}, expected {names[0]} + {names[1]}", add_both


def _formula(kept: Sequence[tuple[float, _Term]]) -> str:
    if not kept:
        return "0"
    parts = [name if factor == 1 else f"{spelled(factor)}·{name}" for factor, (name, _, _) in kept]
    return " + ".join(parts).replace("+ -1·", "- ").replace("+ -", "- ")
