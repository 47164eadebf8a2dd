"""`layerdiff compare`: two traces, or a saved run judged again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from layerdiff.command.options import report_options
from layerdiff.command.output import check_writable, deliver
from layerdiff.compare.result import Run
from layerdiff.compare.saved import read_run, read_trace
from layerdiff.compare.traces import compare_traces
from layerdiff.compare.verdict import settle
from layerdiff.errors import InputError

__all__ = ["command"]


@click.command(name="compare")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--rtol", type=click.FloatRange(min=0), help="With --atol, instead of the expected trace's own floors.")
@click.option("--atol", type=click.FloatRange(min=0), help="With --rtol.")
@click.option("--scale", type=click.FloatRange(min=0, min_open=True), help="Of a saved run: multiplies all allowances.")
@click.option("--until", help="Of two traces: judge only up to this layer or part.")
@report_options
def command(
    files: tuple[Path, ...],
    rtol: float | None,
    atol: float | None,
    scale: float | None,
    until: str | None,
    form: str,
    stat: bool,
    output: Path | None,
    every_layer: bool,
    ascii_only: bool,
) -> int:
    """Compare two traces (EXPECTED.safetensors ACTUAL.safetensors), or judge a saved RUN.json again.

    Two traces are compared end to end, since nothing can be run again: the first layer that differs is named.
    """
    check_writable(output)
    if len(files) == 1 and files[0].suffix.lower() == ".json":
        if rtol is not None or atol is not None or until is not None:
            raise InputError("compare: a saved run is judged again with --scale, got --rtol, --atol or --until")
        saved = read_run(files[0])
        run = replace(saved, reports=tuple(settle(report, scale=scale or 1.0) for report in saved.reports))
    elif len(files) == 2 and not any(path.suffix.lower() == ".json" for path in files):
        if scale is not None:
            raise InputError("compare: --scale is for a saved run, got two traces")
        expected, actual = (read_trace(path) for path in files)
        report = compare_traces(expected, actual, rtol=rtol, atol=atol, until=until)
        run = Run(environment=dict(expected.metadata), reports=(report,))
    else:
        raise InputError(f"compare: got {', '.join(map(str, files))}, expected two traces or one saved run (.json)")
    return deliver(run, form=form, output=output, every_layer=every_layer, ascii_only=ascii_only, stat=stat)
