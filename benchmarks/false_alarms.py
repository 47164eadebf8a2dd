"""A thousand clean runs over seeds and settings: how often does the instrument cry wolf?

    python benchmarks/false_alarms.py --runs 1000     about half an hour on two cores

Each run draws an architecture of one block a stage or a ResNet-18, its weights, an image, a size, a batch, a thread
count, a memory format and which twin is judged, all from the run's seed. Every verdict must be `same`.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from typing import Any

import numpy as np
import torch
from pages import write_figures, write_part
from threadpoolctl import threadpool_limits
from torch import nn
from torchvision.models.resnet import BasicBlock, Bottleneck
from torchvision.models.resnet import ResNet as TorchvisionResNet

from layerdiff import compare_networks
from layerdiff.handwritten import numpy_resnet, torch_resnet
from layerdiff.handwritten.configurations import Configuration

SHAPES = {
    "basic": (BasicBlock, Configuration("basic", (1, 1, 1, 1))),
    "bottleneck": (Bottleneck, Configuration("bottleneck", (1, 1, 1, 1))),
    "wide": (Bottleneck, Configuration("bottleneck", (1, 1, 1, 1), width_per_group=128)),
    "grouped": (Bottleneck, Configuration("bottleneck", (1, 1, 1, 1), groups=32, width_per_group=4)),
    "resnet18": (BasicBlock, Configuration("basic", (2, 2, 2, 2))),
}


def reference(shape: str, rng: np.random.Generator) -> nn.Module:
    """Torchvision's network of that shape, with random weights and statistics far from their defaults."""
    block, config = SHAPES[shape]
    network = TorchvisionResNet(
        block, list(config.blocks), num_classes=50, groups=config.groups, width_per_group=config.width_per_group
    )
    for module in network.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False
        if isinstance(module, nn.Conv2d | nn.Linear):
            fan_in = module.weight[0].numel()
            module.weight.data = _tensor(rng.standard_normal(module.weight.shape) * np.sqrt(2 / fan_in))
        if isinstance(module, nn.BatchNorm2d):
            n = module.num_features
            module.weight.data = _tensor(rng.uniform(0.2, 1.0, n) * rng.choice([-1, 1, 1, 1], n))
            module.bias.data = _tensor(rng.standard_normal(n) * 0.3)
            module.running_mean = _tensor(rng.standard_normal(n) * 0.5)
            module.running_var = _tensor(10 ** rng.uniform(-5, 0.5, n))
    return network.eval().requires_grad_(False)


def _tensor(array: Any) -> torch.Tensor:
    return torch.from_numpy(np.asarray(array, dtype=np.float32))


def clean_run(seed: int) -> tuple[str, str, float]:
    """One comparison of networks that are the same: the verdict, the setting, and the worst ratio."""
    rng = np.random.default_rng(seed)
    shape = str(rng.choice(list(SHAPES)))
    twin = str(rng.choice(["torch", "numpy", "torch, channels-last"]))
    threads, batch = int(rng.integers(1, 3)), int(rng.integers(1, 4))
    h, w = (int(size) for size in rng.integers(33, 80, 2))
    x = (rng.standard_normal((batch, 3, h, w)) * 10 ** rng.uniform(-1, 1)).astype(np.float32)
    expected = reference(shape, rng)
    torch.set_num_threads(threads)
    with threadpool_limits(limits=threads):
        report = compare_networks(expected, candidate(twin, shape, expected), x, seed=seed)
    ratios = [m.ratio for layer in report.layers for m in layer.measures]
    worst = max(float("inf") if ratio is None else ratio for ratio in ratios)
    return report.verdict, f"{shape}, {twin}, {batch}x3x{h}x{w}, {threads} threads", worst


def candidate(twin: str, shape: str, expected: nn.Module) -> Any:
    """The twin with the reference's weights."""
    config = SHAPES[shape][1]
    if twin == "numpy":
        network = numpy_resnet.ResNet(config, num_classes=50)
        network.load_state_dict({name: tensor.numpy() for name, tensor in expected.state_dict().items()})
        return network
    actual = torch_resnet.ResNet(config, num_classes=50).eval().requires_grad_(False)
    actual.load_state_dict(expected.state_dict())
    return actual.to(memory_format=torch.channels_last) if "channels-last" in twin else actual


def main() -> None:
    """Run, print and write; exit 1 at any false alarm."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=1000)
    options = parser.parse_args()
    verdicts: Counter[str] = Counter()
    alarms, worst = [], (0.0, "")
    start = time.perf_counter()
    for seed in range(options.runs):
        verdict, setting, ratio = clean_run(seed)
        verdicts[verdict] += 1
        worst = max(worst, (ratio, setting))
        if verdict != "same":
            alarms.append(f"seed {seed}: {verdict}: {setting}")
            print(alarms[-1], flush=True)
    text = (
        f"{options.runs} clean runs: {verdicts['same']} same, {len(alarms)} false alarms. The worst ratio of any\n"
        f"element of any layer, by itself or end to end, was {worst[0]:.2f} of what is allowed ({worst[1]})."
    )
    print(text)
    print(f"{time.perf_counter() - start:.0f} s")
    if options.runs >= 1000:
        write_part("measured.md", "false alarms", text)
        write_figures(
            "false_alarms", {"runs": options.runs, "verdicts": dict(verdicts), "alarms": alarms, "worst": worst}
        )
    raise SystemExit(bool(alarms))


if __name__ == "__main__":
    main()
