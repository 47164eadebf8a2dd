"""What other tools say of a network that should be another's twin: whether it is different, and where."""

from __future__ import annotations

import copy
import logging
import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

__all__ = ["RIVALS", "Case", "Rival", "Said", "said"]

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


@dataclass
class Case:
    """A reference and a network, in the form in which the tools take them.

    Attributes:
        reference: in torch, in eval mode.
        network: a torch module in eval mode, or a NumPy network.
        x: what the reference is given, (n, 3, h, w) float32.
        own_x: what the network is given.
        chains: for each layer, the layers that are fused with it: conv, norm and activation in a row.
    """

    reference: nn.Module
    network: Any
    x: Tensor
    own_x: Tensor
    chains: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def numpy(self) -> bool:
        """Whether the network is no torch module."""
        return not isinstance(self.network, nn.Module)

    @cached_property
    def expected(self) -> Tensor:
        """The reference's logits."""
        return _run(self.reference, self.x)

    @cached_property
    def actual(self) -> Tensor:
        """The network's logits."""
        if self.numpy:
            return torch.from_numpy(np.asarray(self.network(self.own_x.numpy())))
        return _run(self.network, self.own_x)

    @cached_property
    def precise(self) -> Tensor:
        """The reference's logits in float64."""
        return _run(copy.deepcopy(self.reference).double(), self.x.double())


def _run(network: nn.Module, x: Tensor) -> Tensor:
    torch.manual_seed(0)
    with torch.no_grad():
        given: Tensor = network(x)
    return given


Rival = Callable[[Case], Said]


def said(rival: Rival, case: Case) -> Said:
    """What a tool says; a network that raises is different by itself."""
    try:
        _ = case.actual
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
    return Said(not _passes(torch.testing.assert_close, case.actual, case.expected))


def assert_allclose(rtol: float, atol: float) -> Rival:
    """numpy.testing.assert_allclose on the logits."""

    def rival(case: Case) -> Said:
        check = np.testing.assert_allclose
        return Said(not _passes(check, case.actual.numpy(), case.expected.numpy(), rtol=rtol, atol=atol))

    return rival


def cosine(case: Case) -> Said:
    """Cosine of the logits greater than 0.99."""
    if case.actual.shape != case.expected.shape:
        return Said(True)
    similar = nn.functional.cosine_similarity(case.actual.flatten(1), case.expected.flatten(1), dim=1)
    return Said(not bool((similar > 0.99).all()))


def dynamo_same(case: Case) -> Said:
    """torch._dynamo.utils.same with the reference in float64, on the logits."""
    from torch._dynamo.utils import same

    logging.getLogger("torch._dynamo.utils").disabled = True
    return Said(not same(case.expected, case.actual, fp64_ref=case.precise, log_error=lambda *words: None))


@contextmanager
def _outputs(network: nn.Module) -> Iterator[list[tuple[str, Tensor]]]:
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
        yield found
    finally:
        for handle in handles:
            handle.remove()


def layer_by_layer(case: Case) -> Said:
    """torch.testing.assert_close on the outputs of modules, in order, where shapes agree; then on the logits."""
    if case.numpy:
        return Said(None, why="it takes torch modules only")
    with _outputs(case.reference) as expected:
        _run(case.reference, case.x)
    with _outputs(case.network) as actual:
        _run(case.network, case.own_x)
    at = 0
    for name, value in expected:
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
        pair = (copy.deepcopy(case.reference), copy.deepcopy(case.network))
        first, second = ns.add_loggers("a", pair[0], "b", pair[1], ns.OutputLogger)
        _run(first, case.x)
        _run(second, case.own_x)
        found = ns.extract_logger_info(first, second, ns.OutputLogger, "a")
        ns.extend_logger_results_with_comparison(found, "a", "b", compute_sqnr, "sqnr")
    except Exception as error:
        return Said(None, why=_kind_of(error))
    for name, result in found.items():
        for entry in result.get("node_output", {}).get("b", []):
            # A NaN is no agreement.
            if any(not value > SQNR for value in entry["sqnr"]):
                layer = _dotted(name, case.chains)
                return Said(True, case.chains.get(layer, (layer,)))
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

    def logs(network: nn.Module, x: Tensor, *, modules: bool = False) -> Any:
        with DebugMode(record_nn_module=modules) as mode, DebugMode.log_tensor_hashes():
            _run(network, x)
        return mode.logs

    if case.numpy:
        return Said(None, why="it takes torch modules only")
    expected = logs(case.reference, case.x)
    try:
        found = DebugMode.check_hash_mismatches(expected, logs(case.network, case.own_x))
    except ValueError as error:
        return Said(True, why=re.sub(r"\d+", "N", str(error)).split(":")[0])
    if not found:
        return Said(False)
    # It names an operator; which layer that is must be looked up, in a log that has the modules' names too.
    place, calls = "", Counter[str]()
    for one in logs(case.reference, case.x, modules=True):
        header = getattr(one, "header", None)
        if header is not None and getattr(one, "tag", "") == "nn.Mod":
            place = header.partition(".")[2]
        elif _hash_of(one) == found[0]["hash1"]:
            break
        elif _hash_of(one) is not None:
            calls[place] += 1
    return Said(True, (place,))


def _hash_of(one: Any) -> Any:
    value = (getattr(one, "log", None) or {}).get("hash")
    return value[0] if isinstance(value, (tuple, list)) and value else value


RIVALS: dict[str, Rival] = {
    "`torch.testing.assert_close`, logits": assert_close,
    "the same, layer by layer": layer_by_layer,
    "`numpy.testing.assert_allclose`, rtol 1e-7 (default)": assert_allclose(1e-7, 0),
    "the same, rtol 1e-3, atol 1e-5": assert_allclose(1e-3, 1e-5),
    "cosine > 0.99": cosine,
    "`torch._dynamo.utils.same`, float64 reference": dynamo_same,
    "`torch.ao.ns._numeric_suite_fx`, 60 dB": numeric_suite,
    "`torch.utils._debug_mode`": debug_mode,
}
"""Each tool by what the table calls it."""
