"""The scoreboard of the fault benchmark, as text for the docs: a pure function of what was measured."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any

from layerdiff.compare.catalogue import CAUSES, GROUPS

__all__ = ["figures", "page", "problems", "readme_part"]

Record = Mapping[str, Any]
Misses = Mapping[str, Any]


def of_kind(records: Iterable[Record], kind: str) -> list[Record]:
    """Those that ran, of one kind."""
    return [one for one in records if one["kind"] == kind and "error" not in one]


def detected(one: Record) -> bool:
    """Whether the network was called different."""
    return bool(one["verdict"] == "different")


def counts(faults: Sequence[Record]) -> dict[str, int]:
    """How many were planted, and how many of these were found in each sense."""
    return {
        "planted": len(faults),
        "detected": sum(detected(one) for one in faults),
        "right_layers": sum(one["right_layers"] for one in faults),
        "right_cause": sum(one["right_cause"] for one in faults),
        "wrong_cause": sum(bool(one["wrong_causes"]) for one in faults),
        "unexplained": sum(not one["confirmed"] for one in faults),
    }


def figures(records: Sequence[Record]) -> dict[str, Any]:
    """All that the pages say, as JSON."""
    faults, equivalents = of_kind(records, "fault"), of_kind(records, "equivalent")
    twins, pairs = of_kind(records, "twin"), of_kind(records, "pair")
    codes = sorted({one["code"] for one in faults}, key=list(CAUSES).index)
    ratios = [one["seconds"] / one["clean_seconds"] for one in faults]
    fifty = [one["seconds"] / one["clean_seconds"] for one in faults if one["host"].endswith("50")]
    return {
        "classes": len(codes),
        "total": counts(faults),
        "groups": {
            letter: counts([one for one in faults if one["code"][0] == letter])
            for letter in GROUPS
            if any(code[0] == letter for code in codes)
        },
        "codes": {code: counts([one for one in faults if one["code"] == code]) for code in codes},
        "equivalents": {"runs": len(equivalents), "alarms": sum(detected(one) for one in equivalents)},
        "twins": {
            "runs": len(twins),
            "alarms": sum(detected(one) for one in twins),
            "unknown": sum(one["verdict"] == "unknown" for one in twins),
        },
        "pairs": {
            "runs": len(pairs),
            "both": sum(one["right_layers"] and one["right_cause"] for one in pairs),
            "layers": sum(one["right_layers"] for one in pairs),
            "wrong_cause": sum(bool(one["wrong_causes"]) for one in pairs),
        },
        "time": {
            "seconds": _median(one["seconds"] for one in faults),
            "ratio": _median(ratios),
            "ratio_resnet50": _median(fifty),
            "greatest_ratio": round(max(ratios, default=0), 1),
            "greatest_ratio_resnet50": round(max(fifty, default=0), 1),
        },
        "rivals": _rivals(faults, [*twins, *equivalents]),
        "failed": [one["name"] for one in records if "error" in one],
    }


def _median(values: Iterable[float]) -> float:
    found = list(values)
    return round(median(found), 2) if found else 0.0


def _rivals(faults: Sequence[Record], right: Sequence[Record]) -> dict[str, dict[str, Any]]:
    found = {}
    faults = [one for one in faults if one.get("rivals")]
    for tool in faults[0]["rivals"] if faults else ():
        on_faults = [one["rivals"][tool] for one in faults]
        on_right = [one["rivals"][tool] for one in right if tool in one.get("rivals", {})]
        ran = [one for one in on_right if one["different"] is not None]
        refusals = Counter(one["why"] for one in (*on_faults, *on_right) if one["different"] is None)
        found[tool] = {
            "asked": len(on_faults),
            "detected": sum(one["different"] is True for one in on_faults),
            "right_layer": sum(one["right_layer"] for one in on_faults),
            "refused": sum(one["different"] is None for one in on_faults),
            "alarms": sum(one["different"] for one in ran),
            "right_runs": len(ran),
            "refusals": dict(refusals.most_common()),
        }
    return found


def problems(records: Sequence[Record], misses: Misses) -> list[str]:
    """What must not be: pieces that failed, false alarms, and misses that are not known, or known and no misses."""
    found = [f"{one['name']}: failed: {one['error'].strip().splitlines()[-1]}" for one in records if "error" in one]
    for one in (*of_kind(records, "twin"), *of_kind(records, "equivalent")):
        if detected(one):
            found.append(f"{one['name']}: false alarm: {', '.join(one.get('causes', one.get('findings', ())))}")
    for one in of_kind(records, "fault"):
        miss = misses.get(one["name"])
        if not detected(one):
            found.append(f"{one['name']}: not detected")
        if one["wrong_causes"]:
            found.append(f"{one['name']}: wrong cause confirmed: {'; '.join(one['wrong_causes'])}")
        for what, right in (("layers", one["right_layers"]), ("cause", one["right_cause"])):
            known = miss is not None and getattr(miss, what)
            if right and known:
                found.append(f"{one['name']}: its {what} is known as missed, and is found")
            if not right and not known:
                found.append(f"{one['name']}: wrong {what}: {'; '.join(one['causes']) or 'none'}")
    return found


def share(count: int, total: int) -> str:
    """A share of a hundred, rounded down: what is not all is never 100."""
    return f"{count} of {total} ({int(1000 * count / total) / 10:g} %)" if total else "none"


def page(found: Mapping[str, Any], records: Sequence[Record], misses: Misses) -> str:
    """The measured part of docs/faults.md."""
    parts = [
        _scoreboard(found),
        _by_group(found),
        _rivals_table(found),
        _by_code(found),
        _missed(records, misses),
        _pairs(records),
    ]
    return "\n\n".join(parts)


def _scoreboard(found: Mapping[str, Any]) -> str:
    total, time = found["total"], found["time"]
    twins, nothing, pairs = (found[name] for name in ("twins", "equivalents", "pairs"))
    rows = {
        "planted": f"{total['planted']} faults of {found['classes']} classes",
        "detected": share(total["detected"], total["planted"]),
        "exactly the right layers": share(total["right_layers"], total["planted"]),
        "right cause, confirmed": share(total["right_cause"], total["planted"]),
        "wrong cause confirmed": str(total["wrong_cause"]),
        "no cause confirmed": str(total["unexplained"]),
        "false alarms, networks that are right": f"{twins['alarms']} of {twins['runs']}",
        "false alarms, changes that change nothing": f"{nothing['alarms']} of {nothing['runs']}",
        "two faults at once: both found and confirmed": share(pairs["both"], pairs["runs"]),
        "time for a fault, median": f"{time['seconds']:.1f} s, {time['ratio']:.1f} times a clean run",
        "of a ResNet-50": f"{time['ratio_resnet50']:.1f} times; at most {time['greatest_ratio_resnet50']:.0f}",
    }
    return _table(("", ""), list(rows.items()))


def _by_group(found: Mapping[str, Any]) -> str:
    rows = [(f"{letter}: {GROUPS[letter]}", *_figures_of(one)) for letter, one in found["groups"].items()]
    return "### By group\n\n" + _table(("group", *_HEADS), rows)


_COUNTED = ("planted", "detected", "right_layers", "right_cause", "wrong_cause", "unexplained")
_TOOL_HEADS = ("tool", "says different", "false alarms", "names the layer", "names a cause", "cannot run")
_HEADS = ("planted", "detected", "right layers", "right cause", "wrong cause", "no cause")


def _figures_of(one: Mapping[str, int]) -> tuple[str, ...]:
    return tuple(
        str(one[name]) for name in ("planted", "detected", "right_layers", "right_cause", "wrong_cause", "unexplained")
    )


def _rivals_table(found: Mapping[str, Any]) -> str:
    head = "### Beside other tools, on the same networks\n\n"
    rows = [_us(found), *(_rival_row(tool, one) for tool, one in found["rivals"].items())]
    reasons = [
        f"- {tool}: {', '.join(f'{why} ({count})' for why, count in one['refusals'].items())}"
        for tool, one in found["rivals"].items()
        if one["refusals"]
    ]
    why = "\n\nWhy a tool could not be run, and how often:\n\n" + "\n".join(reasons) if reasons else ""
    return head + _table(_TOOL_HEADS, rows) + why


def _us(found: Mapping[str, Any]) -> tuple[str, ...]:
    total, right = found["total"], (found["twins"], found["equivalents"])
    alarms, runs = (sum(one[name] for one in right) for name in ("alarms", "runs"))
    return (
        "layerdiff",
        share(total["detected"], total["planted"]),
        f"{alarms} of {runs}",
        share(total["right_layers"], total["planted"]),
        share(total["right_cause"], total["planted"]),
        "0",
    )


def _rival_row(tool: str, one: Mapping[str, Any]) -> tuple[str, ...]:
    planted = one["asked"]
    layer = share(one["right_layer"], planted) if one["right_layer"] else "no"
    alarms = f"{one['alarms']} of {one['right_runs']}"
    return tool, share(one["detected"], planted), alarms, layer, "no", str(one["refused"])


def _by_code(found: Mapping[str, Any]) -> str:
    rows = [(f"{code}: {CAUSES[code].title}", *_figures_of(one)) for code, one in found["codes"].items()]
    return "### By class\n\n" + _table(("class", *_HEADS), rows)


def _missed(records: Sequence[Record], misses: Misses) -> str:
    lines = []
    for one in of_kind(records, "fault"):
        if one["right_layers"] and one["right_cause"]:
            continue
        what = " and ".join(
            name for name, right in (("layers", one["right_layers"]), ("cause", one["right_cause"])) if not right
        )
        reason = misses[one["name"]].reason if one["name"] in misses else "not known before this run"
        lines.append(f"- `{one['name']}` ({what}): {reason}")
    return "### What is missed\n\n" + ("\n".join(sorted(lines)) or "Nothing.")


def _pairs(records: Sequence[Record]) -> str:
    missed = [one for one in of_kind(records, "pair") if not (one["right_layers"] and one["right_cause"])]
    lines = [f"- `{one['ids'][0]}` and `{one['ids'][1]}`: {'; '.join(one['causes']) or 'no cause'}" for one in missed]
    return "### Pairs of which one is missed\n\n" + ("\n".join(lines) or "None.")


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def readme_part(found: Mapping[str, Any]) -> str:
    """The README's table."""
    total, pairs, time = found["total"], found["pairs"], found["time"]
    alarms = found["twins"]["alarms"] + found["equivalents"]["alarms"]
    runs = found["twins"]["runs"] + found["equivalents"]["runs"]
    rows = [_us(found), *(_rival_row(tool, one) for tool, one in found["rivals"].items())]
    planted = total["planted"]
    words: tuple[str, ...] = (
        f"{planted} faults of {found['classes']} classes were planted in networks that are right. layerdiff detected",
        f"{share(total['detected'], planted)}, named exactly the right layers for",
        f"{share(total['right_layers'], planted)}, and confirmed the right cause for",
        f"{share(total['right_cause'], planted)}; a wrong cause was confirmed for {total['wrong_cause']}.",
        f"Of two faults at once both were found and confirmed in {pairs['both']} of {pairs['runs']} networks.",
        f"Of {runs} networks that are right, {alarms} were called different.",
        f"A diagnosis took {time['ratio']:.1f} times a clean run (median).",
    )
    asked = next((one["asked"] for one in found["rivals"].values()), 0)
    words = (*words, f"The other tools were asked about {asked} of the same faults, drawn by their names:")
    text = textwrap.fill(" ".join(words), 120) + "\n\n"
    return text + _table(_TOOL_HEADS, rows)
