"""`layerdiff classify`: what an image shows, by one of the networks."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from layerdiff.command.options import network_options, use_threads, which_network
from layerdiff.command.output import say
from layerdiff.errors import InputError
from layerdiff.subject import Subject, handwritten_network, load_subject

__all__ = ["command"]


@click.command(name="classify")
@click.argument("image", required=False, type=click.Path(path_type=Path))
@network_options
@which_network("numpy", "fused")
def command(image: Path | None, expected: str, kind: str, weights: str, threads: int | None, seed: int) -> int:
    """Name the five best classes of IMAGE (default: a cat), with torchvision's category names."""
    from layerdiff.reference import categories

    use_threads(threads)
    subject = load_subject(expected, weights, [image] if image else [], None, None)
    if subject.weights.missing:
        raise InputError(f"weights: {len(subject.weights.missing)} tensors are lacking in {subject.weights.source}")
    for note in subject.notes:
        say(f"note: {note}")
    if subject.weights.source.startswith("synthetic"):
        say("note: synthetic weights know nothing of pictures; the names below mean nothing")
    logits = _logits(kind, subject).astype(np.float64)[0]
    shares = np.exp(logits - logits.max())
    shares /= shares.sum()
    names = categories(subject.architecture)
    for i in np.argsort(-shares, kind="stable")[:5]:
        say(f"{100 * shares[i]:6.2f}%  {names[i]}")
    return 0


def _logits(kind: str, subject: Subject) -> NDArray[np.floating]:
    import torch

    if kind == "fused":
        from layerdiff.by_plan import fused_network

        fused: NDArray[np.floating] = fused_network(subject)(subject.x)
        return fused
    if kind == "numpy":
        network, _ = handwritten_network(kind, subject)
        twin: NDArray[np.floating] = network(subject.x)
        return twin
    if kind == "torch":
        network, _ = handwritten_network(kind, subject)
    else:
        from layerdiff.reference import torchvision_model

        network = torchvision_model(subject.architecture, subject.weights)
    logits: NDArray[np.floating] = network(torch.from_numpy(subject.x)).numpy()
    return logits
