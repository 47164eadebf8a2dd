"""The call in a network's name, such as `ResNet(Bottleneck, [3, 4, 6, 3])`: names, literals and calls, nothing else."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from layerdiff.errors import InputError

__all__ = ["dotted", "evaluate", "parse_call"]

_WORDS: dict[type[ast.AST], str] = {
    ast.BinOp: "arithmetic",
    ast.UnaryOp: "an operator",
    ast.BoolOp: "an operator",
    ast.Compare: "a comparison",
    ast.IfExp: "a choice",
    ast.Lambda: "a lambda",
    ast.ListComp: "a comprehension",
    ast.SetComp: "a comprehension",
    ast.DictComp: "a comprehension",
    ast.GeneratorExp: "a comprehension",
    ast.JoinedStr: "an f-string",
    ast.NamedExpr: "an assignment",
    ast.Set: "a set",
    ast.Starred: "an unpacking",
    ast.Subscript: "an index",
    ast.Attribute: "an attribute of something without a name",
    ast.Call: "a call of something without a name",
}


def parse_call(text: str, place: str) -> ast.expr:
    """The syntax tree of a name or a call; nothing in it is run.

    Args:
        text: a name (`build`, `models.ResNet`), or a call of one, whose arguments are literals, names, calls, and
            lists, tuples and dicts of these.
        place: where it was given, for errors.

    Raises:
        InputError: it is anything else; all that is refused is shown.
    """
    text = text.strip()
    if not text:
        raise InputError(f"{place}: nothing behind the colon, expected a name such as build, or a call")
    try:
        with warnings.catch_warnings(action="ignore"):
            tree = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        notes = _marked(text, [(error.lineno or 1, (error.offset or 1) - 1)]) if isinstance(error, SyntaxError) else []
        raise InputError(f"{place}: not a name or a call, got {text[:80]!r}", notes=notes) from None
    refused = _refused_at_top(tree)
    if refused:
        words = " and ".join(dict.fromkeys(word for word, _ in refused))
        raise InputError(
            f"{place}: not allowed here, got {words}, expected names, literals, and calls with them",
            notes=_marked(text, [_position(text, node) for _, node in refused]),
            help="write a function without arguments in the file, and name that",
        )
    return tree


def evaluate(node: ast.expr, lookup: Callable[[Sequence[str]], Any], call: Callable[..., Any]) -> Any:
    """The value of a tree of `parse_call`.

    Args:
        node: the tree.
        lookup: gives the value of a dotted name, by its parts.
        call: calls as `call(name, function, args, kwargs)`.
    """
    if isinstance(node, ast.List | ast.Tuple):
        items = [evaluate(item, lookup, call) for item in node.elts]
        return items if isinstance(node, ast.List) else tuple(items)
    if isinstance(node, ast.Dict):
        keys = [evaluate(key, lookup, call) for key in node.keys if key is not None]
        return dict(zip(keys, [evaluate(value, lookup, call) for value in node.values], strict=True))
    if isinstance(node, ast.Call):
        function = evaluate(node.func, lookup, call)
        args = [evaluate(argument, lookup, call) for argument in node.args]
        kwargs = {keyword.arg: evaluate(keyword.value, lookup, call) for keyword in node.keywords}
        return call(".".join(dotted(node.func) or ()), function, args, kwargs)
    name = dotted(node)
    return ast.literal_eval(node) if name is None else lookup(name)


def dotted(node: ast.expr) -> tuple[str, ...] | None:
    """The parts of a dotted name; None where the node is something else."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return (node.id, *reversed(parts)) if isinstance(node, ast.Name) else None


def _refused_at_top(node: ast.expr) -> list[tuple[str, ast.expr]]:
    if isinstance(node, ast.Call):
        return _refused(node)
    if isinstance(node, ast.Constant | ast.List | ast.Tuple | ast.Dict):
        return [("a value", node)]
    return _refused(node)


def _refused(node: ast.expr) -> list[tuple[str, ast.expr]]:
    if isinstance(node, ast.Constant) or dotted(node) is not None:
        return []
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and _is_number(node.operand):
        return []
    if isinstance(node, ast.List | ast.Tuple):
        return [found for item in node.elts for found in _refused(item)]
    if isinstance(node, ast.Dict):
        unpacked = [("an unpacking", value) for key, value in zip(node.keys, node.values, strict=True) if key is None]
        items = [*(key for key in node.keys if key is not None), *node.values]
        return unpacked + [found for item in items for found in _refused(item)]
    if isinstance(node, ast.Call) and dotted(node.func) is not None:
        unpacked = [("an unpacking", keyword.value) for keyword in node.keywords if keyword.arg is None]
        items = [*node.args, *(keyword.value for keyword in node.keywords)]
        return unpacked + [found for item in items for found in _refused(item)]
    return [(_WORDS.get(type(node), type(node).__name__), node)]


def _is_number(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and type(node.value) in {int, float, complex}


def _position(text: str, node: ast.expr) -> tuple[int, int]:
    # The tree counts bytes of UTF-8, a reader characters.
    line = text.splitlines()[node.lineno - 1]
    return node.lineno, len(line.encode()[: node.col_offset].decode(errors="ignore"))


def _marked(text: str, positions: Sequence[tuple[int, int]]) -> list[str]:
    lines = text.splitlines()
    notes = []
    for number in sorted({line for line, _ in positions}):
        columns = {column for line, column in positions if line == number}
        shown = lines[number - 1] if number <= len(lines) else ""
        notes += [shown, "".join("^" if i in columns else " " for i in range(max(columns) + 1))]
    return notes
