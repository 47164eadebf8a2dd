"""`layerdiff weights`: what weights are, and the same weights in another form."""

from __future__ import annotations

from pathlib import Path

import click

from layerdiff.command.output import say
from layerdiff.errors import InputError

__all__ = ["command"]


@click.group(name="weights")
def command() -> None:
    """Inspect and export weights."""


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
    loaded = load_weights(weights, arch)
    if target.suffix == ".safetensors":
        export_safetensors(loaded, target)
    else:
        export_text(loaded, target, overwrite=overwrite)
    for note in ((loaded.fallback,) if loaded.fallback else ()) + loaded.notes:
        say(f"note: {note}")
    say(f"{target}: {len(loaded.state)} tensors of {loaded.source}, sha256 {loaded.sha256}")
    return 0
