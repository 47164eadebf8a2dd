"""M16: two precisions meet, mostly because NumPy's default is float64."""

from __future__ import annotations

import re

from layerdiff.compare.shape_errors.explanation import Explanation
from layerdiff.compare.shape_errors.facts import Facts

__all__ = ["precisions_meet"]

_NAMES = {
    "double": "float64", "float": "float32", "half": "float16", "bfloat16": "bfloat16", "c10::half": "float16",
    "c10::bfloat16": "bfloat16", "long": "int64", "long int": "int64", "int": "int32", "unsigned char": "uint8",
    "byte": "uint8", "float64": "float64", "float32": "float32", "float16": "float16", "int64": "int64",
}  # fmt: skip

_PAIRS = (
    r"expected scalar type (?P<a>\w+) but found (?P<b>\w+)",
    r"Input type \((?:torch\.)?(?:cuda\.)?(?P<a>[\w: ]+?)(?:Tensor)?\) and (?:weight|bias) type "
    r"\((?:torch\.)?(?:cuda\.)?(?P<b>[\w: ]+?)(?:Tensor)?\)",
    r"must have the same dtype, but got (?P<a>[\w:]+) and (?P<b>[\w:]+)",
    r"expected m1 and m2 to have the same dtype, but got: (?P<a>[\w:]+) != (?P<b>[\w:]+)",
    r"[Ee]xpected .*dtype (?P<a>\w+).* got .*dtype (?P<b>\w+)",
)


def precisions_meet(facts: Facts) -> Explanation | None:
    """M16: an operation takes a value of one precision and a parameter of another."""
    crash = facts.crash
    if crash is None:
        return None
    named = _named(crash.message)
    if named is None:
        return None
    taken = [op.dtype for layer in crash.inputs if (op := facts.actual_op(layer)) is not None] or ["float32"]
    other = next((name for name in sorted(named) if name != taken[0]), taken[0])
    op = next((op for op in facts.actual.ops if op.dtype != "float32"), None)
    if op is not None:
        where, source, layer = f"{op.layer} is the first to give {op.dtype}", op.source, op.layer
        change = f"make the constant in {op.layer} float32: torch.tensor(…, dtype=torch.float32), or x.float()"
        title = f"{op.layer} turns float32 into {op.dtype}"
    else:
        where, source, layer = "everything before it gives float32", crash.source, crash.layer
        change = "network.float() before use; arrays of NumPy by torch.from_numpy(a.astype(np.float32))"
        title = f"the parameters of {crash.layer} are {other}, the image is float32"
    return Explanation(
        code="M16",
        title=title,
        layer=layer,
        arithmetic=f"{crash.layer} takes {taken[0]} and holds {other}; torch mixes no precisions in a layer",
        change=change,
        evidence=(crash.message, where),
        source=source,
    )


def _named(message: str) -> frozenset[str] | None:
    """The two precisions that a message names."""
    for pattern in _PAIRS:
        match = re.search(pattern, message)
        if match is None:
            continue
        names = frozenset(_NAMES.get(match[group].lower(), match[group].lower()) for group in "ab")
        if len(names) == 2:
            return names
    return None
