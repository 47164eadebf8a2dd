"""The constants of the allowances, measured: each kernel's float32 error against float64, in units of the rule's scale.

    python benchmarks/allowance.py            all architectures, all photos, about half an hour
    python benchmarks/allowance.py --quick    ResNet-18 and the cat

Every layer of every architecture is given torchvision's own float32 activations; its float64 result on the same
numbers is the truth. Where LAYERDIFF_SHARED names the folder of real photos and weights these are used too. The table
goes into docs/allowance.md, the figures into docs/measured/allowance.json.
"""

from __future__ import annotations

import os
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pages import versions, write_figures, write_part
from threadpoolctl import threadpool_limits

from layerdiff import capture, load_image, load_weights, preprocess, state_dict, torchvision_model
from layerdiff.compare.allowance import RULES, Call
from layerdiff.compare.playback import Playback
from layerdiff.compare.trace import Op
from layerdiff.handwritten import numpy_resnet, torch_resnet
from layerdiff.handwritten.numpy_ops import conv2d
from layerdiff.reference import ARCHITECTURES, covered_prefix

WORST: dict[tuple[str, str], tuple[float, str]] = defaultdict(lambda: (0.0, ""))
COUNTED: dict[str, int] = defaultdict(int)

Array = np.ndarray[Any, Any]
Kernel = Callable[..., Array]


@dataclass(frozen=True)
class Scene:
    """One network on one picture."""

    architecture: str
    weights: Any
    picture: Path | None
    until: str | None

    @property
    def name(self) -> str:
        """For the table."""
        source = self.weights.source if self.until is None else f"torchvision's V1 weights up to {self.until}"
        return f"{self.architecture}, {self.picture.name if self.picture else 'cat'}, {source}"


def scenes(quick: bool) -> Iterator[Scene]:
    """Every architecture on every photo; the real weights on the real photos."""
    shared = os.environ.get("LAYERDIFF_SHARED")
    photos: list[Path | None] = [None]
    if shared and not quick:
        photos += sorted(Path(shared, "data", "photos").glob("*.jpg"))
    for architecture in ("resnet18",) if quick else ARCHITECTURES:
        weights = load_weights("synthetic", architecture)
        for photo in photos:
            yield Scene(architecture, weights, photo, None)
    if shared and not quick:
        real = load_weights(f"txt:{shared}/weights/resnet50_txt", "resnet50")
        for photo in photos:
            yield Scene("resnet50", real, photo, covered_prefix(real))


def kernels(scene: Scene, x: Array) -> dict[str, dict[str, Op]]:
    """The operations of each implementation, by layer id."""
    weights, name = scene.weights, scene.architecture
    lacking = {k: np.zeros(v, np.float32) for k, v in _shapes(scene).items()}
    networks: dict[str, Any] = {
        "torch": torchvision_model(name, weights),
        "channels-last": torchvision_model(name, weights).to(memory_format=torch.channels_last),
        "handwritten torch": torch_resnet.build(name).eval(),
        "NumPy gemm": numpy_resnet.build(name, grade="gemm"),
        "NumPy im2col": numpy_resnet.build(name, grade="im2col"),
    }
    networks["handwritten torch"].load_state_dict(state_dict(weights))
    for grade in ("NumPy gemm", "NumPy im2col"):
        networks[grade].load_state_dict({**weights.state, **lacking})
    return {key: capture(network, x, until=scene.until).by_layer() for key, network in networks.items()}


def _shapes(scene: Scene) -> dict[str, tuple[int, ...]]:
    from layerdiff.reference import expected_tensors

    shapes = expected_tensors(scene.architecture)
    return {name: shapes[name] for name in scene.weights.missing}


def note(kind: str, kernel: str, scale: Array, error: Array, where: str) -> None:
    """Keep the worst ratio of one kind of operation in one kernel."""
    scale = np.broadcast_to(scale, error.shape)
    ratio = float(np.divide(error, scale, out=np.zeros_like(error), where=scale > 0).max())
    exact = bool((error[scale == 0] == 0).all())
    COUNTED[kind] += error.size
    if not exact:
        raise SystemExit(f"{where}: an error where none is allowed")
    WORST[kind, kernel] = max(WORST[kind, kernel], (ratio, where))


def measure(scene: Scene) -> None:
    """All kernels on all layers of one scene."""
    x = preprocess([load_image(scene.picture)], architecture=scene.architecture)
    operations = kernels(scene, x)
    torchs = operations["torch"]
    playback = Playback(list(torchs.values()), x, watched=())
    for layer, op in torchs.items():
        played = playback.step()
        inputs, output = played.inputs, played.output
        if RULES[op.kind].constant == 0:
            continue
        where = f"{layer} of {scene.name}"
        assert op.run is not None
        truth = op.run(*(array.astype(np.float64) for array in inputs))
        scale = RULES[op.kind].scale(Call(op.attributes, op.parameters, inputs, output))
        for kernel, (run, given) in variants(operations, layer, inputs):
            for threads in (1, 2):
                torch.set_num_threads(threads)
                with threadpool_limits(limits=threads):
                    result = run(*given)
                note(op.kind, f"{kernel}, {threads} thread{'s' * (threads > 1)}", scale, np.abs(result - truth), where)
        if op.kind == "conv2d" and scene.picture is None:
            loops(op, inputs[0], where)


def variants(
    operations: dict[str, dict[str, Op]], layer: str, inputs: tuple[Array, ...]
) -> Iterator[tuple[str, tuple[Kernel, tuple[Array, ...]]]]:
    """Each implementation of one layer, with the inputs in the memory format that it takes."""
    for kernel, by_layer in operations.items():
        run = by_layer[layer].run
        assert run is not None
        if kernel == "channels-last":
            yield kernel, (run, tuple(_channels_last(array) for array in inputs))
        else:
            yield kernel, (run, inputs)


def _channels_last(array: Array) -> Array:
    if array.ndim != 4:
        return array
    return np.ascontiguousarray(array.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)


def loops(op: Op, x: Array, where: str) -> None:
    """The seven loops, on a crop that gives a few outputs of a few filters of one group."""
    weight = op.parameters["weight"][:4]
    size = weight.shape[2] * 2 + 1
    crop = np.ascontiguousarray(x[:, : weight.shape[1], :size, :size])
    attributes = {name: op.attributes[name] for name in ("stride", "padding", "dilation")}
    result, truth = (
        conv2d(crop.astype(dtype), weight.astype(dtype), **attributes, grade=grade)
        for dtype, grade in ((np.float32, "loops"), (np.float64, "im2col"))
    )
    call = Call({**attributes, "groups": 1}, {"weight": weight}, (crop,), result)
    note("conv2d", "NumPy loops, on crops", RULES["conv2d"].scale(call), np.abs(result - truth), where)


def table() -> str:
    """The worst ratios as Markdown."""
    kinds = sorted({kind for kind, _ in WORST})
    rows = ["| kernel | " + " | ".join(kinds) + " |", "|---" * (len(kinds) + 1) + "|"]
    for kernel in dict.fromkeys(kernel for _, kernel in WORST):
        cells = (f"{WORST[kind, kernel][0]:.2f}" if (kind, kernel) in WORST else "" for kind in kinds)
        rows.append(f"| {kernel} | " + " | ".join(cells) + " |")
    top = [max(WORST[kind, kernel][0] for k, kernel in WORST if k == kind) for kind in kinds]
    rows.append("| **worst** | " + " | ".join(f"**{value:.2f}**" for value in top) + " |")
    rows.append("| constant | " + " | ".join(f"{RULES[kind].constant:.0f}" for kind in kinds) + " |")
    margins = (
        RULES[kind].constant / (2 * value) if value else float("inf") for kind, value in zip(kinds, top, strict=True)
    )
    rows.append("| margin over two such kernels | " + " | ".join(f"{value:.1f}" for value in margins) + " |")
    rows.append("| elements compared | " + " | ".join(f"{COUNTED[kind]:,}" for kind in kinds) + " |")
    return "\n".join(rows)


def write(text: str, seen: list[str]) -> None:
    """Into the docs."""
    write_part("allowance.md", "measured", f"{text}\n\n{len(seen)} networks and pictures; {versions()}.")
    figures = {f"{kind}: {kernel}": {"ratio": r, "where": w} for (kind, kernel), (r, w) in sorted(WORST.items())}
    write_figures("allowance", {"scenes": seen, "worst": figures})


def main() -> None:
    """Measure, print and, unless quick, write."""
    quick = "--quick" in sys.argv[1:]
    seen = []
    for scene in scenes(quick):
        print(scene.name, file=sys.stderr, flush=True)
        measure(scene)
        seen.append(scene.name)
    print(table())
    if not quick:
        write(table(), seen)
    loose = [key for key, (ratio, _) in WORST.items() if 2 * ratio > RULES[key[0]].constant]
    raise SystemExit(f"beyond half the constant: {loose}" if loose else 0)


if __name__ == "__main__":
    main()
