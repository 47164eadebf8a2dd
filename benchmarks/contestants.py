"""Those who run a residual network: ours, torch in several ways, ONNX Runtime, and the bare matrix products."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits
from torch import nn

from layerdiff import load_weights, torchvision_model
from layerdiff.handwritten import fused, kept, numpy_resnet
from layerdiff.handwritten.numpy_ops import Grade

__all__ = ["Network", "onnx_file", "product_sizes", "reference_evaluator"]

Array = NDArray[np.float32]


class Network:
    """One architecture with synthetic weights, and everyone who runs it.

    Args:
        name: torchvision's.
        shape: of the batch, (n, 3, h, w).
        threads: that each may use.
    """

    def __init__(self, name: str, shape: tuple[int, int, int, int], threads: int) -> None:
        self.name, self.shape, self.threads = name, shape, threads
        self.weights = load_weights("synthetic", name)
        self.x: Array = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
        self._model = torchvision_model(name, self.weights)

    def torch_eager(self) -> Callable[[], NDArray[Any]]:
        """Torchvision's network as it is."""
        return self._torch(self._model, torch.contiguous_format)

    def torch_channels_last(self) -> Callable[[], NDArray[Any]]:
        """The same with channels last in memory."""
        return self._torch(torchvision_model(self.name, self.weights), torch.channels_last)

    def torch_fused(self) -> Callable[[], NDArray[Any]]:
        """Channels last, and batch norms folded into convolutions by torch.fx."""
        from torch.fx.experimental.optimization import fuse

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            folded = fuse(torchvision_model(self.name, self.weights))
        return self._torch(folded, torch.channels_last)

    def onnxruntime(self, path: Path) -> Callable[[], NDArray[Any]]:
        """ONNX Runtime on the exported network, all its optimisations on."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = self.threads, 1
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        given = {session.get_inputs()[0].name: self.x}
        return lambda: session.run(None, given)[0]

    def fused(self, tricks: fused.Tricks | None = None) -> Callable[[], NDArray[Any]]:
        """Our fused NumPy network."""
        network = fused.build(self.name, self.weights.state, threads=self.threads, tricks=tricks)
        return lambda: network(self.x)

    def kept(self, *, winograd: bool = True) -> Callable[[], object]:
        """Every layer in an array of its own, allocated once."""
        network = kept.build(self.name, self.weights.state, threads=self.threads, winograd=winograd)
        return lambda: network.layers(self.x)

    def textbook(self, grade: Grade = "gemm") -> Callable[[], NDArray[Any]]:
        """Our NumPy twin, layer by layer, every output an array of its own; see `conv2d` for the grades."""
        network = numpy_resnet.build(self.name, grade=grade)
        network.load_state_dict(self.weights.state)
        return lambda: self._limited(lambda: network(self.x))

    def products(self) -> Callable[[], object]:
        """One plain matrix product for each convolution, of the right size and without anything else."""
        sizes = product_sizes(self._model, self.shape)
        arrays = [tuple(np.ones(shape, dtype=np.float32) for shape in ((o, k), (k, n), (o, n))) for o, k, n in sizes]

        def run() -> None:
            for kernels, patches, y in arrays:
                np.matmul(kernels, patches, out=y)

        return lambda: self._limited(run)

    def exact(self) -> NDArray[np.float64]:
        """The logits in float64."""
        model = torchvision_model(self.name, self.weights).double()
        with torch.inference_mode():
            return model(torch.from_numpy(self.x).double()).numpy()

    def _torch(self, model: nn.Module, layout: torch.memory_format) -> Callable[[], NDArray[Any]]:
        model = model.to(memory_format=layout)
        x = torch.from_numpy(self.x).contiguous(memory_format=layout)

        def run() -> NDArray[Any]:
            torch.set_num_threads(self.threads)
            with torch.inference_mode():
                return model(x).numpy()

        return run

    def _limited(self, run: Callable[[], Any]) -> Any:
        with threadpool_limits(self.threads, user_api="blas"):
            return run()


def product_sizes(model: nn.Module, shape: tuple[int, int, int, int]) -> list[tuple[int, int, int]]:
    """Of each convolution and the last layer: output channels, products in a sum, values of an output channel."""
    found: list[tuple[int, int, int]] = []

    def note(layer: nn.Module, _inputs: object, y: torch.Tensor) -> None:
        if isinstance(layer, nn.Conv2d):
            taps = layer.weight[0].numel()
            found.extend([(layer.out_channels // layer.groups, taps, y.numel() // y.shape[1])] * layer.groups)
        elif isinstance(layer, nn.Linear):
            found.append((layer.out_features, layer.in_features, len(y)))

    hooks = [layer.register_forward_hook(note) for layer in model.modules()]
    with torch.inference_mode():
        model(torch.zeros(shape))
    for hook in hooks:
        hook.remove()
    return found


def onnx_file(name: str, folder: Path) -> Path:
    """The network exported to ONNX for batches of any size, and where it is."""
    path = folder / f"{name}.onnx"
    model = torchvision_model(name, load_weights("synthetic", name))
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        batch = torch.export.Dim("batch", min=1, max=64)
        torch.onnx.export(
            model, (torch.zeros(2, 3, 224, 224),), path, dynamo=True, external_data=False,
            dynamic_shapes=({0: batch},), verbose=False,
        )  # fmt: skip
    return path


def reference_evaluator(path: Path, x: Array) -> Callable[[], object]:
    """`onnx.reference`, which defines what an ONNX file means."""
    from onnx.reference import ReferenceEvaluator

    evaluator = ReferenceEvaluator(str(path))
    return lambda: evaluator.run(None, {evaluator.input_names[0]: x})
