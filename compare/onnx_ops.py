"""From an ONNX graph and the values it gave to operations that can be run again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from onnx import ModelProto, NodeProto

from layerdiff.compare.onnx_file import input_name, opset_of
from layerdiff.compare.onnx_kinds import Described, describe
from layerdiff.compare.onnx_names import layer_paths
from layerdiff.compare.onnx_run import Piece, runner
from layerdiff.compare.trace import INPUT, Array, Namer, Op

__all__ = ["Graph", "graph_of", "ops_of"]

_OF_SHAPES = frozenset({"Shape", "Size"})


@dataclass(frozen=True)
class Graph:
    """A model's graph, and which of its values depend on the values of its input.

    Attributes:
        nodes: in order.
        input: the name of the network's input.
        output: the name of what it returns.
        opset: the version of ONNX's operations.
        weights: the model's own constants by name.
        values: every value of one run, by name.
        fixed: names of all values that do not depend on the values of the input: weights, and what is computed of
            them and of shapes.
    """

    nodes: tuple[NodeProto, ...] = field(repr=False)
    input: str
    output: str
    opset: int
    weights: Mapping[str, Array] = field(repr=False)
    values: Mapping[str, Array] = field(repr=False)
    fixed: frozenset[str] = field(repr=False)

    def constant(self, name: str) -> Array:
        """The value of one of `fixed`."""
        return self.weights[name] if name in self.weights else self.values[name]


def graph_of(model: ModelProto, weights: Mapping[str, Array], values: Mapping[str, Array]) -> Graph:
    """The graph of a checked model, with its weights and the values of a run of it, the input's among them."""
    fixed = {*weights}
    for node in model.graph.node:
        if node.op_type in _OF_SHAPES or all(name in fixed for name in node.input if name):
            fixed.update(node.output)
    return Graph(
        tuple(model.graph.node),
        input_name(model),
        model.graph.output[0].name,
        opset_of(model),
        weights,
        values,
        frozenset(fixed),
    )


def ops_of(graph: Graph) -> tuple[list[Op], dict[str, str]]:
    """The operations that depend on the input, in order, and the layer id of each value that they give."""
    steps = list(_steps(graph))
    described = [_described(graph, step) for step in steps]
    paths = layer_paths([step[0] for step in steps], [one.kind for one in described], graph.weights)
    namer, ids, ops = Namer(), {graph.input: INPUT}, []
    for nodes, one, path in zip(steps, described, paths, strict=True):
        for name in _given(graph, nodes):
            layer = _free(namer, path, set(ids.values()))
            ops.append(_op(graph, nodes, one, layer, path, name, ids))
            ids[name] = layer
    return ops, ids


def _free(namer: Namer, path: str, taken: set[str]) -> str:
    """An id that no other operation has, though a name of the graph's own may look like a counted one."""
    layer = namer.name(path)
    while layer in taken:
        layer = namer.name(path)
    return layer


def _steps(graph: Graph) -> Iterator[tuple[NodeProto, ...]]:
    """The nodes that depend on the input; a product with a matrix and the sum with its bias are one step."""
    readers = Counter(name for node in graph.nodes for name in node.input)
    readers[graph.output] += 1
    adders = {node.input[place]: node for node in graph.nodes for place in (0, 1) if _adds_bias(graph, node, place)}
    done: set[str] = set()
    for node in graph.nodes:
        if node.output[0] in done or all(name in graph.fixed for name in node.output if name):
            continue
        adder = adders.get(node.output[0])
        if adder is not None and readers[node.output[0]] == 1 and _is_linear(graph, node):
            done.add(adder.output[0])
            yield node, adder
        else:
            yield (node,)


def _is_linear(graph: Graph, node: NodeProto) -> bool:
    return node.op_type == "MatMul" and node.input[1] in graph.fixed and graph.constant(node.input[1]).ndim == 2


def _adds_bias(graph: Graph, node: NodeProto, place: int) -> bool:
    if node.op_type != "Add" or node.input[place] in graph.fixed or node.input[1 - place] not in graph.fixed:
        return False
    bias, shape = graph.constant(node.input[1 - place]), graph.values[node.output[0]].shape
    return bias.ndim == 1 and bias.shape == shape[-1:]


def _given(graph: Graph, nodes: Sequence[NodeProto]) -> list[str]:
    """The values of a step that somebody reads: nearly always one."""
    read = {name for node in graph.nodes for name in node.input} | {graph.output}
    last = nodes[-1]
    return [name for name in last.output if name in read] or list(last.output[:1])


def _described(graph: Graph, nodes: Sequence[NodeProto]) -> Described:
    node, *rest = nodes
    constants = {name: graph.constant(name) for name in node.input if name in graph.fixed}
    shapes = {
        name: (graph.weights if name in graph.weights else graph.values)[name].shape for name in node.input if name
    }
    found = describe(node, constants, shapes, graph.values[node.output[0]].shape, graph.opset)
    for adder in rest:
        name = next(name for name in adder.input if name in graph.fixed)
        parameters = {**found.parameters, "bias": graph.constant(name)}
        found = replace(found, parameters=parameters, keys={**found.keys, "bias": name})
    return replace(found, keys={role: name for role, name in found.keys.items() if name in graph.weights})


def _op(
    graph: Graph,
    nodes: tuple[NodeProto, ...],
    one: Described,
    layer: str,
    path: str,
    name: str,
    ids: Mapping[str, str],
) -> Op:
    inside = {output for node in nodes for output in node.output}
    read = [taken for node in nodes for taken in node.input if taken and taken not in inside]
    taken = [taken for taken in read if taken not in graph.fixed]
    takes = tuple(dict.fromkeys(taken))
    constants = {taken: graph.constant(taken) for taken in read if taken in graph.fixed}
    value = graph.values[name]
    return Op(
        layer=layer,
        path=path,
        kind=one.kind,
        inputs=tuple(ids[taken] for taken in taken),
        attributes=one.attributes,
        parameters=one.parameters,
        shape=value.shape,
        dtype=value.dtype.name,
        stored=True,
        keys=one.keys,
        run=runner(Piece(nodes, takes, (name,), constants, graph.opset), [takes.index(taken) for taken in taken]),
    )
