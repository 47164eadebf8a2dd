"""J3: how a network begins, before any weights are loaded."""

from __future__ import annotations

from layerdiff.compare.catalogue.cause import Cause
from layerdiff.compare.catalogue.examples import whole

__all__ = ["INITIALISATION"]

INITIALISATION: tuple[Cause, ...] = (
    Cause(
        code="J3",
        title="fresh weights are drawn by another rule",
        meaning=(
            "The fan, the gain, the shape of the distribution or a constant is another than the reference's: torch's "
            "own default in place of kaiming_normal(fan_out), one number for all layers, batch norms that begin at 0. "
            "The network is right, and learns otherwise."
        ),
        why=(
            "Torch's layers draw themselves as soon as they are made, so that nothing is missing when nobody calls an "
            "initialiser. The fans are easily counted wrong, and every framework has its own default."
        ),
        signature=(
            "Of std²·fan_in and std²·fan_out one is the same in all kernels: 2 for He's rules, 1 for LeCun's, 1/3 for "
            "torch's default. `layerdiff initial` holds the fresh tensors against the distribution of every known "
            "rule, and names the only one they may have come of. Once weights are loaded nothing of it is left; where "
            "the loading is what failed, it is G1 or G2."
        ),
        fix='Draw them as the reference does, such as nn.init.kaiming_normal_(weight, mode="fan_out") for a ResNet.',
        sources=(
            "pytorch/pytorch#34592",
            "pytorch/pytorch#15314",
            "szagoruyko/wide-residual-networks#41",
            "vballoli/nfnets-pytorch#30",
            "google/flax#4388",
        ),
        example=whole(
            """\
            import copy

            import torch
            from torch import nn

            import layerdiff

            torch.manual_seed(0)
            expected = nn.Sequential(
                nn.Conv2d(3, 32, 3, bias=False),
                nn.BatchNorm2d(32),
                nn.ReLU(),
                nn.Conv2d(32, 64, 3, bias=False),
            )
            actual = copy.deepcopy(expected)  # it keeps torch's default
            for conv in (expected[0], expected[3]):
                nn.init.kaiming_normal_(conv.weight, mode="fan_out")

            report = layerdiff.compare_initial(
                actual, expected=expected, size=(16, 16)
            )
            found = {one.code: one.title for one in report.findings}
            assert "J3" in found, found
            print(found["J3"])
            """
        ),
    ),
)
