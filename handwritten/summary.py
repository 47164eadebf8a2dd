"""The table of a network's layers: what each gives, holds and costs, for an input of a given shape.

No number of the network is computed: the shapes are found by a forward pass on shapes alone.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

from layerdiff.handwritten.counting import PRODUCTS, Convention
from layerdiff.handwritten.numpy_layer import Layer
from layerdiff.handwritten.shape_pass import Shape

__all__ = ["Row", "Summary", "summarise"]


@dataclass(frozen=True)
class Row:
    """One use of a layer that has no layers of its own.

    Attributes:
        name: its path, from its second use on with the number of the uses before: relu, relu_1, relu_2.
        kind: its class.
        output_shape: of what it gave.
        parameters: numbers it holds that the convention calls parameters; 0 where a row above counts them.
        multiply_adds: by the convention.
    """

    name: str
    kind: str
    output_shape: Shape
    parameters: int
    multiply_adds: int


@dataclass(frozen=True)
class Summary:
    """The layers of a network in the order in which they run.

    Attributes:
        convention: by which it counts.
        rows: one for each use of a layer.
        unused: layers with arrays that the forward pass did not run; their numbers are in `parameters` too.
        parameters: numbers that the convention calls parameters, in the whole network.
        multiply_adds: of one forward pass, by the convention.
    """

    convention: Convention
    rows: tuple[Row, ...]
    unused: tuple[str, ...]
    parameters: int
    multiply_adds: int


def summarise(network: Layer, *shapes: Shape, convention: Convention = PRODUCTS) -> Summary:
    """The table of `network` for inputs of these shapes.

    Args:
        network: a layer, or a network of layers.
        shapes: one for each input, such as (1, 3, 224, 224).
        convention: what counts as a multiply-add and as a parameter, see `counting`.

    Raises:
        ValueError: a layer cannot take such a shape, or something other than layers works on the arrays.
        NotImplementedError: a layer without layers of its own does not say its shape or its work.
    """
    _, steps = network.shape_pass(*shapes)
    last = {id(step.layer): step for step in steps}
    uses: Counter[str] = Counter()
    counted: set[int] = set()
    rows = []
    for step in steps:
        counts = convention.each_use or last[id(step.layer)] is step
        work = convention.multiply_adds(step.layer.work(*step.inputs)) if counts else 0
        name = f"{step.path}_{uses[step.path]}" if uses[step.path] else step.path
        uses[step.path] += 1
        rows.append(Row(name, type(step.layer).__name__, step.output, _held(step.layer, convention, counted), work))
    unused = tuple(path for path, layer in network.named_layers() if layer.arrays and path not in uses)
    parameters = network.parameter_count() + (network.buffer_count() if convention.running_statistics else 0)
    return Summary(convention, tuple(rows), unused, parameters, sum(row.multiply_adds for row in rows))


def _held(layer: Layer, convention: Convention, counted: set[int]) -> int:
    """How many numbers the layer holds that no layer before it holds; marks them as counted."""
    arrays = [array for name, array in layer.arrays.items() if name not in layer.buffer_names]
    if convention.running_statistics:
        arrays = list(layer.arrays.values())
    fresh = {id(array): array for array in arrays if id(array) not in counted}
    counted.update(fresh)
    return sum(math.prod(array.shape) for array in fresh.values())
