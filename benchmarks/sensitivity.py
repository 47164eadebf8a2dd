"""What the allowances can see: each tensor of ResNet-50 changed by a hundredth, and the smallest change caught.

    python benchmarks/sensitivity.py                 about twenty minutes on two cores
    python benchmarks/sensitivity.py --every 20      a twentieth of the tensors

First, one value of each tensor of the handwritten network, chosen at random, is multiplied by 1.01: the verdict must be
`different`, with exactly that layer at fault and exactly its descendants inheriting. Then, for some values of each
tensor, the smallest relative change is found that lifts some output of the layer over its allowance. Figures go into
docs/measured/sensitivity.json, the picture and the table into docs.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from pages import DOCS, write_figures, write_part

from layerdiff import Report, Trace, capture, load_image, load_weights, preprocess, state_dict, torchvision_model
from layerdiff.compare.check import compare_with
from layerdiff.compare.probe import dense_probe
from layerdiff.compare.trace import Op
from layerdiff.compare.yardstick import allowance_of, walk
from layerdiff.handwritten import torch_resnet
from layerdiff.handwritten.numpy_ops import batch_norm, conv2d

Array = np.ndarray[Any, Any]
HUNDREDTH = 1.01


def tensors(trace: Trace) -> Iterator[tuple[Op, str]]:
    """Every layer with parameters, and each of them."""
    for op in trace.ops:
        for name in op.parameters:
            yield op, name


def planted(trace: Trace, network: Any, x: Array, every: int, rng: np.random.Generator) -> list[dict[str, Any]]:
    """One value of each tensor changed by a hundredth, one run each."""
    state = network.state_dict()
    found = []
    for op, name in list(tensors(trace))[::every]:
        values = state[f"{op.layer}.{name}"].view(-1)
        at = int(rng.integers(values.numel()))
        before = values[at].item()
        values[at] = before * HUNDREDTH
        report = compare_with(trace, network, x)
        right = verdict_is_right(report, op.layer)
        values[at] = before
        found.append({"tensor": f"{op.layer}.{name}", "index": at, "value": before, "right": right})
        print(f"{op.layer}.{name}[{at}]: {'right' if right else 'WRONG'}", flush=True)
    assert compare_with(trace, network, x).verdict == "same"
    return found


def verdict_is_right(report: Report, layer: str) -> bool:
    """Exactly this layer is at fault, exactly its descendants inherit."""
    reached = {layer}
    for result in report.layers:
        if reached & set(result.inputs):
            reached.add(result.layer)
    wanted = {
        r.layer: "fault" if r.layer == layer else "inherited" if r.layer in reached else "same" for r in report.layers
    }
    return report.verdict == "different" and wanted == {r.layer: r.status for r in report.layers}


def smallest(trace: Trace, x: Array, samples: int, rng: np.random.Generator) -> list[dict[str, Any]]:
    """The smallest relative change that is caught, for some values of each tensor, in each precision."""
    rows: dict[tuple[str, str, int], dict[str, Any]] = {}
    chosen = {
        (op.layer, name): rng.integers(op.parameters[name].size, size=samples) for op, name in tensors(trace)
    }  # fmt: skip
    for dtype in (np.dtype("float32"), np.dtype("float64")):
        for step in walk(trace.ops, x.astype(dtype), seed=0):
            dense = tuple(
                dense_probe(array.shape, dtype, seed=0, layer=f"{step.op.layer}#{i}")
                for i, array in enumerate(step.inputs)
            )
            for name in step.op.parameters:
                for at in chosen[step.op.layer, name]:
                    caught = min(threshold(step.op, name, int(at), inputs) for inputs in (step.inputs, dense))
                    row = rows.setdefault(
                        (step.op.layer, name, int(at)), {"layer": step.op.layer, "kind": step.op.kind, "tensor": name}
                    )
                    row[dtype.name] = caught
    return list(rows.values())


def threshold(op: Op, name: str, at: int, inputs: tuple[Array, ...]) -> float:
    """The smallest relative change of one value that lifts an output of this layer over its allowance."""
    (x,) = inputs
    assert op.run is not None
    expected = op.run(x)
    allowance = np.broadcast_to(np.asarray(allowance_of(op, inputs, expected)), expected.shape)
    channel = int(np.unravel_index(at, op.parameters[name].shape)[0])
    changed = _changed(op, name, at, x, channel)
    want, allowed = expected[:, channel].astype(np.float64), allowance[:, channel]

    def over(change: float) -> bool:
        return bool((np.abs(changed(change) - want) > allowed).any())

    low, high = -17.0, 3.0
    if not over(10.0**high):
        return float("inf")
    while high - low > 0.05:
        middle = (low + high) / 2
        low, high = (low, middle) if over(10.0**middle) else (middle, high)
    return 10.0**high


def _changed(op: Op, name: str, at: int, x: Array, channel: int) -> Callable[[float], Array]:
    """The layer's outputs in one channel, by the NumPy ops, as a function of the relative change of one value."""
    parameters = {key: array.astype(x.dtype) for key, array in op.parameters.items()}
    value = float(op.parameters[name].flat[at])
    if op.kind == "batch_norm":
        part = {key: array[channel : channel + 1].copy() for key, array in parameters.items()}

        def normalised(change: float) -> Array:
            part[name][0] = value * (1 + change)
            return batch_norm(
                x[:, channel : channel + 1],
                part["running_mean"], part["running_var"], part["weight"], part["bias"], eps=op.attributes["eps"],
            )[:, 0].astype(np.float64)  # fmt: skip

        return normalised
    plain, slope = _linear_part(op, name, at, x, channel, parameters)
    # The sum is linear in one weight; what the change adds is exact enough in float64.
    return lambda change: plain + change * value * slope


def _linear_part(
    op: Op, name: str, at: int, x: Array, channel: int, parameters: dict[str, Array]
) -> tuple[Array, Array]:
    """The outputs of one channel, and what one unit of the value at `at` adds to each."""
    weight = parameters["weight"][channel : channel + 1]
    if op.kind == "linear":
        plain = (x @ weight[0] + parameters["bias"][channel]).astype(np.float64)
        slope = np.ones(len(x)) if name == "bias" else x[:, at % weight.shape[1]].astype(np.float64)
        return plain, slope
    groups = int(op.attributes["groups"])  # type: ignore[call-overload]
    per_group = op.parameters["weight"].shape[0] // groups
    first = channel // per_group * weight.shape[1]
    given = x[:, first : first + weight.shape[1]]
    window = {key: op.attributes[key] for key in ("stride", "padding", "dilation")}
    unit = np.zeros(weight.size)
    unit[at % weight.size] = 1.0
    plain = conv2d(given, weight, **window)[:, 0].astype(np.float64)
    c = at % weight.size // (weight.shape[2] * weight.shape[3])
    slope = conv2d(given[:, c : c + 1].astype(np.float64), unit.reshape(weight.shape)[:, c : c + 1], **window)[:, 0]
    return plain, slope


def picture(rows: list[dict[str, Any]], order: list[str], path: Path) -> None:
    """The smallest change that is caught against the layer, both precisions."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    colours = {"conv2d": "tab:blue", "batch_norm": "tab:orange", "linear": "tab:green"}
    figure, axes = plt.subplots(figsize=(11, 5))
    for kind, colour in colours.items():
        for dtype, marker in (("float32", "o"), ("float64", "^")):
            mine = [row for row in rows if row["kind"] == kind and np.isfinite(row[dtype])]
            places = [order.index(row["layer"]) for row in mine]
            heights = [row[dtype] for row in mine]
            axes.plot(places, heights, marker, color=colour, ms=3, alpha=0.6, label=f"{kind}, {dtype}")
    axes.axhline(0.01, color="black", lw=0.8, ls="--", label="one in a hundred")
    axes.set_yscale("log")
    axes.set_xlabel("layer of ResNet-50, in order of execution")
    axes.set_ylabel("smallest relative change of one value that is caught")
    axes.legend(fontsize=8, ncols=2)
    axes.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, dpi=110, metadata={"Software": None})


def summary(planted_rows: list[dict[str, Any]], rows: list[dict[str, Any]]) -> str:
    """Both results as Markdown."""
    right = sum(row["right"] for row in planted_rows)
    lines = [
        f"One value of each tensor, chosen at random, times 1.01: {right} of {len(planted_rows)} runs are `different`",
        "with exactly that layer at fault and exactly its descendants inheriting.",
        "",
        "The smallest relative change of one value that is caught, over values chosen at random from every layer:",
        "",
        "| tensor | float32: median | largest | float64: median | largest |",
        "|---|---|---|---|---|",
    ]
    groups = defaultdict(list)
    for row in rows:
        groups[row["kind"], row["tensor"]].append(row)
    for (kind, tensor), mine in groups.items():
        cells = []
        for dtype in ("float32", "float64"):
            values = np.array([row[dtype] for row in mine])
            cells += [f"{np.median(values):.0e}", f"{values.max():.0e}"]
        lines.append(f"| {kind} {tensor} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", "![The smallest change that is caught, against the layer](sensitivity.png)"])


def main() -> None:
    """Measure and write; exit 1 where a planted change was not named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--every", type=int, default=1, help="plant in every Nth tensor only")
    parser.add_argument("--samples", type=int, default=4, help="values of each tensor for the smallest change")
    parser.add_argument("--size", type=int, default=65, help="pixels a side for the planted runs")
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    weights = load_weights("synthetic", "resnet50")
    expected = torchvision_model("resnet50", weights)
    actual = torch_resnet.build("resnet50").eval().requires_grad_(False)
    actual.load_state_dict(state_dict(weights))
    small = preprocess([load_image(None)], architecture="resnet50", size=(options.size, options.size))
    planted_rows = planted(capture(expected, small), actual, small, options.every, rng)
    x = preprocess([load_image(None)], architecture="resnet50")
    trace = capture(expected, x)
    rows = smallest(trace, x, options.samples, rng)
    text = summary(planted_rows, rows)
    print(text)
    if options.every == 1:
        write(text, planted_rows, rows, [op.layer for op in trace.ops])
    raise SystemExit(not all(row["right"] for row in planted_rows))


def write(text: str, planted_rows: list[dict[str, Any]], rows: list[dict[str, Any]], order: list[str]) -> None:
    """Into the docs."""
    write_part("allowance.md", "sensitivity", text)
    finite = [{key: None if value == float("inf") else value for key, value in row.items()} for row in rows]
    write_figures("sensitivity", {"planted": planted_rows, "smallest": finite})
    picture(rows, order, DOCS / "sensitivity.png")


if __name__ == "__main__":
    main()
