"""`layerdiff weights`: what weights are, and the same weights in another form."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from layerdiff.candidate.stages import is_supervised
from layerdiff.candidate.supervise import supervised
from layerdiff.command.interrupts import watch
from layerdiff.command.options import SIZE, candidate_options, use_threads
from layerdiff.command.output import check_writable, say
from layerdiff.command.supervision import runs_foreign_code
from layerdiff.errors import InputError

__all__ = ["command"]


@click.group(name="weights")
def command() -> None:
    """Inspect, export and map weights."""


@command.command(name="inspect")
@click.argument("weights")
@click.option("--arch", default="resnet50", show_default=True, help="The architecture they are for.")
def inspect_weights(weights: str, arch: str) -> int:
    """Say what WEIGHTS (as for `run --weights`) hold, what they lack, and their hash."""
    from layerdiff.reference import covered_prefix, expected_tensors, load_weights

    loaded = load_weights(weights, arch)
    for note in ((loaded.fallback,) if loaded.fallback else ()) + loaded.notes:
        say(f"note: {note}")
    values = sum(array.size for array in loaded.state.values())
    say(f"{loaded.source}: {len(loaded.state)} of {len(expected_tensors(arch))} tensors of {arch}, {values:,} values")
    say(f"sha256 {loaded.sha256}")
    if loaded.missing:
        say(f"lacking {len(loaded.missing)}, whole up to {covered_prefix(loaded) or 'nothing'}:")
        for name in loaded.missing:
            say(f"  {name}")
    return 0


@command.command(name="export")
@click.argument("weights")
@click.argument("target", type=click.Path(path_type=Path))
@click.option("--arch", default="resnet50", show_default=True, help="The architecture they are for.")
@click.option("--overwrite", is_flag=True, help="Replace what is at TARGET.")
def export_weights(weights: str, target: Path, arch: str, overwrite: bool) -> int:
    """Write WEIGHTS (as for `run --weights`) to TARGET: a .safetensors file, or a folder for the text dump."""
    from layerdiff.reference import export_safetensors, export_text, load_weights

    if target.suffix in {".pth", ".pt"}:
        raise InputError(f"{target}: pickles are read but not written, expected .safetensors or a folder")
    if target.suffix == ".safetensors" and target.exists() and not overwrite:
        raise InputError(f"{target}: exists already", help="--overwrite replaces it")
    watch(target)
    loaded = load_weights(weights, arch)
    if target.suffix == ".safetensors":
        export_safetensors(loaded, target)
    else:
        export_text(loaded, target, overwrite=overwrite)
    for note in ((loaded.fallback,) if loaded.fallback else ()) + loaded.notes:
        say(f"note: {note}")
    say(f"{target}: {len(loaded.state)} tensors of {loaded.source}, sha256 {loaded.sha256}")
    return 0


@command.command(name="map")
@click.argument("actual")
@candidate_options
@click.option("--size", type=SIZE, metavar="HxW", help="Height and width of the input; default 224x224.")
@click.option("--output", "-o", type=click.Path(path_type=Path), help="A .json file; by default it is printed.")
def map_weights(
    actual: str,
    expected: str | None,
    weights: str,
    size: tuple[int, int] | None,
    output: Path | None,
    threads: int | None,
    seed: int,
    timeout: float,
) -> int:
    """Say where each of the expected network's tensors goes in ACTUAL (as for `run --actual`).

    The file can be edited and given to `run --map`. Exit code 1 if a tensor is left over on either side.
    """
    check_writable(output)
    if runs_foreign_code([actual], expected) and not is_supervised():
        return supervised(sys.argv[1:], timeout)
    from layerdiff.compare.weights_map import map_to_json, write_map
    from layerdiff.weight_maps import find_transfer

    use_threads(threads)
    transfer, notes = find_transfer(actual, expected, weights, size)
    for note in notes:
        click.echo(f"note: {note}", err=True)
    if output is None:
        say(map_to_json(transfer).decode(), newline=False)
    else:
        write_map(transfer, output)
        say(f"{output}: {len(transfer.carried)} tensors have a place")
    left = {
        "no place for": transfer.unplaced,
        "nothing for": transfer.unfilled,
        "never used": transfer.unused,
        "set to zero": transfer.zeroed,
    }
    for what, names in left.items():
        if names:
            click.echo(
                f"note: {what}: {', '.join(names[:5])}{f' and {len(names) - 5} more' * (len(names) > 5)}", err=True
            )
    for suspicion in transfer.suspicions:
        click.echo(f"note: {suspicion}", err=True)
    return 1 if transfer.unplaced or transfer.unfilled or transfer.suspicions else 0
