"""A class of the network's own that is one layer: what ran in it becomes one operation."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from layerdiff.compare.kinds import attributes_of, family, kind_of_class
from layerdiff.compare.recorder import Recorder
from layerdiff.compare.torch_calls import Arguments, ModuleCall
from layerdiff.compare.torch_facts import array_of, own_tensors
from layerdiff.compare.torch_made import Made
from layerdiff.compare.torch_origins import Origins
from layerdiff.compare.torch_pull import puller
from layerdiff.compare.torch_variation import module_varied
from layerdiff.compare.torch_what import What, of_own_class
from layerdiff.compare.trace import Op

__all__ = ["Folds", "Running"]


@dataclass
class Running:
    """A module that is running.

    Attributes:
        module: which.
        path: where it stands.
        atomic: whether it is one operation, whatever runs in it.
        start: how many operations had run before it.
        hook: on this module alone, where it has hooks of its own.
        arguments: that it was called with.
    """

    module: nn.Module
    path: str
    atomic: bool
    start: int = 0
    hook: RemovableHandle | None = None
    arguments: Arguments = field(default=Arguments((), (), None))


class Folds:
    """Makes one operation of what ran in a class of the network's own, where that is what it is.

    Args:
        recorder: has what ran.
        origins: of the network's own tensors.
        made: makes operations.
        open_: paths of classes that were taken for one operation, and are none.
    """

    def __init__(self, recorder: Recorder, origins: Origins, made: Made, open_: AbstractSet[str]) -> None:
        self._recorder, self._origins, self._made, self._open = recorder, origins, made, open_

    def fold(self, call: Running, output: object) -> None:
        """Make one operation of what ran in `call`, which gave `output`, if that is what it is."""
        inside = tuple(self._recorder.recording.ops[call.start :])
        if not call.path or call.path in self._open or not isinstance(output, Tensor) or not inside:
            return
        made = {op.layer for op in inside}
        given = call.arguments
        given = replace(
            given, slots=tuple(i for i in given.slots if self._recorder.producer(given.leaves[i]) not in made)
        )
        taken = {layer for op in inside for layer in op.inputs} - made
        known = taken <= {self._recorder.producer(tensor) for tensor in given.inputs}
        if not known or self._recorder.producer(output) not in made:
            return
        leaf = next(call.module.children(), None) is None
        if len(inside) == 1 and leaf:
            op = self._wrapped(call, inside[0], given)
        else:
            what = self.of_own_class(call.module, inside, leaf=leaf)
            if what is None:
                return
            again = ModuleCall.of(call.module, given.emptied())
            own = own_tensors(call.module)
            roles = {role: name for role, tensor in what.tensors.items() for name, one in own.items() if one is tensor}
            op = self._made.op(call.path, what, given.inputs, output, again, module_varied(again, roles))
        folded = replace(op, inner=inside)
        self._recorder.fold(call.start, folded, output, lambda: array_of(output))

    def of_own_class(self, module: nn.Module, inside: tuple[Op, ...], *, leaf: bool) -> What | None:
        """What a module of the network's own class is, by what ran in it; None where that is no single layer."""
        keys = list(self._origins.keys(own_tensors(module)).values())
        return of_own_class(module, inside, leaf=leaf, keys=keys)

    def _wrapped(self, call: Running, op: Op, given: Arguments) -> Op:
        """One operation in a wrapper: what is known of it, under the wrapper's name."""
        name = type(call.module).__name__
        kind = kind_of_class(name) if family(kind_of_class(name), op.kind) and not _is_bounded(op) else op.kind
        attributes = {**attributes_of(kind, call.module), **op.attributes}
        layer = self._recorder.name(call.path)
        again = ModuleCall.of(call.module, given.emptied())
        return replace(
            op, layer=layer, path=call.path, kind=kind, attributes=attributes, native=False, own_backward=None,
            pull=puller(again, self._origins.taking_part(again)),
        )  # fmt: skip


def _is_bounded(op: Op) -> bool:
    """Whether an operation cuts values off above: a class that is called ReLU is none then."""
    return op.kind in {"hardtanh", "relu6"} or (op.kind == "clamp" and op.attributes.get("max") is not None)
