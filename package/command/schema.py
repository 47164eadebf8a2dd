"""`layerdiff schema`: what the JSON of a run holds."""

from __future__ import annotations

import json

import click

from layerdiff.command.output import say

__all__ = ["command"]


@click.command(name="schema")
def command() -> None:
    """Print the JSON Schema of what `--format json` and `--output` write."""
    from layerdiff.compare.schema import run_schema

    say(json.dumps(run_schema(), indent=1))
