"""What a candidate's code gave: is it a network, and one that can be judged?"""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from layerdiff.candidate.contents import is_network
from layerdiff.errors import InputError

__all__ = ["accept"]

_MOST_NAMED = 6
_LAYER_INTERFACE = ("children", "arrays", "astype", "register_forward_hook")


def accept(made: Any, place: str) -> tuple[Any, tuple[str, ...]]:
    """The network, in eval mode, on the CPU and in float32, and notes of what was done for that.

    A `DataParallel` or `torch.compile` around it is taken off: it computes the same. Values are moved and cast, never
    changed otherwise; from float16 and bfloat16 that is exact.

    Raises:
        InputError: it is not a network; is a script, whose operations cannot be watched; or has parameters
            without values.
    """
    if not is_network(made):
        raise _no_network(made, place)
    if not isinstance(made, nn.Module):
        return _numpy_network(made, place)
    _refuse_without_init(made, place)
    network, notes = _unwrapped(made)
    _refuse_scripts(network, place)
    _refuse_without_values(network, place)
    notes += [*_moved(network), *_cast(network), *_in_eval_mode(network)]
    return network, tuple(f"{place}: {note}" for note in notes)


def _no_network(made: Any, place: str) -> InputError:
    got, advice = f"a {type(made).__name__}", None
    if made is None:
        got, advice = "nothing", "did you forget `return model`?"
    elif isinstance(made, type):
        got, advice = f"the class {made.__name__}", f"return an instance: {made.__name__}(...)"
    elif isinstance(made, Mapping) and made and all(isinstance(value, Tensor) for value in made.values()):
        got, advice = "a state dict", "return the network; its weights go into --weights"
    elif isinstance(made, tuple | list):
        got = f"a {type(made).__name__} of {', '.join(type(item).__name__ for item in made) or 'nothing'}"
        networks = sum(map(is_network, made))
        advice = "return only the network" if networks == 1 else None
    elif isinstance(made, Tensor | np.ndarray):
        got = f"a {type(made).__name__} of shape {tuple(made.shape)}"
        advice = "return the network itself, not what it gives for an input"
    elif inspect.iscoroutine(made):
        # Or Python would complain that nobody awaited it.
        made.close()
    elif callable(made):
        got, advice = f"a {type(made).__name__} that can be called", "make it the forward of an nn.Module"
    return InputError(
        f"{place}: gives no network, got {got}, expected an nn.Module or a NumPy network with named_layers()",
        help=advice,
    )


def _refuse_without_init(network: nn.Module, place: str) -> None:
    if "_modules" not in vars(network) and not isinstance(network, torch.jit.ScriptModule):
        raise InputError(
            f"{place}: not set up, got a {type(network).__name__} without torch's own state, expected a module",
            help="begin its __init__ with super().__init__()",
        )


def _unwrapped(network: nn.Module) -> tuple[nn.Module, list[str]]:
    notes = []
    while True:
        if isinstance(network, nn.DataParallel | nn.parallel.DistributedDataParallel):
            notes.append(f"took the network out of its {type(network).__name__}")
            network = network.module
        elif isinstance(original := getattr(network, "_orig_mod", None), nn.Module):
            notes.append("took the network out of torch.compile")
            network = original
        else:
            break
    compiled = [module for module in network.modules() if module._compiled_call_impl is not None]
    for module in compiled:
        module._compiled_call_impl = None
    if compiled:
        notes.append(f"undid .compile() of {len(compiled)} of its modules")
    return network, notes


def _refuse_scripts(network: nn.Module, place: str) -> None:
    scripts = [
        f"{path or 'the network'} ({type(module).__name__})"
        for path, module in network.named_modules()
        if isinstance(module, torch.jit.ScriptModule)
    ]
    if scripts:
        raise InputError(
            f"{place}: compiled to TorchScript, got {_some(scripts)}, expected modules in Python",
            notes=["what a script computes cannot be watched operation by operation"],
            help="return the network from before torch.jit.script or torch.jit.trace",
        )


def _refuse_without_values(network: nn.Module, place: str) -> None:
    lazy = [name for name, tensor in _tensors(network) if is_lazy(tensor)]
    if lazy:
        raise InputError(
            f"{place}: lazy modules have no shapes yet, got {_some(lazy)}, expected parameters",
            help="run it once before returning it: model(torch.zeros(1, 3, 224, 224))",
        )
    meta = [name for name, tensor in _tensors(network) if tensor.is_meta]
    if meta:
        raise InputError(
            f"{place}: parameters on the meta device have no values, got {_some(meta)}, expected them on the CPU",
            help="build it without torch.device('meta'), or give it memory with .to_empty(device='cpu') and weights",
        )


def _moved(network: nn.Module) -> Iterator[str]:
    devices = Counter(str(tensor.device) for _, tensor in _tensors(network) if tensor.device.type != "cpu")
    if devices:
        network.cpu()
        yield f"moved {_counted(devices)} to the CPU"


def _cast(network: nn.Module) -> Iterator[str]:
    dtypes = Counter(
        str(tensor.dtype).removeprefix("torch.")
        for _, tensor in _tensors(network)
        if tensor.is_floating_point() and tensor.dtype is not torch.float32
    )
    if dtypes:
        network.float()
        rounded = "float64" in dtypes
        yield f"cast {_counted(dtypes)} to float32, " + (
            "which may round them; was it built with another default dtype?" if rounded else "which is exact"
        )


def _in_eval_mode(network: nn.Module) -> Iterator[str]:
    try:
        network.eval()
    except Exception as error:
        # A train() of its own that is no switch but trains.
        for module in network.modules():
            module.training = False
        yield f"its train() is not torch's, got {type(error).__name__}; each module's training was set to False instead"
    training = [path or "the network" for path, module in network.named_modules() if module.training]
    if training:
        yield f"stays in training mode after eval(): {_some(training)}"


def _tensors(network: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from network.named_parameters()
    yield from network.named_buffers()


def _numpy_network(network: Any, place: str) -> tuple[Any, tuple[str, ...]]:
    layers = list(network.named_layers())
    lacking = [
        f"{path or 'the network'}.{name}"
        for path, layer in layers
        for name in _LAYER_INTERFACE
        if not hasattr(layer, name)
    ]
    if lacking:
        raise InputError(
            f"{place}: a NumPy network whose layers cannot be judged, got no {_some(lacking)}, expected each layer to "
            f"have {', '.join(_LAYER_INTERFACE)}"
        )
    dtypes = Counter(
        array.dtype.name for _, layer in layers for array in layer.arrays.values() if array.dtype != np.float32
    )
    if not dtypes:
        return network, ()
    return network.astype(np.float32), (f"{place}: cast {_counted(dtypes)} to float32",)


def _counted(counts: Mapping[str, int]) -> str:
    return " and ".join(f"{count} {name} tensor{'s' * (count != 1)}" for name, count in counts.items())


def _some(names: list[str]) -> str:
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
