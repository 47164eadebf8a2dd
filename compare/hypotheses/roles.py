"""What part a layer of a ResNet has in its block, by torchvision's ids."""

from __future__ import annotations

from layerdiff.compare.hypotheses.site import Site

__all__ = ["block_of", "closes_block", "is_bottleneck", "shortcut_index"]


def block_of(layer: str) -> str:
    """The block a layer is in: `layer1.0` of `layer1.0.downsample.0`; empty for the stem and the head."""
    parts = layer.split(".")
    return ".".join(parts[:2]) if len(parts) > 2 and parts[0].startswith("layer") else ""


def is_bottleneck(site: Site) -> bool:
    """Whether the site's block has three convolutions on its main branch."""
    block = block_of(site.layer)
    return bool(block) and f"{block}.conv3" in site.weights


def closes_block(site: Site) -> bool:
    """Whether an activation is the one after the addition."""
    return bool(site.op.inputs) and site.op.inputs[0].split(".")[-1].split("_")[0] in {"add", "iadd"}


def shortcut_index(site: Site) -> int:
    """Which input of an addition is the shortcut: the one that a projection or another block gives; else the last."""
    block = block_of(site.layer)
    found = [
        i
        for i, name in enumerate(site.op.inputs)
        if block and (name.startswith(f"{block}.downsample") or not name.startswith(f"{block}."))
    ]
    return found[0] if len(found) == 1 else len(site.op.inputs) - 1
