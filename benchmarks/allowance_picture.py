"""The allowance as a picture: every layer's error in units of it, of two right networks and of one with a mistake.

    python benchmarks/allowance_picture.py

About a minute. ResNet-50 with synthetic weights on the photo of a cat, at 224x224: the handwritten torch network, the
NumPy twin, and the twin with one batch norm whose eps is another. The picture goes to docs/allowance.png, its figures
to docs/measured/allowance_picture.json and, in short, into docs/allowance.md.
"""

from __future__ import annotations

from typing import Any

from pages import DOCS, versions, write_figures, write_part

from layerdiff import Report, compare_networks, load_image, load_weights, preprocess, state_dict, torchvision_model
from layerdiff.handwritten import numpy_resnet, torch_resnet

ARCHITECTURE = "resnet50"
BROKEN = "layer2.0.bn1"
PRECISIONS = ("float32", "float64")
SERIES = {"handwritten torch": "tab:blue", "NumPy": "tab:green", f"NumPy, eps of {BROKEN} 1e-3": "tab:red"}

Figures = dict[str, dict[str, dict[str, float | None]]]
"""Network to precision to layer to the worst element's error in units of its allowance; None where none is allowed."""


def measured() -> tuple[list[str], Figures]:
    """The layers in order, and the figures."""
    weights = load_weights("synthetic", ARCHITECTURE)
    expected = torchvision_model(ARCHITECTURE, weights)
    x = preprocess([load_image(None)], architecture=ARCHITECTURE)
    ours = torch_resnet.build(ARCHITECTURE).eval()
    ours.load_state_dict(state_dict(weights))
    twins = [numpy_resnet.build(ARCHITECTURE) for _ in range(2)]
    for twin in twins:
        twin.load_state_dict(weights.state)
    norm: Any = dict(twins[1].named_layers())[BROKEN]
    norm.eps = 1e-3
    reports = [compare_networks(expected, one, x, diagnose=False) for one in (ours, *twins)]
    layers = [layer.layer for layer in reports[0].layers]
    return layers, dict(zip(SERIES, map(figures, reports), strict=True))


def figures(report: Report) -> dict[str, dict[str, float | None]]:
    """Of one network, by itself on the reference's activations."""
    return {
        dtype: {
            layer.layer: measure.ratio
            for layer in report.layers
            for measure in layer.measures
            if (measure.probe, measure.dtype) == ("activations", dtype)
        }
        for dtype in PRECISIONS
    }


def draw(layers: list[str], found: Figures) -> None:
    """The picture: float32 on the left, float64 on the right, the allowance as a line at 1."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, 2, figsize=(11, 4.5), sharey=True)
    for axes, dtype in zip(panels, PRECISIONS, strict=True):
        for name, colour in reversed(SERIES.items()):
            mine = found[name][dtype]
            rows = [(i, mine[layer]) for i, layer in enumerate(layers) if mine.get(layer)]
            broken = "eps" in name
            # Of the broken network only what differs from the right one: the rest lies on it.
            rows = [(i, ratio) for i, ratio in rows if not broken or layers[i] == BROKEN]
            style: dict[str, Any] = {"ms": 9 if broken else 3, "alpha": 1.0 if broken else 0.7, "label": name}
            axes.plot(*zip(*rows, strict=True), "X" if broken else "o", color=colour, **style)
        axes.axhline(1, color="black", lw=1, ls="--", label="the allowance")
        axes.set(yscale="log", title=dtype, xlabel=f"layer of {ARCHITECTURE}, in order of execution")
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("worst error of the layer / its allowance")
    panels[0].legend(fontsize=8, loc="upper right")
    figure.tight_layout()
    figure.savefig(DOCS / "allowance.png", dpi=110, metadata={"Software": None})


def table(layers: list[str], found: Figures) -> str:
    """The picture's numbers in short."""
    lines = [
        "![Each layer's worst error in units of its allowance: right ones below 1, a mistake far above](allowance.png)",
        "",
        "| network | precision | nearest to its allowance | same to the bit | beyond it |",
        "|---|---|---|---|---|",
    ]
    for name, precisions in found.items():
        for dtype, ratios in precisions.items():
            known = {layer: ratios[layer] for layer in layers if ratios.get(layer) is not None}
            inside = {layer: ratio for layer, ratio in known.items() if ratio is not None and ratio <= 1}
            worst = max(inside, key=lambda layer: inside[layer])
            beyond = ", ".join(f"{layer} {ratios[layer]:.0e}" for layer in layers if layer not in inside) or "none"
            exact = sum(ratio == 0 for ratio in inside.values())
            lines.append(f"| {name} | {dtype} | {worst} {inside[worst]:.2f} | {exact} of {len(layers)} | {beyond} |")
    return "\n".join([*lines, "", f"{ARCHITECTURE}, synthetic weights, a photo of 224x224; {versions()}."])


def main() -> None:
    """Measure, draw and write."""
    layers, found = measured()
    draw(layers, found)
    write_figures("allowance_picture", {"layers": layers, "ratios": found})
    text = table(layers, found)
    print(text)
    write_part("allowance.md", "picture", text)


if __name__ == "__main__":
    main()
