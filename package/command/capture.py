"""`layerdiff capture`: the trace of one network on an image, as a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click

from layerdiff.command.options import image_options, network_options, use_threads, which_network
from layerdiff.command.output import check_writable, say
from layerdiff.errors import InputError
from layerdiff.subject import capture_expected, describe_input, handwritten_network, load_subject

__all__ = ["command"]


@click.command(name="capture")
@network_options
@which_network("expected")
@image_options
@click.option("--until", help="Stop after this layer or part, such as layer2.")
@click.option("--output", "-o", required=True, type=click.Path(path_type=Path), help="A .safetensors file.")
def command(
    expected: str,
    kind: str,
    weights: str,
    images: Sequence[Path],
    size: tuple[int, int] | None,
    batch: int | None,
    until: str | None,
    threads: int | None,
    seed: int,
    output: Path,
) -> int:
    """Write the trace of one network on an image: every layer's output, and how far rounding may move it."""
    from layerdiff.compare.capture import capture
    from layerdiff.compare.saved import write_trace
    from layerdiff.compare.trace import upto
    from layerdiff.compare.traces import with_floors
    from layerdiff.environment import describe_environment, subject_facts

    if output.suffix != ".safetensors":
        raise InputError(f"{output}: a trace is a .safetensors file, got {output.suffix or 'no suffix'}")
    check_writable(output)
    use_threads(threads)
    subject = load_subject(expected, weights, images, size, batch)
    trace = capture_expected(subject, until=until, keep=kind == "expected")
    if kind != "expected":
        network, name = handwritten_network(kind, subject)
        trace = capture(network, subject.x, name=f"{name}, {describe_input(subject)}", until=until, keep=True)
    ops = upto(trace.ops, until)
    trace = replace(trace, ops=ops, metadata={**describe_environment(), **subject_facts(subject), "seed": str(seed)})
    write_trace(with_floors(trace, subject.x, seed=seed), output)
    for note in subject.notes:
        say(f"note: {note}")
    say(f"{output}: {len(trace.ops)} layers of {trace.network}")
    return 0
