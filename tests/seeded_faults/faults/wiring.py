"""What group A does to a block: another wiring, blocks and stems of other kinds."""

from __future__ import annotations

import copy
import operator

import torch
from torch import nn

from .edits import Edit
from .layers import OptionA

__all__ = [
    "add_twice",
    "before_the_operations",
    "deep_stem",
    "double_block",
    "forget_shortcut",
    "identity_too_late",
    "option_a",
    "project_identity",
    "project_the_branch",
    "skip_block",
    "small_stem",
]


def skip_block(edit: Edit, block: str) -> None:
    edit.exit(block).replace_all_uses_with(edit.entry(block))
    edit.erase_unused()


def double_block(edit: Edit, block: str) -> None:
    """One block more: a copy with weights of its own, behind `block`."""
    made = {edit.entry(block): edit.exit(block)}
    last = edit.exit(block)
    layers = [edit.node(layer) for layer in edit.host.of(block) if layer in edit.nodes]
    order = list(edit.module.graph.nodes)
    first, end = order.index(edit.entry(block)), order.index(last)
    users = list(last.users)
    anchor = last
    for node in order[first + 1 : end + 1]:
        with edit.module.graph.inserting_after(anchor):
            new = edit.module.graph.node_copy(node, lambda n: made.get(n, n))
        if node.op == "call_module":
            name = f"more_{str(node.target).replace('.', '_')}"
            if not hasattr(edit.module, name):
                edit.module.add_submodule(name, copy.deepcopy(edit.module.get_submodule(str(node.target))))
            new.target = name
        made[node] = anchor = new
    assert layers
    for user in users:
        user.replace_input_with(last, made[last])


def forget_shortcut(edit: Edit, block: str) -> None:
    branch = edit.node(f"{block}.bn{3 if edit.host.bottleneck else 2}")
    add = edit.node(f"{block}.add")
    add.replace_all_uses_with(branch)
    edit.module.graph.erase_node(add)


def add_twice(edit: Edit, block: str) -> None:
    edit.insert(edit.node(f"{block}.add"), operator.add, edit.entry(block))


def identity_too_late(edit: Edit, block: str) -> None:
    edit.rewire(f"{block}.add", edit.shortcut(block), edit.node(f"{block}.relu"))


def project_the_branch(edit: Edit, block: str) -> None:
    edit.rewire(f"{block}.downsample.0", edit.entry(block), edit.node(f"{block}.relu"))
    # It takes what is made after it now.
    _move_behind(edit, f"{block}.downsample.0", f"{block}.relu")
    _move_behind(edit, f"{block}.downsample.1", f"{block}.downsample.0")


def _move_behind(edit: Edit, layer: str, other: str) -> None:
    order = {node: i for i, node in enumerate(edit.module.graph.nodes)}
    if order[edit.node(layer)] < order[edit.node(other)]:
        edit.node(other).append(edit.node(layer))


def option_a(edit: Edit, block: str, *, front: bool) -> None:
    conv = edit.like(f"{block}.downsample.0")
    edit.put(f"{block}.downsample.0", OptionA(conv.stride[0], conv.in_channels, conv.out_channels, front=front))
    edit.drop(f"{block}.downsample.1")


def project_identity(edit: Edit, block: str) -> None:
    channels = edit.like(f"{block}.bn1").num_features * (4 if edit.host.bottleneck else 1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        conv = nn.Conv2d(channels, channels, 1, bias=False)
        norm = nn.BatchNorm2d(channels)
    edit.insert(edit.shortcut(block), nn.Sequential(conv, norm), users=[edit.node(f"{block}.add")])


def before_the_operations(edit: Edit, block: str) -> None:
    """bn, relu, conv, bn, relu, conv, add, with the block's own tensors."""
    parts = {name: edit.node(f"{block}.{name}") for name in ("conv1", "bn1", "relu", "conv2", "bn2", "add", "relu_1")}
    entry, graph = edit.entry(block), edit.module.graph
    sources = {"bn1": entry, "relu": "bn1", "conv1": "relu", "bn2": "conv1", "relu_1": "bn2", "conv2": "relu_1"}
    modules = {"relu": nn.ReLU(), "relu_1": nn.ReLU()}
    made = {}
    anchor = entry
    for name, source in sources.items():
        module = modules.get(name) or edit.like(f"{block}.{name}")
        path = f"{block.replace('.', '_')}_pre_{name}"
        edit.module.add_submodule(path, module)
        with graph.inserting_after(anchor):
            made[name] = graph.call_module(path, (made[source] if isinstance(source, str) else source,))
        anchor = made[name]
    with graph.inserting_after(anchor):
        total = graph.call_function(operator.add, (anchor, entry))
    parts["relu_1"].replace_all_uses_with(total)


def small_stem(edit: Edit, _place: str) -> None:
    conv = nn.Conv2d(3, 64, 3, 1, 1, bias=False)
    conv.weight.data = edit.like("conv1").weight[:, :, 2:5, 2:5].clone()
    edit.put("conv1", conv)
    edit.drop("maxpool")


def deep_stem(edit: Edit, _place: str) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(4)
        stem = nn.Sequential(
            nn.Conv2d(3, 32, 3, 2, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU(),
            nn.Conv2d(32, 64, 3, 1, 1, bias=False),
        )  # fmt: skip
    edit.put("conv1", stem)
