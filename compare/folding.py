"""Which classes are one operation: somebody's own convolution is, whatever it is made of; a block of layers is not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from layerdiff.compare.kinds import PLAIN, kind_of_class
from layerdiff.compare.trace import Op

__all__ = ["kind_of_own_class", "roles_by_name"]

_ROLE_OF_NAME = {
    "weight": "weight", "w": "weight", "kernel": "weight", "kernels": "weight", "filters": "weight", "filter": "weight",
    "weights": "weight", "gamma": "weight", "g": "weight", "scale": "weight", "bias": "bias", "b": "bias",
    "beta": "bias", "shift": "bias", "offset": "bias", "running_mean": "running_mean", "moving_mean": "running_mean",
    "mean": "running_mean", "mu": "running_mean", "running_mu": "running_mean", "running_var": "running_var",
    "moving_var": "running_var", "moving_variance": "running_var", "var": "running_var", "variance": "running_var",
    "sigma2": "running_var", "running_variance": "running_var",
}  # fmt: skip


def roles_by_name(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, str]:
    """What each tensor of somebody's own layer is for, by its name and, failing that, by its rank.

    Args:
        shapes: of the layer's own floating-point tensors, by attribute name, in the order they were registered.

    Returns:
        `weight`, `bias`, `running_mean` or `running_var` by attribute name; tensors that fit none are left out.
    """
    found: dict[str, str] = {}
    for name in shapes:
        role = _ROLE_OF_NAME.get(name.strip("_").lower())
        if role is not None and role not in found.values():
            found[name] = role
    for name, shape in shapes.items():
        if name not in found and len(shape) >= 2 and "weight" not in found.values():
            found[name] = "weight"
    rest = [role for role in ("weight", "bias", "running_mean", "running_var") if role not in found.values()]
    if any(len(shape) >= 2 for shape in shapes.values()):
        rest = [role for role in rest if role == "bias"]
    for name, shape in shapes.items():
        if name not in found and len(shape) == 1 and rest:
            found[name] = rest.pop(0)
    return found


def kind_of_own_class(
    name: str, *, leaf: bool, own: Mapping[str, tuple[int, ...]], inside: Sequence[Op], mine: Sequence[str]
) -> str | None:
    """The kind of somebody's own class if it is one operation, None if its inside is the network's.

    One operation is a class without children whose name says what it is (`Conv2d`), and one that builds a single
    layer out of arithmetic: it has the tensors of one layer, and nothing inside it is a layer by itself.

    Args:
        name: of the class.
        leaf: whether it has no children.
        own: shapes of the parameters and buffers it holds itself, by attribute name.
        inside: the operations that ran in it.
        mine: names, in the state dict, of those parameters and buffers.
    """
    known = kind_of_class(name)
    if leaf and known != name:
        return known
    if not inside or all(op.kind in PLAIN for op in inside):
        return None
    strangers = {key for op in inside for key in op.keys.values()} - set(mine)
    layers = [op for op in inside if op.kind in {"conv2d", "batch_norm"}]
    if strangers or layers:
        return None
    return _kind_of_tensors(own, len(inside[-1].shape)) if own else (name if leaf else None)


def _kind_of_tensors(own: Mapping[str, tuple[int, ...]], rank: int) -> str | None:
    ranks = sorted(len(shape) for shape in own.values())
    large = [rank for rank in ranks if rank >= 2]
    if len(large) > 1 or len(ranks) - len(large) > (1 if large else 4):
        return None
    if large:
        # Kernels that were run together to a matrix still make maps.
        return {4: "conv2d", 2: "conv2d" if rank == 4 else "linear"}.get(large[0])
    return "batch_norm" if len(ranks) >= 2 and len(set(own.values())) == 1 else None
