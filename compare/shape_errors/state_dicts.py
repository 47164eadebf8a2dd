"""M9, M10 and M14: tensors that cannot be loaded, seen from names and shapes alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from layerdiff.compare.names import plain_name
from layerdiff.compare.shape_errors.explanation import Explanation

__all__ = ["explain_state_dict"]

_COUNTER = "num_batches_tracked"
_STRICT = "load_state_dict(strict=False) does not help: it forgives names, not shapes"

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class _Tables:
    """What is loaded, and what it is loaded into."""

    expected: Shapes
    actual: Shapes

    @cached_property
    def missing(self) -> list[str]:
        """Names the candidate has and the state dict lacks, as torch calls them."""
        return [name for name in self.actual if name not in self.expected]

    @cached_property
    def unexpected(self) -> list[str]:
        """Names of the state dict that the candidate lacks."""
        return [name for name in self.expected if name not in self.actual]

    @cached_property
    def mismatched(self) -> list[str]:
        """Names both have, with other shapes."""
        return [name for name in self.expected if name in self.actual and self.expected[name] != self.actual[name]]

    @property
    def keys(self) -> tuple[str, ...]:
        """The missing and the unexpected keys, in torch's words, the first few of each."""
        lines = []
        for word, names in (("missing", self.missing), ("unexpected", self.unexpected)):
            if names:
                more = f" and {len(names) - 3} more" if len(names) > 3 else ""
                lines.append(f"{word} {', '.join(names[:3])}{more}")
        return tuple(lines)

    def shapes(self, name: str) -> str:
        """`fc.weight: [1000, 2048] is loaded into [3, 2048]`."""
        return f"{name}: {list(self.expected[name])} is loaded into {list(self.actual[name])}"


def explain_state_dict(expected: Shapes, actual: Shapes) -> Explanation | None:
    """Why `actual.load_state_dict(expected.state_dict())` raises; None if it does not.

    Args:
        expected: the shapes of what is loaded, by name, such as torchvision's.
        actual: the shapes of what it is loaded into.
    """
    tables = _Tables(expected, actual)
    if not (tables.missing or tables.unexpected or tables.mismatched):
        return None
    patterns: tuple[Callable[[_Tables], Explanation | None], ...] = (
        _prefix,
        _head_replaced,
        _other_block,
        _other_widths,
        _counters,
        _deep_stem,
        _other_words,
        _other_depth,
        _other_names,
    )
    return next((found for pattern in patterns if (found := pattern(tables)) is not None), None)


def _head_replaced(tables: _Tables) -> Explanation | None:
    """M9: only the last linear layer has another number of classes."""
    names = tables.mismatched
    heads = {name.rpartition(".")[0] for name in names}
    last = [name for name, shape in tables.actual.items() if len(shape) == 2]
    if len(heads) != 1 or not last or last[-1].rpartition(".")[0] not in heads:
        return None
    weight = last[-1]
    if weight not in names or tables.expected[weight][1:] != tables.actual[weight][1:]:
        return None
    want, have = tables.expected[weight][0], tables.actual[weight][0]
    return Explanation(
        code="M9",
        title=f"{weight.rpartition('.')[0]} was replaced before the weights were loaded",
        layer=weight.rpartition(".")[0],
        arithmetic=f"{have} classes ≠ {want}",
        change=f"load the weights into a network with {want} classes, then replace its head; {_STRICT}",
        evidence=(*(tables.shapes(name) for name in names), *tables.keys),
    )


def _other_block(tables: _Tables) -> Explanation | None:
    """M10: the weights are of another kind of block: BasicBlock has two convolutions, Bottleneck three."""
    kinds = [_block(shapes) for shapes in (tables.expected, tables.actual)]
    if None in kinds or kinds[0] == kinds[1] or not tables.mismatched:
        return None
    name = next((n for n in tables.mismatched if len(tables.expected[n]) == 4), tables.mismatched[0])
    one, other = tables.expected[name], tables.actual[name]
    return Explanation(
        code="M10",
        title=f"weights of a network of {kinds[0]}s are loaded into one of {kinds[1]}s",
        layer=name.rpartition(".")[0],
        arithmetic=f"{name}: {list(one)} ≠ {list(other)}; a BasicBlock has 2 convolutions, a Bottleneck 3",
        change=f"build the candidate of {kinds[0]}s: they stand in ResNet-"
        + ("18 and -34" if kinds[0] == "BasicBlock" else "50, -101 and -152"),
        evidence=(*(tables.shapes(name) for name in tables.mismatched[:3]), *tables.keys),
    )


def _other_widths(tables: _Tables) -> Explanation | None:
    """M10: the same blocks in another number, of another width, or with another kind of shortcut."""
    if not tables.mismatched:
        return None
    name = next((n for n in tables.mismatched if len(tables.expected[n]) == 4), tables.mismatched[0])
    one, other = tables.expected[name], tables.actual[name]
    differ = [f"{a} ≠ {b}" for a, b in zip(one, other, strict=False) if a != b] or [f"{list(one)} ≠ {list(other)}"]
    depths = [_blocks(shapes) for shapes in (tables.expected, tables.actual)]
    if depths[0] != depths[1] and all(depths):
        why = f"the stages have {depths[1]} blocks, in the weights {depths[0]}"
        change = f"build the candidate with {depths[0]} blocks"
    else:
        why = f"{name.rpartition('.')[0]} is of another width"
        change = f"make {name.rpartition('.')[0]} with a weight of {list(one)}"
    return Explanation(
        code="M10",
        title=f"{_count(len(tables.mismatched))} of another shape: {why}",
        layer=name.rpartition(".")[0],
        arithmetic=f"{name}: {', '.join(differ)}",
        change=f"{change}; {_STRICT}",
        evidence=(*(tables.shapes(name) for name in tables.mismatched[:3]), *tables.keys),
    )


def _prefix(tables: _Tables) -> Explanation | None:
    """M14: all names of one side have a word in front, as `DataParallel` puts it."""
    for longer, shorter, side in (
        (tables.actual, tables.expected, "the candidate's"),
        (tables.expected, tables.actual, "the loaded"),
    ):
        prefix = next(iter(longer), "").removesuffix(next(iter(shorter), ""))
        if not prefix.endswith(".") or set(longer) != {prefix + name for name in shorter}:
            continue
        strip = f'{{name.removeprefix("{prefix}"): tensor for name, tensor in state.items()}}'
        add = f'{{"{prefix}" + name: tensor for name, tensor in state.items()}}'
        wrapper = "network.module of the DataParallel" if prefix == "module." else f"network.{prefix[:-1]}"
        return Explanation(
            code="M14",
            title=f"{side} names all begin with {prefix}",
            layer="",
            arithmetic=f"{len(longer)} names are {prefix} and one of the other {len(shorter)}",
            change=f"load into {wrapper}, or load {add}" if side.startswith("the can") else f"load {strip}",
            evidence=tables.keys,
        )
    return None


def _counters(tables: _Tables) -> Explanation | None:
    """M14: only the batch counters are on one side alone; torch 0.4.1 brought them, and eval mode never reads them."""
    if not all(name.endswith(_COUNTER) for name in (*tables.missing, *tables.unexpected)):
        return None
    return Explanation(
        code="M14",
        title="only the batch counters are lacking on one side",
        layer="",
        arithmetic=f"{len(tables.missing) + len(tables.unexpected)} names end in {_COUNTER}, no other name differs",
        change="strict=False is safe here: eval mode never reads them",
        evidence=tables.keys,
    )


def _deep_stem(tables: _Tables) -> Explanation | None:
    """M14: the first convolution is three of them on one side (ResNet-C and -D)."""
    deep = [
        [name for name, shape in shapes.items() if re.fullmatch(r"conv1\.\d+\.weight", name) and len(shape) == 4]
        for shapes in (tables.expected, tables.actual)
    ]
    plain = ["conv1.weight" in shapes for shapes in (tables.expected, tables.actual)]
    if not ((len(deep[0]) > 1 and plain[1]) or (len(deep[1]) > 1 and plain[0])):
        return None
    side, names = ("the weights have", deep[0]) if deep[0] else ("the candidate has", deep[1])
    return Explanation(
        code="M14",
        title=f"{side} a deep stem: conv1 is a Sequential there",
        layer="conv1",
        arithmetic=f"conv1 holds {len(names)} convolutions there, the other one is 1",
        change="take the weights of the variant that the candidate is (a deep stem is ResNet-C or -D), or build conv1 "
        "as one 7×7 convolution",
        evidence=tables.keys,
    )


def _other_words(tables: _Tables) -> Explanation | None:
    """M14: the names are the same ones in other words: downsample and shortcut."""
    plain = {_words(name): name for name in tables.missing}
    renamed = {name: plain[_words(name)] for name in tables.unexpected if _words(name) in plain}
    left = [name for name in tables.unexpected if name not in renamed and not name.endswith(_COUNTER)]
    if not renamed or left or len(renamed) < len(tables.missing):
        return None
    pairs = list(dict.fromkeys((_difference(a, b), _difference(b, a)) for a, b in renamed.items()))
    shown = [f"{theirs} is called {ours}" for theirs, ours in pairs if theirs and ours][:4]
    fits = sum(tables.expected[a] == tables.actual[b] for a, b in renamed.items())
    return Explanation(
        code="M14",
        title="the candidate has other names for the same tensors: " + ", ".join(shown),
        layer="",
        arithmetic=f"{len(renamed)} names are others, {fits} of them for tensors of the same shape",
        change="rename the keys before loading, or the candidate's attributes",
        evidence=tables.keys,
    )


def _other_depth(tables: _Tables) -> Explanation | None:
    """M14: whole blocks are on one side alone."""
    depths = [_blocks(shapes) for shapes in (tables.expected, tables.actual)]
    if not all(depths) or depths[0] == depths[1] or not _are_whole_blocks(tables):
        return None
    return Explanation(
        code="M14",
        title="the weights are of a network of another depth",
        layer="",
        arithmetic=f"blocks per stage: the candidate {depths[1]} = {sum(depths[1])}, the weights {depths[0]} = "
        f"{sum(depths[0])}",
        change=f"build the candidate with {depths[0]} blocks, or take the weights of its own depth",
        evidence=tables.keys,
    )


def _other_names(tables: _Tables) -> Explanation:
    common = len(tables.actual) - len(tables.missing)
    return Explanation(
        code="M14",
        title="the candidate's tensors have other names",
        layer="",
        arithmetic=f"{len(tables.missing)} missing keys, {len(tables.unexpected)} unexpected ones, {common} in common",
        change="rename the keys before loading",
        evidence=tables.keys,
    )


def _count(number: int) -> str:
    return "1 tensor is" if number == 1 else f"{number} tensors are"


def _block(shapes: Shapes) -> str | None:
    """The kind of the blocks, by the convolutions that the first one has beside its shortcut."""
    stages = [match for name in shapes if (match := re.fullmatch(r"(?:.*\.)?(layer1\.0)\.(conv\d)\.weight", name))]
    count = len({match[2] for match in stages})
    return {2: "BasicBlock", 3: "Bottleneck"}.get(count)


def _blocks(shapes: Shapes) -> list[int]:
    """How many blocks each stage has, by torchvision's names or others that can be translated."""
    found: dict[int, set[str]] = {}
    for name in shapes:
        match = re.match(r"(?:.*\.)?layer([1-4])\.(\d+)\.", plain_name(name) + ".")
        if match is not None:
            found.setdefault(int(match[1]), set()).add(match[2])
    return [len(found[stage]) for stage in sorted(found)]


def _are_whole_blocks(tables: _Tables) -> bool:
    """Whether no block that both have lacks a tensor on either side, and nothing outside the blocks does."""
    blocks = [{_block_of(name) for name in shapes} for shapes in (tables.expected, tables.actual)]
    return all(_block_of(name) and _block_of(name) not in blocks[0] for name in tables.missing) and all(
        _block_of(name) and _block_of(name) not in blocks[1] for name in tables.unexpected
    )


def _block_of(name: str) -> str:
    match = re.match(r"(?:.*\.)?layer[1-4]\.\d+(?=\.)", name)
    return match[0] if match else ""


def _words(name: str) -> str:
    path, _, tensor = name.rpartition(".")
    return f"{plain_name(path)}.{tensor}"


def _difference(name: str, other: str) -> str:
    """The parts of a name in which it differs from another."""
    ours, theirs = name.split("."), other.split(".")
    return ".".join(part for part in _outside(ours, theirs))


def _outside(ours: Sequence[str], theirs: Sequence[str]) -> Sequence[str]:
    start = 0
    while start < min(len(ours), len(theirs)) and ours[start] == theirs[start]:
        start += 1
    end = 0
    while end < min(len(ours), len(theirs)) - start and ours[-1 - end] == theirs[-1 - end]:
        end += 1
    return ours[start : len(ours) - end]
