"""Writes `docs/api.md` from the docstrings of the public names.

To be run after a change to one of them: `python benchmarks/api.py`. `tests/end_to_end/test_docs_made.py` refuses a page
that is not what this makes.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import layerdiff
from layerdiff import handwritten, pytest_plugin, testing

PAGE = Path(__file__).parents[1] / "docs" / "api.md"

_HEAD = """# The public names

Made from the docstrings by `python benchmarks/api.py`. In Python, `help(layerdiff.run)` says the same.

Only what stands here is public. `layerdiff` and `layerdiff.testing` keep their names; the modules of
`layerdiff.handwritten` are there to be read, and may change as a text does.
"""
_SECTIONS = {"Args", "Attributes", "Returns", "Raises", "Yields", "Source", "Sources"}
_WIDTH = 100


def render_api() -> str:
    """The page: the package in full, the names for tests in full, the handwritten modules in a line for each name."""
    parts = [_HEAD, "## layerdiff\n", inspect.getdoc(layerdiff) or "", ""]
    parts += [_entry("layerdiff", name, getattr(layerdiff, name)) for name in layerdiff.__all__]
    parts += ["## layerdiff.testing\n", inspect.getdoc(testing) or "", ""]
    parts += [_entry("layerdiff.testing", name, getattr(testing, name)) for name in testing.__all__]
    parts += ["### The fixture `layerdiff`\n", _markdown(inspect.getdoc(pytest_plugin.Comparing)), ""]
    parts += ["## layerdiff.handwritten\n", inspect.getdoc(handwritten) or "", ""]
    parts += [_table(module) for module in _modules()]
    return "\n".join(parts).rstrip() + "\n"


def _modules() -> Iterator[ModuleType]:
    """The public modules of the handwritten half, in the order of their names."""
    for found in pkgutil.iter_modules(handwritten.__path__):
        if not found.name.startswith("_"):
            yield importlib.import_module(f"layerdiff.handwritten.{found.name}")


def _table(module: ModuleType) -> str:
    rows = [f"### {module.__name__}\n", _sentence(inspect.getdoc(module)), "", "| name | what it is |", "|---|---|"]
    for name in sorted(module.__all__):
        found = getattr(module, name)
        described = inspect.isclass(found) or inspect.isroutine(found)
        words = _sentence(inspect.getdoc(found)) if described else "a value of the module, described there"
        rows.append(f"| `{name}` | {words.replace('|', chr(92) + '|')} |")
    return "\n".join([*rows, ""])


def _sentence(text: str | None) -> str:
    """The first paragraph, as one line."""
    return _escaped(" ".join((text or "").partition("\n\n")[0].split()))


def _entry(home: str, name: str, found: Any) -> str:
    kind = "class " if inspect.isclass(found) else ""
    return f"### {home}.{name}\n\n```text\n{kind}{_signature(name, found)}\n```\n\n{_markdown(inspect.getdoc(found))}\n"


def _signature(name: str, found: Any) -> str:
    """The call, on one line or with a line for each argument."""
    signature = inspect.signature(found)
    arguments, star = [], False
    for one in signature.parameters.values():
        if one.kind is one.KEYWORD_ONLY and not star:
            arguments.append("*")
        star = star or one.kind in {one.KEYWORD_ONLY, one.VAR_POSITIONAL}
        arguments.append(_argument(one))
    back = "" if inspect.isclass(found) else f" -> {_type(signature.return_annotation)}"
    line = f"{name}({', '.join(arguments)}){back}"
    return line if len(line) <= _WIDTH else f"{name}(\n" + "".join(f"    {one},\n" for one in arguments) + f"){back}"


def _argument(one: inspect.Parameter) -> str:
    stars = {one.VAR_POSITIONAL: "*", one.VAR_KEYWORD: "**"}.get(one.kind, "")
    default = "" if one.default is one.empty else f" = {one.default!r}"
    return f"{stars}{one.name}: {_type(one.annotation)}{default}"


def _type(annotation: Any) -> str:
    return annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)


def _markdown(text: str | None) -> str:
    """A Google docstring, its sections as lists."""
    lines, section = [], ""
    for line in (text or "").splitlines():
        head = line.removesuffix(":")
        if head in _SECTIONS and line.endswith(":"):
            section = head
            lines += [f"**{head}**", ""]
        elif section and line and not line.startswith("     "):
            lines.append(f"- {_item(line.strip(), section)}")
        elif section and line:
            # what goes on from the line before belongs to its item
            lines[-1] += f" {_escaped(line.strip())}"
        else:
            lines.append(_escaped(line))
    return "\n".join(lines).rstrip()


def _item(line: str, section: str) -> str:
    named = re.match(r"(\*{0,2}\w+): (.*)", line)
    if named is None or section in {"Returns", "Source", "Sources"}:
        return _escaped(line)
    return f"`{named[1]}`: {_escaped(named[2])}"


def _escaped(text: str) -> str:
    """Signs that Markdown would take for marks, outside of code."""
    pieces = re.split(r"(`[^`]*`)", text)
    return "".join(one if one.startswith("`") else re.sub(r"([<*_\[\]])", r"\\\1", one) for one in pieces)


if __name__ == "__main__":
    PAGE.write_text(render_api())
