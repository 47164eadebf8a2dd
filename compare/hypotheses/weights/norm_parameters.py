"""What is wrong with the parameters that a candidate's batch norm holds, or whose they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import permutations

import numpy as np

from layerdiff.compare.hypotheses.channelwise import number, pointwise, same_shapes, surviving
from layerdiff.compare.hypotheses.hypothesis import Hypothesis
from layerdiff.compare.hypotheses.norm.values import correction
from layerdiff.compare.hypotheses.site import Site
from layerdiff.compare.hypotheses.weights.causes import Cause, cause_of, not_loaded, with_parameters
from layerdiff.compare.hypotheses.weights.relations import Relation, relation
from layerdiff.compare.hypotheses.weights.tensor_pool import pool_of
from layerdiff.compare.trace import Array

__all__ = ["norm_hypotheses"]

_STATISTICS = frozenset({"running_mean", "running_var"})
_ORDER = ("weight", "bias", "running_mean", "running_var")
_INITIAL: Mapping[str, tuple[float, ...]] = {
    "weight": (1.0, 0.0), "bias": (0.0,), "running_mean": (0.0,), "running_var": (1.0,)
}  # fmt: skip
"""A weight is 0 at first where the last batch norm of a block is initialised so (`zero_init_residual`)."""


@dataclass(frozen=True)
class _Held:
    """The parameters that are not as expected.

    Attributes:
        site: where.
        want: the expected ones, by role.
        have: the candidate's.
        relations: of each to the expected one.
    """

    site: Site
    want: Mapping[str, Array]
    have: Mapping[str, Array]
    relations: Mapping[str, Relation]


def norm_hypotheses(site: Site) -> Iterator[Hypothesis]:
    """Parameters of a batch norm that are not the expected ones: not loaded, swapped, moved, another layer's.

    Args:
        site: of an expected batch norm.
    """
    held = _held(site)
    if not held.relations:
        yield from _another_layers(site)
        return
    evidence = tuple(f"{role}: {one.text}" for role, one in held.relations.items())
    model = with_parameters(site.op, held.have)
    for cause, more in _causes(held):
        yield Hypothesis(
            cause.code, cause.title, cause.change, model=model, parameters=held.want, evidence=(*evidence, *more),
            rank=0,
        )  # fmt: skip


def _held(site: Site) -> _Held:
    pool = pool_of(site.weights)
    want, have, relations = {}, {}, {}
    for role in _ORDER:
        expected, own = site.op.parameters.get(role), site.own(role)
        if expected is None or own is None or own.size != expected.size:
            continue
        one = relation(expected, own.reshape(expected.shape), pool)
        if one is not None:
            # A batch norm written by hand may hold (1, c, 1, 1).
            want[role] = expected.reshape(own.shape).astype(own.dtype)
            have[role] = own.reshape(expected.shape)
            relations[role] = one
    return _Held(site, want, have, relations)


def _causes(held: _Held) -> Iterator[tuple[Cause, tuple[str, ...]]]:
    """The first that fits, with its evidence; more than one where the parameters cannot tell."""
    for find in (_initial, _swapped, _of_other, _factor, _rounded, _reordered):
        causes = find(held)
        if causes:
            yield from ((cause, ()) for cause in causes)
            return
    roles = frozenset(held.relations)
    if roles <= _STATISTICS and all(_is_near(held, role) for role in roles):
        yield _moved(held)
        return
    first = next(iter(held.relations))
    yield cause_of(held.relations[first], first, held.site.op), ()


def _initial(held: _Held) -> tuple[Cause, ...]:
    roles = frozenset(held.relations)
    if roles == {"weight"} and not held.have["weight"].any():
        return (Cause("G5", "weight is all 0: an initialisation ran after the weights were loaded",
                      "initialise first, and load then"),)  # fmt: skip
    if not all(any((held.have[role] == value).all() for value in _INITIAL[role]) for role in roles):
        return ()
    named = [role for role in _ORDER if role in roles]
    what = " and ".join(named) + (" are" if len(named) > 1 else " is")
    values = " and ".join(number(float(held.have[role].flat[0])) for role in named)
    at = f"{what} at {'their initial values' if len(named) > 1 else 'its initial value'}, {values}"
    if roles <= _STATISTICS:
        return (Cause("G4", f"{at}: only the parameters were loaded, not the buffers",
                      "load the buffers too: state_dict(), not parameters()"),)  # fmt: skip
    if roles <= {"weight", "bias"}:
        return (Cause("C9", at, "load weight and bias, and let the batch norm use them (affine=True)"),)
    return not_loaded(held.site.layer)


def _swapped(held: _Held) -> tuple[Cause, ...]:
    roles = list(held.relations)
    for order in permutations(roles):
        # All of them moved: what is at its place is not among them.
        if all(
            _is(held.have[role], held.site.op.parameters[source], role)
            for role, source in zip(roles, order, strict=True)
        ):
            text = (
                f"{roles[0]} and {roles[1]} are swapped"
                if len(roles) == 2
                else ", ".join(f"{source} is used as {role}" for role, source in zip(roles, order, strict=True))
            )
            return (Cause("C4", text, "assign weight, bias, running_mean and running_var by name, not by place"),)
    return ()


def _is(have: Array, other: Array, role: str) -> bool:
    """Whether a parameter is another one; as a variance, a mean may have been made positive."""
    return np.array_equal(have, other) or (role == "running_var" and np.array_equal(have, np.abs(other)))


def _of_other(held: _Held) -> tuple[Cause, ...]:
    if all(one.kind == "another layer" for one in held.relations.values()):
        return (cause_of(next(iter(held.relations.values())), "weight", held.site.op),)
    return ()


def _factor(held: _Held) -> tuple[Cause, ...]:
    """The statistics multiplied by one number, or the variance's root."""
    roles = frozenset(held.relations)
    if not roles <= _STATISTICS:
        return ()
    factors = {role: one.value for role, one in held.relations.items() if one.kind == "scaled"}
    if roles == _STATISTICS and len(factors) == 2 and factors["running_mean"] == factors["running_var"]:
        k = factors["running_mean"] or 0.0
        return (Cause("C8", f"running_mean and running_var are {number(k)} times the right ones",
                      "divide both by the scale factor that is stored beside them (Caffe: blobs[2])"),)  # fmt: skip
    if roles == factors.keys() == {"running_var"}:
        k = factors["running_var"] or 0.0
        found = correction(held.site, k, error=2.0**-22)
        if found is not None:
            return (Cause("C3", *found),)
        return (Cause("C8", f"running_var is {number(k)} times the right one", "give the variance as it is"),)
    if roles == factors.keys() == {"running_mean"}:
        k = factors["running_mean"] or 0.0
        return (Cause("C8", f"running_mean is {number(k)} times the right one", "give the mean as it is"),)
    if roles == {"running_var"}:
        return _of_variance(held)
    return ()


def _of_variance(held: _Held) -> tuple[Cause, ...]:
    """What stands in the variance's place and is a function of it."""
    want = held.site.op.parameters["running_var"].astype(np.float64)
    have = held.have["running_var"].astype(np.float64)
    eps = float(str(held.site.op.attributes["eps"]))
    made: tuple[tuple[str, Callable[[Array], Array]], ...] = (
        ("the standard deviation", np.sqrt),
        ("√(running_var + eps), the standard deviation", lambda v: np.sqrt(v + eps)),
        ("the reciprocal of the variance", lambda v: 1 / v),
        ("1/√(running_var + eps), the reciprocal of the standard deviation", lambda v: 1 / np.sqrt(v + eps)),
    )
    for name, function in made:
        with np.errstate(all="ignore"):
            # Rounded to float32 once more than computed here, from values that were.
            close = np.abs(have / function(want) - 1) <= 4 * np.finfo(np.float32).eps
        if close.all():
            return (Cause("C8", f"running_var holds {name}", "give the variance"),)
    return ()


def _rounded(held: _Held) -> tuple[Cause, ...]:
    ones = list(held.relations.items())
    if all(one.kind == "rounded" for _, one in ones):
        return (cause_of(ones[0][1], ones[0][0], held.site.op),)
    return ()


def _reordered(held: _Held) -> tuple[Cause, ...]:
    if all(one.kind == "rows permuted" for one in held.relations.values()):
        return (Cause("G10", "the batch norm's channels are in another order", "keep the order of the channels"),)
    return ()


def _moved(held: _Held) -> tuple[Cause, tuple[str, ...]]:
    """Statistics that differ, while weight and bias are right: what a forward pass in training mode leaves."""
    cause = Cause(
        "K2",
        f"{' and '.join(held.relations)} have moved: a forward pass in training mode changed them",
        "call eval() before any forward pass, or load the weights again",
    )
    return cause, _momentum(held)


def _is_near(held: _Held, role: str) -> bool:
    """Whether a parameter still goes with the expected one, as it does after a few steps away from it."""
    both = [np.ravel(one).astype(np.float64) for one in (held.have[role], held.want[role])]
    if any(one.std() == 0 for one in both):
        return False
    return float(np.corrcoef(both[0], both[1])[0, 1]) > 0.3


def _momentum(held: _Held) -> tuple[str, ...]:
    """The momentum, if one pass on this very input explains the mean: m' = m + a·(mean(x) - m)."""
    if "running_mean" not in held.have:
        return ()
    x = held.site.real.inputs[0].astype(np.float64)
    before = held.site.op.parameters["running_mean"].astype(np.float64)
    step = x.mean(axis=tuple(i for i in range(x.ndim) if i != 1)) - before
    moved = held.have["running_mean"].astype(np.float64) - before
    size = float(np.vdot(step, step))
    a = float(np.vdot(step, moved)) / size if size else 0.0
    if a == 0 or np.abs(moved - a * step).max() > 1e-4 * np.abs(moved).max():
        return ()
    return (f"they are those after one pass on this very input with momentum {a:.3g}",)


def _another_layers(site: Site) -> Iterator[Hypothesis]:
    """Another batch norm's parameters, where the candidate shows none or the right ones."""
    if not same_shapes(site):
        return
    thin = pointwise(site)
    channels = site.op.parameters["running_mean"].shape
    groups = (("", _ORDER), ("statistics", _ORDER[2:]), ("weight and bias", _ORDER[:2]))
    found = []
    for layer, parameters in site.weights.items():
        if layer == site.layer or parameters.get("running_mean", np.zeros(0)).shape != channels:
            continue
        for what, roles in groups:
            exchanged = {role: parameters[role] for role in roles if role in parameters and role in site.op.parameters}
            title = f"the {what} are another layer's" if what else "the parameters are another layer's"
            one = Hypothesis(
                "G3", title, "copy the parameters by name, not by order",
                model=with_parameters(site.op, exchanged), evidence=(f"those of {layer}",), rank=2,
            )  # fmt: skip
            found.append(one)
    yield from surviving(found, thin, nearest=0)
