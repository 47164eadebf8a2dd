"""Why steps of training move a network otherwise: what is tried, in order, and what is left unexplained."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from itertools import chain

import numpy as np

from layerdiff.compare.finding import UNEXPLAINED, Finding
from layerdiff.compare.result import Steps
from layerdiff.compare.steps.judge_steps import Moved
from layerdiff.compare.steps.mover import State, Training
from layerdiff.compare.steps.running import running_causes, still_norms
from layerdiff.compare.steps.solved import solved
from layerdiff.compare.steps.torch_optimisers import Rehearsal
from layerdiff.compare.steps.trials import Trial, decays, trials
from layerdiff.compare.steps.tried import first_that_explains, worst_under

__all__ = ["Frozen", "causes_of_steps"]

Frozen = Callable[[Collection[str]], Sequence[State]]
"""What the expected network becomes in every step while some of its modules stay in eval mode."""

_RULE = "the expected gradients, put through this optimiser, give what it gives after every step"


def causes_of_steps(steps: Steps, moves: Sequence[Moved], training: Training, frozen: Frozen) -> tuple[Finding, ...]:
    """The causes of tensors that were moved otherwise, as far as they are found; unexplained for the rest.

    Args:
        steps: settled.
        moves: every one of them.
        training: what was expected.
        frozen: runs it again.
    """
    wrong = {kind: {one.name for one in steps.tensors if one.status == "fault" and one.kind == kind and one.measures}
             for kind in ("parameter", "running")}  # fmt: skip
    found: list[Finding] = []
    cause = _frozen(wrong["parameter"], wrong["running"], moves, frozen)
    if cause is not None:
        found.append(cause)
        wrong = {kind: names - set(cause.layers) for kind, names in wrong.items()}
    found += running_causes(wrong["running"], moves, _momenta(training))
    found += _still(wrong["parameter"], moves)
    told = {name for one in found for name in one.layers}
    rest = sorted(wrong["parameter"] - told)
    if rest:
        found.append(_rule(rest, moves, training) or _gradients(rest, moves, training) or _unexplained(rest))
    return tuple(found)


def _frozen(parameters: set[str], running: set[str], moves: Sequence[Moved], again: Frozen) -> Finding | None:
    """Batch norms that stay in eval mode: their estimates stand still, and what is learned is learned through these."""
    norms = still_norms(running, moves)
    if not norms or not parameters:
        return None
    ratios = dict.fromkeys(parameters, 0.0)
    for move, after in zip(moves, again(norms), strict=True):
        for name in ratios:
            ratio = np.abs(move.actual[name] - after[name]) / np.maximum(move.floor[name], 1e-12 * np.abs(after[name]))
            ratios[name] = max(ratios[name], float(ratio.max(initial=0.0)))
    explained = {name for name, ratio in ratios.items() if ratio <= 1}
    if not explained:
        return None
    still = {name for name in running if name.rpartition(".")[0] in norms}
    every = len(norms) == len({name.rpartition(".")[0] for name in moves[0].after if name.endswith(".running_mean")})
    words = "a batch norm stays" if len(norms) == 1 else f"{'all ' if every else ''}{len(norms)} batch norms stay"
    return Finding(
        "K6", f"{words} in eval mode while the network trains", tuple(sorted(explained | still)),
        "call train() on the whole network before training, unless they are meant to be frozen", confirmed=True,
        how="the expected network, trained with these norms in eval mode, becomes the same",
        after=max(ratios[name] for name in explained),
    )  # fmt: skip


def _momenta(training: Training) -> dict[str, float | None]:
    """The momentum of each norm of the reference."""
    named = training.network().named_modules()
    return {name: getattr(module, "momentum", None) for name, module in named if hasattr(module, "running_mean")}


def _still(wrong: set[str], moves: Sequence[Moved]) -> Iterator[Finding]:
    """Parameters that do not move at all."""
    names = tuple(
        sorted(
            name for name in wrong
            if all(np.array_equal(one.actual[name], one.before[name]) for one in moves)
            and any(not np.array_equal(one.after[name], one.before[name]) for one in moves)
        )
    )  # fmt: skip
    if not names:
        return
    everything = all(
        np.array_equal(one.actual[name], one.before[name])
        for one in moves for name in one.gradients if name in one.actual
    )  # fmt: skip
    change = (
        "call backward() and then step(), with zero_grad() before the two and never between them" if everything
        else "give all parameters to the optimiser, with requires_grad, and register every layer"
    )  # fmt: skip
    words = "no parameter is ever moved" if everything else f"{len(names)} parameters are never moved"
    yield Finding(
        "J12", "a parameter is never moved" if len(names) == 1 else words, names, change, confirmed=True,
        how="it is what it was, to the last bit, after every step", after=0.0,
    )  # fmt: skip


def _rule(names: Sequence[str], moves: Sequence[Moved], training: Training) -> Finding | None:
    """Another optimiser, or the expected one with other hyperparameters, given the expected gradients."""
    if training.step is None:
        return None
    tried = chain(decays(training), solved(training, names, moves), trials(training))
    found = first_that_explains(tried, names, moves)
    if found is None:
        return None
    trial, worst = found
    return Finding(
        trial.code, trial.title, tuple(names), trial.change, confirmed=True, how=_RULE, after=worst,
        equally=trial.equally,
    )  # fmt: skip


def _expected(training: Training) -> Trial:
    return Trial("", "", "", lambda like: Rehearsal(like, training.spec))


def _gradients(names: Sequence[str], moves: Sequence[Moved], training: Training) -> Finding | None:
    """Not the optimiser: given the candidate's own gradients, the expected one makes the same of them."""
    if any(name not in move.own_gradients for name in names for move in moves):
        return None
    own = replace(_expected(training), gradients=lambda moves, number: moves[number].own_gradients)
    worst = worst_under(own, names, moves)
    if not worst <= 1:
        return None
    return replace(
        _unexplained(names), title="its gradients are others, and it moves by them as expected",
        change="see with --backward which layer's gradient is wrong; if none is, the loss is another",
    )  # fmt: skip


def _unexplained(names: Sequence[str]) -> Finding:
    return Finding(
        UNEXPLAINED, "the way its parameters move is unexplained", tuple(names),
        "compare the training step with the reference's, by hand",
    )  # fmt: skip
