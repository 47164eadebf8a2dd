"""What other tools say of a network that should be another's twin: whether it is different, and where."""

from __future__ import annotations

import copy
import logging
import re
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

__all__ = ["RIVALS", "Case", "Reference", "Rival", "Said", "said"]

SQNR = 60.0
"""Decibels: the numeric suite has no verdict of its own. Below that, the noise is more than a thousandth."""


@dataclass(frozen=True)
class Said:
    """What a tool says of a pair of networks.

    Attributes:
        different: whether it finds them different; None where it cannot be run on them.
        layers: the first place it names, as ids of the expected network's layers; several where it names a group.
        why: the reason where it cannot be run, or what it raised.
    """

    different: bool | None
    layers: tuple[str, ...] = ()
    why: str = ""


@dataclass(eq=False)
class Reference:
    """The network that is right, and what the tools read of it: each is made once.

    Attributes:
        network: in torch, in eval mode.
        x: what it is given, (n, 3, h, w) float32.
        chains: for each layer, the layers that a tool may take for one with it: conv, norm and activation in a row.
    """

    network: nn.Module
    x: Tensor
    chains: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @cached_property
    def logits(self) -> Tensor:
        """What it gives."""
        return _run(self.network, self.x)

    @cached_property
    def precise(self) -> Tensor:
        """What it gives in float64."""
        return _run(copy.deepcopy(self.network).double(), self.x.double())

    @cached_property
    def outputs(self) -> list[tuple[str, Tensor]]:
        """Of its modules, in order."""
        return _outputs(self.network, self.x)

    @cached_property
    def logs(self) -> list[Any]:
        """Of the debug mode."""
        return _logs(self.network, self.x)

    @cached_property
    def places(self) -> list[str]:
        """The module in which each of the operations of `logs` runs."""
        found, place = [], ""
        for one in _logs(self.network, self.x, modules=True):
            if getattr(one, "header", "") == "nn.Mod":
                place = one.tag.partition(".")[2]
            else:
                found.append(place)
        return found


@dataclass
class Case:
    """A reference and a network.

    Attributes:
        reference: the network that is right.
        network: a torch module in eval mode, or a NumPy network.
        x: what it is given.
    """

    reference: Reference
    network: Any
    x: Tensor

    @property
    def numpy(self) -> bool:
        """Whether the network is no torch module."""
        return not isinstance(self.network, nn.Module)

    @cached_property
    def logits(self) -> Tensor:
        """What the network gives."""
        if self.numpy:
            return torch.from_numpy(np.asarray(self.network(self.x.numpy())))
        return _run(self.network, self.x)


def _run(network: nn.Module, x: Tensor) -> Tensor:
    torch.manual_seed(0)
    with torch.no_grad():
        given: Tensor = network(x)
    return given


def _outputs(network: nn.Module, x: Tensor) -> list[tuple[str, Tensor]]:
    found: list[tuple[str, Tensor]] = []
    calls: Counter[str] = Counter()

    def keeps(name: str) -> Callable[..., None]:
        def keep(module: nn.Module, given: Any, result: Any) -> None:
            if isinstance(result, Tensor):
                found.append((f"{name}_{calls[name]}" if calls[name] else name, result.detach().clone()))
                calls[name] += 1

        return keep

    handles = [
        module.register_forward_hook(keeps(name))
        for name, module in network.named_modules()
        if name and not list(module.children())
    ]
    try:
        _run(network, x)
    finally:
        for handle in handles:
            handle.remove()
    return found


def _logs(network: nn.Module, x: Tensor, *, modules: bool = False) -> list[Any]:
    from torch.utils._debug_mode import DebugMode

    with DebugMode(record_nn_module=modules) as mode, DebugMode.log_tensor_hashes():
        _run(network, x)
    logs: list[Any] = mode.logs
    return logs


Rival = Callable[[Case], Said]


def said(rival: Rival, case: Case) -> Said:
    """What a tool says; a network that raises is different by itself."""
    try:
        _ = case.logits
    except Exception as error:
        return Said(True, why=f"the network raises {type(error).__name__}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return rival(case)


def _passes(check: Callable[..., Any], actual: Any, expected: Any, **options: Any) -> bool:
    try:
        check(actual, expected, **options)
    except AssertionError:
        return False
    return True


def assert_close(case: Case) -> Said:
    """torch.testing.assert_close on the logits."""
    return Said(not _passes(torch.testing.assert_close, case.logits, case.reference.logits))


def assert_allclose(rtol: float, atol: float) -> Rival:
    """numpy.testing.assert_allclose on the logits."""

    def rival(case: Case) -> Said:
        check = np.testing.assert_allclose
        return Said(not _passes(check, case.logits.numpy(), case.reference.logits.numpy(), rtol=rtol, atol=atol))

    return rival


def cosine(case: Case) -> Said:
    """Cosine of the logits greater than 0.99."""
    actual, expected = case.logits, case.reference.logits
    if actual.shape != expected.shape:
        return Said(True)
    similar = nn.functional.cosine_similarity(actual.flatten(1), expected.flatten(1), dim=1)
    return Said(not bool((similar > 0.99).all()))


def dynamo_same(case: Case) -> Said:
    """torch._dynamo.utils.same with the reference in float64, on the logits."""
    from torch._dynamo.utils import same

    logging.getLogger("torch._dynamo.utils").disabled = True
    one = case.reference
    return Said(not same(one.logits, case.logits, fp64_ref=one.precise, log_error=lambda *words: None))


def layer_by_layer(case: Case) -> Said:
    """torch.testing.assert_close on the outputs of modules, in order, where shapes agree; then on the logits."""
    if case.numpy:
        return Said(None, why="it takes torch modules only")
    actual, at = _outputs(case.network, case.x), 0
    for name, value in case.reference.outputs:
        match = next((i for i in range(at, len(actual)) if actual[i][1].shape == value.shape), None)
        if match is None:
            continue
        at = match + 1
        if not _passes(torch.testing.assert_close, actual[match][1], value):
            return Said(True, (name,))
    return assert_close(case)


def numeric_suite(case: Case) -> Said:
    """torch.ao.ns._numeric_suite_fx: the first pair of subgraphs with less than 60 dB."""
    import torch.ao.ns._numeric_suite_fx as ns
    from torch.ao.ns.fx.utils import compute_sqnr

    if case.numpy:
        return Said(None, why="it takes torch modules only")
    try:
        pair = (copy.deepcopy(case.reference.network), copy.deepcopy(case.network))
        first, second = ns.add_loggers("a", pair[0], "b", pair[1], ns.OutputLogger)
        _run(first, case.reference.x)
        _run(second, case.x)
        found = ns.extract_logger_info(first, second, ns.OutputLogger, "a")
        ns.extend_logger_results_with_comparison(found, "a", "b", compute_sqnr, "sqnr")
    except Exception as error:
        return Said(None, why=_kind_of(error))
    for name, result in found.items():
        for entry in result.get("node_output", {}).get("b", []):
            # A NaN is no agreement.
            if any(not value > SQNR for value in entry["sqnr"]):
                layer = _dotted(name, case.reference.chains)
                return Said(True, case.reference.chains.get(layer, (layer,)))
    return Said(False)


def _kind_of(error: Exception) -> str:
    kind = type(error).__name__
    text = " ".join(str(error).split())
    if kind == "GraphMatchingException":
        return "GraphMatchingException: the two graphs do not match"
    if "symbolic" in text or "Proxy" in text or "traced" in text:
        return "torch.fx cannot trace the network"
    return f"{kind} inside the tool" if "size" in text or "shape" in text else f"{kind}: {text[:60]}"


def _dotted(node: str, chains: dict[str, tuple[str, ...]]) -> str:
    """The layer that a node's name stands for."""
    return next((layer for layer in chains if layer.replace(".", "_") == node), node)


def debug_mode(case: Case) -> Said:
    """torch.utils._debug_mode: hashes of the outputs of all operations, in two runs."""
    from torch.utils._debug_mode import DebugMode

    if case.numpy:
        return Said(None, why="it takes torch modules only")
    expected = case.reference.logs
    try:
        found = DebugMode.check_hash_mismatches(expected, _logs(case.network, case.x))
    except ValueError as error:
        return Said(True, why=re.sub(r"\d+", "N", str(error)).split(":")[0])
    if not found:
        return Said(False)
    # It names an operator and its hash; which layer that is must be looked up in the reference's log.
    hashed = found[0]["hash1"]
    number = next((i for i, one in enumerate(expected) if hashed in _hashes(one)), None)
    return Said(True, () if number is None else (case.reference.places[number],))


def _hashes(one: Any) -> list[float]:
    value = (one.log or {}).get("hash")
    return list(value) if isinstance(value, (tuple, list)) else [value]


RIVALS: dict[str, Rival] = {
    "`torch.testing.assert_close`, logits": assert_close,
    "`torch.testing.assert_close`, layer by layer": layer_by_layer,
    "`numpy.testing.assert_allclose`, rtol 1e-7 (default)": assert_allclose(1e-7, 0),
    "`numpy.testing.assert_allclose`, rtol 1e-3, atol 1e-5": assert_allclose(1e-3, 1e-5),
    "cosine > 0.99": cosine,
    "`torch._dynamo.utils.same`, float64 reference": dynamo_same,
    "`torch.ao.ns._numeric_suite_fx`, 60 dB": numeric_suite,
    "`torch.utils._debug_mode`": debug_mode,
}
"""Each tool by what the table calls it."""
