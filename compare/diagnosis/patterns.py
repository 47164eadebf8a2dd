"""What people do to the graph of a network: anomalies recognised as one thing, the large patterns first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence, Set

from layerdiff.compare.diagnosis.anomalies import Anomalies, Difference
from layerdiff.compare.diagnosis.chains import blocks_of, connected
from layerdiff.compare.diagnosis.formats import rounds_to
from layerdiff.compare.diagnosis.rebuilt import deep_stem, folded_without_shift, pre_activation
from layerdiff.compare.finding import UNEXPLAINED
from layerdiff.compare.graph import Graph
from layerdiff.compare.kinds import IDLE, MOVING
from layerdiff.compare.pairs import Pair, outside_inputs
from layerdiff.compare.trace import Op

__all__ = ["differences"]

_LIMITS = {"relu", "clamp", "clamp_min", "maximum", "relu6", "leaky_relu"}
_PROBABILITIES = {"softmax", "logsoftmax", "sigmoid", "logsigmoid"}

Pattern = Callable[[Anomalies, Set[str]], Iterator[Difference]]


def differences(found: Anomalies, unused: Set[str]) -> list[Difference]:
    """The anomalies as differences with a name; every anomaly is in one of them.

    Args:
        found: all there are.
        unused: names of the candidate's tensors that it holds and never uses.
    """
    most = [op for op in found.missing if op.kind != "identity"]
    if len(most) > len(found.here.ops) / 2:
        # Then next to nothing stands for anything, and what is missing says nothing of what was done.
        return [
            Difference(
                UNEXPLAINED, f"{len(most)} of the reference's {len(found.here.ops)} operations have no counterpart",
                "is it the network that was meant?", missing=tuple(most), extra=found.extra, pairs=found.rewired,
            )
        ]  # fmt: skip
    named: list[Difference] = []
    for pattern in _PATTERNS:
        # One after the other: what a difference has named is no part of the next.
        while (one := next(pattern(found, unused), None)) is not None:
            named.append(one)
            found = found.without(one)
    return named


# Whole blocks


def _blocks_missing(found: Anomalies, unused: Set[str]) -> Iterator[Difference]:
    """Chains of missing operations that hold an addition and two convolutions or more."""
    for chain in connected(found.missing):
        for block in _blocks(chain, found.here):
            names = _common(op.layer for op in block)
            yield Difference(
                "A4", f"a block too few: the reference's {names} has no counterpart",
                f"put a block in the place of {names}; is a loop one short?", missing=tuple(block),
            )  # fmt: skip


def _blocks_too_many(found: Anomalies, unused: Set[str]) -> Iterator[Difference]:
    for chain in connected(found.extra):
        for block in _blocks(chain, found.there):
            names = _common(op.layer for op in block)
            yield Difference(
                "A4", f"a block too many: the reference has nothing like {names}",
                f"take {names} out; does a loop run once too often?", extra=tuple(block),
                pairs=found.pairs_behind(block),
            )  # fmt: skip


def _blocks(chain: list[Op], graph: Graph) -> list[list[Op]]:
    """The blocks in a chain, each cut out where that can be; a chain that starts in the middle of one as a whole."""
    blocks = [block for block in blocks_of(chain, graph) if _is_block(block)]
    return blocks or ([chain] if _is_block(chain) else [])


def _is_block(ops: Sequence[Op]) -> bool:
    counts = _counts(ops)
    return counts["add"] > 0 and min(counts["conv2d"], counts["batch_norm"]) >= 2


# Around the shortcut


def _shortcut_forgotten(found: Anomalies, unused: Set[str]) -> Iterator[Difference]:
    for op in found.missing:
        if op.kind != "add":
            continue
        chain = [one for one in found.missing if one is op or _leads_to(one, op, found)]
        yield Difference(
            "A5", "the shortcut is not added", "add what the block was given to what its last batch norm gives",
            missing=tuple(chain), layers=(op.layer,) if len(chain) == 1 else tuple(one.layer for one in chain),
        )  # fmt: skip


def _projection(found: Anomalies, unused: Set[str]) -> Iterator[Difference]:
    """A projection that is missing, in whole or in part, or one too many."""
    for pair in found.alignment.pairs:
        if pair.expected[-1].kind != "add" or not pair.actual:
            continue
        add = pair.expected[-1]
        lost = [op for op in found.missing if _is_projection(op, add, found)]
        extra = _own_shortcut(pair, found)
        if [op.kind for op in lost] == ["batch_norm"]:
            yield Difference(
                "A7", "the projection on the shortcut has no batch norm", "put a batch norm behind it",
                missing=tuple(lost), extra=tuple(extra),
            )  # fmt: skip
        elif lost:
            kinds = {op.kind for op in extra}
            how = "is cut down and filled up with zeros (option A of the paper)" if kinds & (MOVING | {"cat"}) else (
                "is averaged" if kinds & {"avg_pool2d", "mean"} else "is passed on as it is")  # fmt: skip
            yield Difference(
                "A8", f"the shortcut {how}, the reference projects it (option B)",
                "put a 1x1 convolution and a batch norm on the shortcut", missing=tuple(lost), extra=tuple(extra),
                pairs=(pair,),
            )  # fmt: skip
        elif any(op.kind == "conv2d" for op in extra):
            yield Difference(
                "A8", "the shortcut is projected where the reference passes it on as it is",
                "take the projection out", extra=tuple(extra), pairs=(pair,),
            )  # fmt: skip


def _averaged(found: Anomalies, unused: Set[str]) -> Iterator[Difference]:
    """Average-pooling before the projection, in the place of its stride."""
    for pair in found.alignment.pairs:
        extra = [op for op in found.extra if op.kind == "avg_pool2d" and op.layer in pair.behind]
        if extra and pair.expected[-1].kind == "conv2d":
            yield Difference(
                "A11", "the shortcut is averaged before it is projected (ResNet-D)",
                "let the projection have the stride, without pooling", extra=tuple(extra), pairs=(pair,),
            )  # fmt: skip


def _added_twice(found: Anomalies, unused: Set[str]) -> Iterator[Difference]:
    """An addition too many, of what is added already."""
    for op in found.extra:
        if op.kind != "add":
            continue
        for pair in found.alignment.pairs:
            if pair.expected[-1].kind != "add" or not pair.actual:
                continue
            other = pair.actual[-1]
            twice = set(op.inputs) & set(other.inputs)
            if twice and (other.layer in op.inputs or op.layer in other.inputs):
                yield Difference(
                    "A6", "the shortcut is added twice", "add it once", extra=(op,),
                    pairs=(pair,) if op.layer in other.inputs else found.pairs_behind((op,)),
                    layers=(pair.expected[-1].layer,),
                    evidence=(f"{op.layer} adds {' and '.join(sorted(twice))} again",),
                )  # fmt: skip


def _leads_to(op: Op, add: Op, found: Anomalies) -> bool:
    """Whether all that `op` gives goes into `add`, through missing operations alone."""
    missing = {one.layer for one in found.missing}
    waiting, seen = [op.layer], set[str]()
    while waiting:
        layer = waiting.pop()
        for taker in found.here.consumers[layer]:
            if taker == add.layer:
                continue
            if taker not in missing or taker in seen:
                return False
            seen.add(taker)
            waiting.append(taker)
    return True


def _is_projection(op: Op, add: Op, found: Anomalies) -> bool:
    """Whether a missing operation stands on the shortcut: between a value that others take too, and the addition."""
    if op.kind not in {"conv2d", "batch_norm", "avg_pool2d"}:
        return False
    taker, first = op, op
    while taker.layer not in add.inputs:
        following = found.here.consumers[taker.layer]
        if len(following) != 1 or found.here.ops[following[0]].kind not in {"conv2d", "batch_norm"}:
            return False
        taker = found.here.ops[following[0]]
    while first.kind != "conv2d" and first.inputs[0] in found.here.ops:
        first = found.here.ops[first.inputs[0]]
    return first.kind == "conv2d" and len(found.here.consumers[first.inputs[0]]) > 1


def _own_shortcut(pair: Pair, found: Anomalies) -> list[Op]:
    """The candidate's own operations through which its addition takes the shortcut."""
    behind = {op.layer for op in found.extra} & set(pair.behind)
    chain = [op for op in found.extra if op.layer in behind]
    return [] if all(op.kind in _LIMITS for op in chain) else [op for op in chain if op.kind not in _LIMITS]


# Activations


def _swapped_with_norm(found: Anomalies, unused: Set[str]) -> Iterator[Difference]:
    """conv, relu, batch norm where conv, batch norm, relu is expected."""
    for op in found.missing:
        if op.kind not in {"relu", "batch_norm"}:
            continue
        before = found.pair_of(op.inputs[0]) if op.inputs else None
        if op.kind == "relu" and before is not None and before.expected[-1].kind == "batch_norm":
            moved = [one for one in found.extra if one.kind in _LIMITS and one.layer in before.behind]
            pairs: tuple[Pair, ...] = (before,)
        else:
            takers = [pair for pair in found.takers([op]) if pair.expected[0].kind == "relu"]
            later = found.pairs_behind(found.extra)
            moved = [one for one in found.extra if one.kind == "batch_norm" and op.kind == "batch_norm" and takers
                     and _follows(one, takers[0].actual[-1].layer)]  # fmt: skip
            pairs = (*takers, *later) if moved else ()
        if moved:
            norm = op.inputs[0] if op.kind == "relu" else op.layer
            yield Difference(
                "E4", "the ReLU runs before the batch norm, the reference's behind it", "let the batch norm run first",
                missing=(op,), extra=tuple(moved[:1]), pairs=pairs, layers=(norm, *(
                    (op.layer,) if op.kind == "relu" else (takers[0].expected[-1].layer,))),
            )  # fmt: skip


def _follows(op: Op, layer: str) -> bool:
    return layer in op.inputs


def _relu_around_addition(found: Anomalies, unused: Set[str]) -> Iterator[Difference]:
    """A ReLU that stands before an addition instead of behind it, before it as well, or not at all."""
    for pair in found.alignment.pairs:
        if pair.expected[-1].kind != "add" or not pair.actual:
            continue
        add = pair.expected[-1]
        before = [op for op in found.extra if op.kind in _LIMITS and op.layer in pair.behind]
        behind = [op for op in found.missing if op.kind == "relu" and op.inputs == (add.layer,)]
        if before and behind:
            yield Difference(
                "E2", "the ReLU stands before the addition, the reference's behind it",
                "add first, then apply the ReLU", missing=tuple(behind), extra=tuple(before), pairs=(pair,),
                layers=(add.layer, behind[0].layer),
            )  # fmt: skip
        elif before:
            on_shortcut = all(_is_on_shortcut(op, found) for op in before)
            code, title, change = _RECTIFIED if on_shortcut else _TWICE
            yield Difference(code, title, change, extra=tuple(before), pairs=(pair,))


_TWICE = ("E3", "a ReLU too many, before the addition", "add without it; the ReLU comes behind the addition")
_RECTIFIED = (
    "E6", "the shortcut went through a ReLU before it is added",
    "keep the shortcut before the ReLU, and do not let the ReLU work in place",
)  # fmt: skip


def _is_on_shortcut(op: Op, found: Anomalies) -> bool:
    """Whether an operation too many takes what the reference's branch and addition both take."""
    before = (pair for pair in found.alignment.pairs if pair.actual and pair.actual[-1].layer in op.inputs)
    source = next((pair.expected[-1].layer for pair in before), "")
    return len(found.here.consumers[source]) > 1


def _relu_missing(found: Anomalies, unused: Set[str]) -> Iterator[Difference]:
    for op in found.missing:
        if op.kind != "relu":
            continue
        before = found.here.ops.get(op.inputs[0])
        after_add = before is not None and before.kind == "add"
        forks = any(len(found.here.consumers[one.layer]) > 1 for one in _before(op, found))
        stem = not after_add and not forks
        where = "behind the addition" if after_add else "in the stem" if stem else "inside the block"
        yield Difference(
            "E2" if after_add else "E1", f"the ReLU {where} is missing", "put it in", missing=(op,),
        )  # fmt: skip


def _before(op: Op, found: Anomalies) -> list[Op]:
    waiting, seen = [*op.inputs], dict[str, Op]()
    while waiting:
        layer = waiting.pop()
        if layer in found.here.ops and layer not in seen:
            seen[layer] = found.here.ops[layer]
            waiting.extend(seen[layer].inputs)
    return list(seen.values())


def _too_many(found: Anomalies, unused: Set[str]) -> Iterator[Difference]:
    for chain in connected(found.extra):
        kinds = [op.kind for op in chain]
        pairs = found.pairs_behind(chain)
        words = " and ".join(dict.fromkeys(kinds))
        words = f"{'an' if words[0] in 'aeiou' else 'a'} {words}"
        if set(kinds) <= _LIMITS:
            code, title = "E3", "a ReLU too many"
        elif {kind.replace("_", "").lower() for kind in kinds} <= _PROBABILITIES:
            code, title = "F4", f"{words} on top of the logits"
        elif set(kinds) <= {"dropout", "feature_dropout", "dropout2d"}:
            code, title = "K4", "dropout at work in eval mode"
        elif (short := rounds_to(chain)) is not None:
            code, title = short
        elif set(kinds) <= {"max_pool2d", "avg_pool2d"}:
            code, title = "A11", f"{words} too many"
        else:
            code, title = "A17", f"{words} too many"
        yield Difference(
            code, title, "take it out", extra=tuple(chain), pairs=pairs,
            layers=() if pairs else tuple(_taken_by(chain, found)),
            evidence=(f"{', '.join(op.layer for op in chain)} has no counterpart",),
        )  # fmt: skip


def _taken_by(chain: Sequence[Op], found: Anomalies) -> list[str]:
    """The expected layers behind which these operations stand."""
    own = {op.layer for op in chain}
    before = [layer for layer in outside_inputs(chain) if layer not in own]
    return [p.expected[-1].layer for p in found.alignment.pairs if p.actual and p.actual[-1].layer in before]


def _left_out(found: Anomalies, unused: Set[str]) -> Iterator[Difference]:
    """What is missing otherwise."""
    for chain in connected(found.missing):
        kinds = [op.kind for op in chain]
        words = " and ".join(dict.fromkeys(kinds))
        verb = "is" if len(set(kinds)) == 1 else "are"
        if kinds == ["max_pool2d"]:
            yield Difference("A11", "the stem has no max-pooling", "put it in", missing=tuple(chain))
        elif set(kinds) <= MOVING | IDLE:
            yield Difference("A15", f"{words} {verb} missing", "put it in", missing=tuple(chain))
        elif any(op.parameters for op in chain) and unused:
            yield Difference(
                "A14", f"{words} {verb} declared and never called", "call it in the forward pass", missing=tuple(chain),
                evidence=(f"the candidate holds {', '.join(sorted(unused)[:4])} and never uses it",),
            )  # fmt: skip
        else:
            yield Difference("A18", f"{words} {verb} missing", "put it in", missing=tuple(chain))


# Inputs from elsewhere


def _wiring(found: Anomalies, unused: Set[str]) -> Iterator[Difference]:
    for pair in found.rewired:
        op = pair.expected[-1]
        clobbered = _overwritten(pair, found)
        if clobbered is not None:
            yield clobbered
            continue
        told = next((text for text in pair.problems if text.startswith(("wiring:", "inputs:"))), "")
        if op.kind == "add":
            title = "the addition takes another tensor"
        elif _shortcut_of(op, found):
            title = "the shortcut's projection takes another tensor"
        else:
            title = "it takes its input from elsewhere"
        yield Difference(
            "A6", title, "give it what the reference gives it: " + " and ".join(outside_inputs(pair.expected)),
            pairs=(pair,), evidence=(told,),
        )  # fmt: skip


def _overwritten(pair: Pair, found: Anomalies) -> Difference | None:
    """An addition that takes the shortcut behind a ReLU that wrote over it."""
    if len(pair.expected) != 1 or pair.expected[0].kind != "add":
        return None
    own = {p.expected[-1].layer: p.actual[-1].layer for p in found.alignment.pairs if p.actual}
    wanted = {own.get(layer, layer) for layer in pair.expected[0].inputs}
    for layer in pair.actual[-1].inputs:
        op = found.there.ops.get(layer)
        if op is not None and layer not in wanted and op.kind in _LIMITS and op.inputs[0] in wanted:
            return Difference(
                *_RECTIFIED, pairs=(pair,),
                evidence=(f"the addition takes {layer}, expected {op.inputs[0]}",),
            )  # fmt: skip
    return None


def _shortcut_of(op: Op, found: Anomalies) -> bool:
    return op.kind == "conv2d" and len(found.here.consumers[op.inputs[0]]) > 1


_PATTERNS: tuple[Pattern, ...] = (
    folded_without_shift, pre_activation, deep_stem,
    _blocks_missing, _blocks_too_many, _shortcut_forgotten, _projection, _averaged,
    _added_twice, _swapped_with_norm, _relu_around_addition,
    _relu_missing, _too_many, _left_out, _wiring,
)  # fmt: skip


def _counts(ops: Sequence[Op]) -> dict[str, int]:
    return {kind: sum(op.kind == kind for op in ops) for kind in ("add", "conv2d", "batch_norm")}


def _common(layers: Iterator[str]) -> str:
    """The part of their ids that some layers share."""
    parts = [layer.split(".") for layer in layers]
    shared = []
    for column in zip(*parts, strict=False):
        if len(set(column)) > 1:
            break
        shared.append(column[0])
    return ".".join(shared) or f"{'.'.join(parts[0])} to {'.'.join(parts[-1])}"
