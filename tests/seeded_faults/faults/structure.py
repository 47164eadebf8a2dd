"""Group A: how the blocks are wired."""

from __future__ import annotations

import torch
from torch import nn

from .edits import Edit
from .hosts import Host
from .layers import Unregistered, conv_with
from .model import Fault, Truth, exactly, within
from .wiring import (
    add_twice,
    before_the_operations,
    deep_stem,
    double_block,
    forget_shortcut,
    identity_too_late,
    option_a,
    project_identity,
    project_the_branch,
    skip_block,
    small_stem,
)

__all__ = ["STRUCTURE"]

FUNCTIONS = ("own_conv_and_bn", "functional", "hwio")
"""Hosts in which pooling and flatten are one operation."""


def strided(host: Host) -> list[str]:
    """The first blocks of the stages that halve."""
    return [block for block in host.blocks if block.endswith(".0") and not block.startswith("layer1")]


def strided_bottlenecks(host: Host) -> list[str]:
    return strided(host) if host.bottleneck else []


def strided_basics(host: Host) -> list[str]:
    return [] if host.bottleneck else strided(host)


def identity_blocks(host: Host) -> list[str]:
    return [block for block in host.blocks if f"{block}.downsample.0" not in host.layers]


def later_blocks(host: Host) -> list[str]:
    return [block for block in host.blocks if not block.endswith(".0")]


def projections(host: Host) -> list[str]:
    return [layer for layer in host.layers if layer.endswith("downsample.0")]


def projection_norms(host: Host) -> list[str]:
    return [layer for layer in host.layers if layer.endswith("downsample.1")]


def main_norms(host: Host) -> list[str]:
    """The batch norms but for the projections', without which a network is of another class: A7."""
    return [name for name in host.kind("batch_norm") if name not in projection_norms(host)]


def last_relu(host: Host, block: str) -> str:
    return host.of(block)[-1]


def twins(host: Host, block: str) -> list[str]:
    """The blocks of the stage that have the same tensors as `block`."""
    stage = block.split(".", maxsplit=1)[0]
    mine = [one for one in host.blocks if one.startswith(f"{stage}.")]
    return [one for one in mine if one in identity_blocks(host)]


def takers(host: Host, block: str) -> list[str]:
    """The layers that take what a block gives."""
    from .hosts import expected_side

    last = last_relu(host, block)
    return [op.layer for op in expected_side(host.expected).trace.ops if last in op.inputs]


def restride(edit: Edit, layer: str, stride: int) -> None:
    edit.put(layer, conv_with(edit.like(layer), stride=stride))


def stride_first(edit: Edit, block: str) -> None:
    restride(edit, f"{block}.conv1", 2)
    restride(edit, f"{block}.conv2", 1)


def stride_second(edit: Edit, block: str) -> None:
    restride(edit, f"{block}.conv1", 1)
    restride(edit, f"{block}.conv2", 2)


def no_stride(edit: Edit, block: str) -> None:
    restride(edit, f"{block}.conv{2 if edit.host.bottleneck else 1}", 1)
    restride(edit, f"{block}.downsample.0", 1)


def stride_in_stage_before(edit: Edit, _place: str) -> None:
    for layer, stride in (
        ("layer1.0.conv2", 2),
        ("layer1.0.downsample.0", 2),
        ("layer2.0.conv2", 1),
        ("layer2.0.downsample.0", 1),
    ):
        restride(edit, layer, stride)


def average_then_project(edit: Edit, layer: str) -> None:
    edit.put(layer, nn.Sequential(nn.AvgPool2d(2), conv_with(edit.like(layer), stride=1)))


def share_blocks(edit: Edit, block: str) -> None:
    """`[block] * n`: the block before is this one too."""
    before = share_partner(edit.host, block)
    for layer in edit.host.of(block):
        kind = edit.host.layers[layer]
        if kind in {"conv2d", "batch_norm"}:
            other = before + layer[len(block) :]
            name = f"shared_{layer.replace('.', '_')}"
            edit.module.add_submodule(name, edit.like(layer))
            for one in (layer, other):
                node = edit.node(one)
                args = tuple(edit.inputs(one))
                with edit.module.graph.inserting_before(node):
                    new = edit.module.graph.call_module(name, args)
                node.replace_all_uses_with(new)
                edit.module.graph.erase_node(node)
                edit.nodes[one] = new


def share_partner(host: Host, block: str) -> str:
    alike = twins(host, block)
    return alike[alike.index(block) - 1]


def shareable(host: Host) -> list[str]:
    return [block for block in host.blocks if block in twins(host, block)[1:]]


def shared_truth(host: Host, block: str) -> tuple[Truth, ...]:
    before = share_partner(host, block)
    pairs = tuple(
        frozenset((layer, before + layer[len(block) :]))
        for layer in host.of(block)
        if host.layers[layer] in {"conv2d", "batch_norm"}
    )
    return (Truth(frozenset(), pairs),)


def unregister(edit: Edit, layer: str) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        like = edit.like(layer)
        fresh = (
            nn.Conv2d(like.in_channels, like.out_channels, like.kernel_size, like.stride, like.padding, bias=False)
            if isinstance(like, nn.Conv2d)
            else nn.BatchNorm2d(like.num_features).eval()
        )
    edit.put(layer, Unregistered(fresh.requires_grad_(False)))


def dilate(edit: Edit, layer: str) -> None:
    edit.put(layer, conv_with(edit.like(layer), dilation=2, padding=2))


def plain_threes(host: Host) -> list[str]:
    """3x3 convolutions without a stride."""
    from .hosts import settings_of

    network = settings_of(host.expected)
    convs = [layer for layer in host.kind("conv2d") if network.get_submodule(layer).kernel_size == (3, 3)]
    return [layer for layer in convs if network.get_submodule(layer).stride == (1, 1)]


def entry_of(host: Host, block: str) -> str:
    """The layer that gives a block its input."""
    from .hosts import expected_side

    first = next(op for op in expected_side(host.expected).trace.ops if op.layer == host.of(block)[0])
    return first.inputs[0]


def block_truth(host: Host, block: str) -> tuple[Truth, ...]:
    """Any of the blocks with the same tensors, as a whole."""
    return tuple(exactly(*host.of(one))[0] for one in twins(host, block))


def one_more_truth(host: Host, block: str) -> tuple[Truth, ...]:
    """What takes the operations too many.

    The block too many repeats its neighbours, so it can be cut out anywhere: the operations left over may begin in the
    middle of one block and end in the middle of the next.
    """
    stage = block.split(".", maxsplit=1)[0]
    mine = [layer for layer in host.layers if layer.startswith(f"{stage}.")]
    last = [one for one in host.blocks if one.startswith(f"{stage}.")][-1]
    return within(*mine, *takers(host, last))


STRUCTURE: tuple[Fault, ...] = (
    Fault("A1", "stride-on-1x1", "the stride is on the 1x1 convolution", stride_first, strided_bottlenecks,
          lambda host, b: exactly(f"{b}.conv1", f"{b}.conv2"), count=3),
    Fault("A2", "stride-on-second", "the stride is on the second convolution", stride_second, strided_basics,
          lambda host, b: exactly(f"{b}.conv1", f"{b}.conv2"), count=3),
    Fault("A3", "stage-without-stride", "a stage does not halve", no_stride, strided,
          lambda host, b: exactly(f"{b}.conv{2 if host.bottleneck else 1}", f"{b}.downsample.0"), also=("A9",),
          why_causes="the projection of that block has lost its stride too", count=3),
    Fault("A3", "stride-in-stage-before", "layer1 halves, layer2 does not", stride_in_stage_before,
          lambda host: ["layer2.0"] if host.bottleneck else [],
          lambda host, b: exactly("layer1.0.conv2", "layer1.0.downsample.0", "layer2.0.conv2", "layer2.0.downsample.0"),
          count=3),
    Fault("A4", "block-missing", "one block too few", skip_block, later_blocks, block_truth, count=3),
    Fault("A4", "block-too-many", "one block too many", double_block, later_blocks, one_more_truth, count=3),
    Fault("A5", "no-shortcut", "the shortcut is not added", forget_shortcut, identity_blocks,
          lambda host, b: exactly(f"{b}.add"), count=3),
    Fault("A6", "added-twice", "the shortcut is added twice", add_twice, identity_blocks,
          lambda host, b: (*exactly(f"{b}.add"), *exactly(last_relu(host, b))), count=3),
    Fault("A6", "identity-too-late", "the identity is saved behind the first convolution", identity_too_late,
          lambda host: [] if host.bottleneck else identity_blocks(host), lambda host, b: exactly(f"{b}.add"), count=3),
    Fault("A6", "projects-the-branch", "downsample(out), not downsample(x)", project_the_branch,
          lambda host: ["layer1.0"] if host.bottleneck else [], lambda host, b: exactly(f"{b}.downsample.0"), count=3),
    Fault("A7", "projection-without-norm", "no batch norm on the projection", lambda e, layer: e.drop(layer),
          projection_norms, count=3),
    Fault("A8", "option-A", "zeros for the new channels", lambda e, b: option_a(e, b, front=False),
          lambda host: [p.removesuffix(".downsample.0") for p in projections(host)],
          lambda host, b: within(f"{b}.downsample.0", f"{b}.downsample.1"), count=3),
    Fault("A8", "option-A-centred", "zeros before and behind the channels", lambda e, b: option_a(e, b, front=True),
          lambda host: [p.removesuffix(".downsample.0") for p in projections(host)],
          lambda host, b: within(f"{b}.downsample.0", f"{b}.downsample.1"), count=3),
    Fault("A8", "projection-too-many", "a projection where the identity does", project_identity, identity_blocks,
          lambda host, b: exactly(f"{b}.add"), count=3),
    Fault("A9", "projection-without-stride", "the projection forgets the stride",
          lambda e, layer: restride(e, layer, 1), lambda host: [f"{b}.downsample.0" for b in strided(host)], count=3),
    Fault("A10", "pre-activation", "bn and relu stand before the convolutions", before_the_operations,
          lambda host: [] if host.bottleneck else identity_blocks(host),
          lambda host, b: within(*host.of(b), entry_of(host, b)), count=3),
    Fault("A11", "small-stem", "3x3 without stride and no max-pool", small_stem, lambda host: ["conv1"],
          lambda host, p: exactly("conv1", "maxpool"), count=3),
    Fault("A11", "deep-stem", "two 3x3 for the 7x7", deep_stem, lambda host: ["conv1"],
          lambda host, p: within("conv1", "bn1", "relu"), count=3),
    Fault("A11", "average-then-project", "the shortcut averages, then projects", average_then_project,
          lambda host: [f"{b}.downsample.0" for b in strided(host)], also=("A9",),
          why_causes="the stride has gone from the projection to the average", count=3),
    Fault("A12", "shared-blocks", "two blocks are one object", share_blocks, shareable, shared_truth, count=3),
    Fault("A13", "plain-list-conv", "a convolution in a plain list", unregister,
          lambda host: host.kind("conv2d"), causes=("A13", "G1"),
          why_causes="its weights are those of a fresh layer", count=3),
    Fault("A13", "plain-list-norm", "a batch norm in a plain list", unregister,
          lambda host: host.kind("batch_norm"), causes=("A13", "G1"),
          why_causes="its tensors are those of a fresh layer", count=3),
    Fault("A14", "norm-not-called", "a batch norm is registered and not called",
          lambda e, layer: e.drop(layer, registered=True), main_norms,
          not_hosts=("functional",), count=3),
    Fault("A15", "flatten-dropped", "Sequential(*children()) loses the flatten",
          lambda e, layer: e.drop(layer), lambda host: ["flatten"], causes=("A15", "M1"),
          why_causes="the shape error that follows is M1", not_hosts=FUNCTIONS, count=3),
    Fault("A16", "dilated", "dilation 2 where there is none", dilate, plain_threes, count=3),
)  # fmt: skip
