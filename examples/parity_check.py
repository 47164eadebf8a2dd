"""Example 5: the parity check of ResNet-18 as tutorials write it, its two classic defects, and layerdiff's answer.

    python examples/parity_check.py
    python examples/parity_check.py --weights imagenet1k_v1 --photo FILE

A ResNet-18 written by hand gets torchvision's weights by a map of names, both networks look at a photo, and the
probabilities of the library's five best classes are printed side by side, with `max(diff)` below.

1. A name in the map is misspelt. `strict=False` keeps quiet, and a batch norm stays as it began.
2. `max(diff)` lacks an absolute value. A wrong network believes in other classes, and gives these five less: all five
   differences are negative, so the greatest is below any tolerance, and the check calls the networks equal. It does not
   where the wrong network likes one of the five better, so this is a matter of luck: all three norms are tried.

Without `--weights` the weights are made up, but behave like trained ones.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import click
import torch
from example_kit import Figures, example, run, say, table
from torch import Tensor, nn

import layerdiff
from layerdiff.handwritten.torch_layers import BatchNorm2d, Conv2d, Linear, MaxPool2d
from layerdiff.reference import categories

TOLERANCE = 1e-4  # the tutorial's; layerdiff has none, but derives what rounding can explain
NAMES = {f"layer{n}.0.downsample.{i}": f"layer{n}.0.shortcut.{i}" for n in (2, 3, 4) for i in (0, 1)}


def misspelt(stage: int) -> dict[str, str]:
    """The map with a letter missing in the name of one projection's batch norm."""
    return NAMES | {f"layer{stage}.0.downsample.1": f"layer{stage}.0.shorcut.1"}


class Block(nn.Module):
    """Two 3x3 convolutions, and a shortcut beside them."""

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = Conv2d(in_channels, channels, 3, stride, padding=1, bias=False)
        self.bn1 = BatchNorm2d(channels)
        self.conv2 = Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = BatchNorm2d(channels)
        projection = (Conv2d(in_channels, channels, 1, stride, bias=False), BatchNorm2d(channels))
        self.shortcut = nn.Sequential(*(projection if stride != 1 else ()))

    def forward(self, x: Tensor) -> Tensor:
        """(n, in_channels, h, w) to (n, channels, h/stride, w/stride)."""
        out = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(out)) + self.shortcut(x))


class ResNet18(nn.Module):
    """The tutorial's network, which is right in every line."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = BatchNorm2d(64)
        self.pool = MaxPool2d(3, stride=2, padding=1)
        self.layer1 = nn.Sequential(Block(64, 64, 1), Block(64, 64, 1))
        self.layer2 = nn.Sequential(Block(64, 128, 2), Block(128, 128, 1))
        self.layer3 = nn.Sequential(Block(128, 256, 2), Block(256, 256, 1))
        self.layer4 = nn.Sequential(Block(256, 512, 2), Block(512, 512, 1))
        self.fc = Linear(512, 1000)

    def forward(self, x: Tensor) -> Tensor:
        """(n, 3, h, w) to logits (n, 1000)."""
        x = self.pool(torch.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        logits: Tensor = self.fc(x.mean((2, 3)))
        return logits


def loaded(state: Mapping[str, Tensor], names: Mapping[str, str]) -> ResNet18:
    """The tutorial's network with torchvision's tensors, each under the name that the map has for its layer."""
    renamed = {}
    for key, tensor in state.items():
        layer, _, kind = key.rpartition(".")
        renamed[f"{names.get(layer, layer)}.{kind}"] = tensor
    network = ResNet18()
    network.load_state_dict(renamed, strict=False)  # the first defect: what does not fit is passed over
    return network.eval().requires_grad_(False)


class Check(NamedTuple):
    """What the tutorial's check finds, and what it should have looked at."""

    signed: float
    absolute: float

    @property
    def says(self) -> str:
        """The tutorial's conclusion."""
        return "equal" if self.signed < TOLERANCE else "not equal"


def check(ours: Tensor, theirs: Tensor) -> Check:
    """Compares the probabilities (5,) as tutorials do."""
    diff = ours - theirs
    return Check(signed=max(diff).item(), absolute=diff.abs().max().item())  # the second defect: `max` without `abs`


def judge(network: ResNet18, weights: str, photo: Path | None) -> Figures:
    """Asks layerdiff with the network as it is, and prints what the command would."""
    images = () if photo is None else (photo,)
    judged = layerdiff.run(network, expected="torchvision:resnet18", weights=f"keep:{weights}", images=images)
    click.echo(folded(layerdiff.render_terminal(judged)))
    report = judged.reports[0]
    return {
        "verdict": report.verdict,
        "layers at fault": [layer.layer for layer in report.layers if layer.status == "fault"],
        "causes": [f"{one.code} {'confirmed' if one.confirmed else 'not confirmed'}" for one in report.findings],
    }


def folded(report: str) -> str:
    """The report with files named from here on, and no line longer than 80 columns."""
    lines = report.replace(f"{Path.cwd()}/", "").splitlines()
    return "\n".join(textwrap.fill(line, 80, subsequent_indent=" " * 10) if len(line) > 80 else line for line in lines)


def probabilities(network: nn.Module, x: Tensor) -> Tensor:
    """Of the 1,000 classes (1000,), for one photo (1, 3, h, w)."""
    chances: Tensor = network(x).softmax(dim=1)[0]
    return chances


def named(classes: Tensor) -> list[str]:
    """The classes' names."""
    names = categories("resnet18")
    return [names[i] for i in classes.tolist()]


@example
@click.option("--weights", default="synthetic", show_default=True, help="As `layerdiff run` takes them.")
@click.option("--photo", type=click.Path(path_type=Path), help="Your own picture; without it, a cat.")
def command(weights: str, photo: Path | None) -> Figures:
    """The parity check of ResNet-18 as tutorials write it, and what it overlooks."""
    given = layerdiff.load_weights(weights, "resnet18")
    theirs = layerdiff.torchvision_model("resnet18", given)
    x = torch.from_numpy(layerdiff.preprocess((layerdiff.load_image(photo),), architecture="resnet18"))
    spellings = {"nothing": NAMES} | {f"layer{stage}.0.shortcut.1": misspelt(stage) for stage in (2, 3, 4)}
    networks = {name: loaded(theirs.state_dict(), names) for name, names in spellings.items()}
    say(f"ResNet-18, {given.source}. The norm of layer2.0's shortcut is misspelt; probabilities:")
    expected = probabilities(theirs, x)
    best = expected.topk(5).indices
    wrong = probabilities(networks["layer2.0.shortcut.1"], x)
    rows = zip(named(best), expected[best].tolist(), wrong[best].tolist(), strict=True)
    table(
        ("torchvision's best classes", "torchvision", "ours", "ours - torchvision"),
        [(name, f"{p:.6f}", f"{q:.6f}", f"{q - p:+.6f}") for name, p, q in rows],
    )
    say(f"Ours would have said: {', '.join(named(wrong.topk(5).indices))}.")
    say()
    checks = {name: check(probabilities(one, x)[best], expected[best]) for name, one in networks.items()}
    table(
        ("misspelt", "max(diff)", "the tutorial says", "max(abs(diff))"),
        [(name, f"{one.signed:.1e}", one.says, f"{one.absolute:.1e}") for name, one in checks.items()],
    )
    verdicts = {}
    for name in ("nothing", "layer2.0.shortcut.1"):
        say()
        say(f"layerdiff, {name} misspelt:")
        verdicts[name] = judge(networks[name], weights, photo)
    found = {name: {**one._asdict(), "says": one.says} for name, one in checks.items()}
    return {"weights": given.source, "tolerance": TOLERANCE, "checks": found, "layerdiff": verdicts}


if __name__ == "__main__":
    run(command)
