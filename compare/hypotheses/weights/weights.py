"""What is wrong with the parameters of a candidate's operation: those it holds, and those it computes with."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from layerdiff.compare.hypotheses.hypothesis import Hypothesis
from layerdiff.compare.hypotheses.site import Site
from layerdiff.compare.hypotheses.weights.causes import cause_of, not_loaded, with_parameters
from layerdiff.compare.hypotheses.weights.effective import effective
from layerdiff.compare.hypotheses.weights.fused import fused
from layerdiff.compare.hypotheses.weights.norm_parameters import norm_hypotheses
from layerdiff.compare.hypotheses.weights.relations import Relation, relation
from layerdiff.compare.hypotheses.weights.tensor_pool import pool_of

__all__ = ["hypotheses"]


def hypotheses(site: Site) -> Iterator[Hypothesis]:
    """Parameters of the candidate's that are not the expected ones, by what they are instead.

    Those that it holds and shows are compared to the bit, and undone by giving it the expected ones. Where it holds the
    right ones, or shows none, what it computes with is tried: turned, reshaped, another layer's.

    Args:
        site: of an expected convolution, linear layer or batch norm.
    """
    if site.op.kind == "batch_norm":
        yield from norm_hypotheses(site)
    elif site.op.kind in {"conv2d", "linear"}:
        held = _held(site)
        if "weight" in held and site.op.kind == "conv2d":
            yield from fused(site)
        yield from _of_held(site, held)
        yield from _of_bias(site)
        if "weight" not in held:
            yield from effective(site)


def _held(site: Site) -> dict[str, Relation]:
    """The roles in which the candidate holds something else than expected, and what that is."""
    pool, found = pool_of(site.weights), {}
    for role, want in site.op.parameters.items():
        have = site.own(role)
        one = None if have is None else relation(want, have, pool)
        # In another shape it may lie as the candidate's code wants it: what that computes says whether it is wrong.
        if one is not None and have is not None and have.shape == want.shape:
            found[role] = one
    return found


def _of_held(site: Site, held: dict[str, Relation]) -> Iterator[Hypothesis]:
    if not held:
        return
    role = "weight" if "weight" in held else next(iter(held))
    have = {role: array for role in held if (array := site.own(role)) is not None}
    model = with_parameters(site.op, have)
    repair = {role: site.op.parameters[role] for role in held}
    evidence = tuple(f"{role}: {one.text}" for role, one in held.items())
    cause = cause_of(held[role], role, site.op)
    causes = not_loaded(site.layer) if held[role].kind == "initial" else (cause,)
    for one in causes:
        yield Hypothesis(one.code, one.title, one.change, model=model, parameters=repair, evidence=evidence, rank=0)


def _of_bias(site: Site) -> Iterator[Hypothesis]:
    """A bias that the reference has not: shown, and not zero."""
    bias = site.own("bias")
    if "bias" in site.op.parameters or bias is None or not bias.any():
        return
    outputs = len(site.op.parameters["weight"])
    yield Hypothesis(
        "B8",
        "it has a bias, which the reference has not",
        "build the layer with bias=False: a batch norm follows it",
        model=with_parameters(site.op, {"bias": bias}) if bias.shape == (outputs,) else (),
        parameters={"bias": np.zeros_like(bias)},
        evidence=(f"its bias is up to {np.abs(bias).max():.3g}",),
        rank=0,
    )
