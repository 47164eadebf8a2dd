"""Editing a correct network: its graph, or the module at a node of it."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterable
from typing import Any

from torch import fx, nn

from . import hosts

__all__ = ["Edit"]


class Edit:
    """A copy of a host's graph, to be changed; nodes are called by the ids of expected layers.

    Args:
        name: of the host.

    Attributes:
        host: the host.
    """

    def __init__(self, name: str) -> None:
        self.host = hosts.host(name)
        self.module, nodes = hosts.graph(name)
        by_name = {node.name: node for node in self.module.graph.nodes}
        self.nodes = {layer: by_name[node] for layer, node in nodes.items()}
        self._registered: list[tuple[str, nn.Module]] = []
        self._added: list[fx.Node] = []
        self._count = 0

    # -- looking

    def node(self, layer: str) -> fx.Node:
        """The node of a layer; of the network's input for `input`."""
        if layer == "input":
            return next(node for node in self.module.graph.nodes if node.op == "placeholder")
        return self.nodes[layer]

    def has(self, *layers: str) -> bool:
        """Whether each of these layers is a node of its own."""
        nodes = [self.nodes.get(layer) for layer in layers]
        return None not in nodes and len(set(nodes)) == len(nodes)

    def inputs(self, layer: str) -> list[fx.Node]:
        """The nodes whose values a layer takes: not its parameters, nor what stands between two layers for it alone.

        A layer may be several nodes (a max-pool made of windows); then it is what the first of them take.
        """
        known = {*self.nodes.values(), *self._added, self.node("input")}
        found: dict[fx.Node, None] = {}
        waiting = list(self.node(layer).all_input_nodes)
        while waiting:
            node = waiting.pop(0)
            if node in known:
                found[node] = None
            elif node.op != "get_attr":
                waiting = [*node.all_input_nodes, *waiting]
        return list(found)

    def shortcut(self, block: str) -> fx.Node:
        """What is added to the branch of a block: its input, or what a projection or an identity gives."""
        branch = self.node(f"{block}.bn{3 if self.host.bottleneck else 2}")
        return next(node for node in self.node(f"{block}.add").all_input_nodes if node is not branch)

    def like(self, layer: str) -> nn.Module:
        """A copy of the expected network's module for a layer, with its weights."""
        return copy.deepcopy(hosts.settings_of(self.host.expected).get_submodule(re.sub(r"_\d+$", "", layer)))

    def called(self, layer: str) -> nn.Module | None:
        """The host's own module for a layer, if it is one."""
        node = self.node(layer)
        return self.module.get_submodule(str(node.target)) if node.op == "call_module" else None

    def entry(self, block: str) -> fx.Node:
        """What a block takes."""
        first = next(layer for layer in self.host.of(block) if layer in self.nodes)
        return self.inputs(first)[0]

    def exit(self, block: str) -> fx.Node:
        """What a block gives."""
        return self.node([layer for layer in self.host.of(block) if layer in self.nodes][-1])

    # -- changing

    def put(self, layer: str, module: nn.Module, *sources: fx.Node) -> fx.Node:
        """Let `module` take the place of a layer; it takes the same inputs, or `sources`."""
        node = self.node(layer)
        args = sources or tuple(self.inputs(layer))
        with self.module.graph.inserting_before(node):
            new = self.module.graph.call_module(self._name(layer, module), args)
        node.replace_all_uses_with(new)
        self.module.graph.erase_node(node)
        for other, known in list(self.nodes.items()):
            if known is node:
                self.nodes[other] = new
        return new

    def set(self, layer: str, **attributes: Any) -> None:
        """Set attributes of the host's own module (of a copy, where it is used at other places too)."""
        module = self.called(layer)
        assert module is not None
        module = copy.deepcopy(module)
        for name, value in attributes.items():
            assert hasattr(module, name), name
            setattr(module, name, value)
        self.put(layer, module)

    def drop(self, layer: str, *, registered: bool = False) -> None:
        """Take a layer out: what took its output takes its first input."""
        node = self.node(layer)
        if registered and node.op == "call_module":
            self._registered.append((str(node.target), copy.deepcopy(self.module.get_submodule(str(node.target)))))
        node.replace_all_uses_with(self.inputs(layer)[0])
        self.module.graph.erase_node(node)
        self.nodes = {name: one for name, one in self.nodes.items() if one is not node}

    def insert(
        self, node: fx.Node, what: nn.Module | Callable[..., Any], *more: Any, users: Iterable[fx.Node] = ()
    ) -> fx.Node:
        """An operation behind a node; all that took the node, or `users` alone, take the operation instead."""
        takers = list(users) or list(node.users)
        with self.module.graph.inserting_after(node):
            if isinstance(what, nn.Module):
                new = self.module.graph.call_module(self._name("added", what), (node,))
            else:
                new = self.module.graph.call_function(what, (node, *more))
        for taker in takers:
            assert node in taker.all_input_nodes
            taker.replace_input_with(node, new)
        self._added.append(new)
        return new

    def rewire(self, layer: str, old: fx.Node, new: fx.Node) -> None:
        """Let a layer take `new` where it took `old`."""
        assert old in self.node(layer).all_input_nodes
        self.node(layer).replace_input_with(old, new)

    def erase_unused(self) -> None:
        """Take out what nobody uses any more."""
        self.module.graph.eliminate_dead_code()

    def network(self) -> nn.Module:
        """The changed network; what is no longer used is gone, unless it was to stay registered."""
        self.module.graph.eliminate_dead_code()
        self.module.graph.lint()
        made = fx.GraphModule(self.module, self.module.graph, type(self.module).__name__)
        for path, module in self._registered:
            made.add_submodule(path, module)
        # torch.fx prints a text of its own wherever a graph raises.
        type(made).__call__ = nn.Module.__call__
        return made.eval().requires_grad_(False)

    def _name(self, layer: str, module: nn.Module) -> str:
        node = self.nodes.get(layer)
        if node is not None and node.op == "call_module":
            target = str(node.target)
            users = [n for n in self.module.graph.nodes if n.op == "call_module" and n.target == target]
            if len(users) == 1:
                self.module.add_submodule(target, module)
                return target
        self._count += 1
        name = f"{layer.replace('.', '_')}_own{self._count}"
        self.module.add_submodule(name, module)
        return name
