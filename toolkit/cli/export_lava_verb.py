"""``spikeport export lava``: a bundle's graph as a plan of Lava processes."""

from __future__ import annotations

from pathlib import Path

import typer

from toolkit.cli.classify_verb import BUNDLE
from toolkit.cli.io import emit, tell
from toolkit.cli.lava_options import LAVA_MODE


def export_lava(
    out: Path | None = typer.Argument(None, help="Folder for the plan (default: lava-MODE in the bundle)."),
    bundle: Path = BUNDLE,
    lava_mode: str = LAVA_MODE,
    explain: bool = typer.Option(False, "--explain", help="Print the plan as a table."),
    json: bool = typer.Option(False, "--json", help="One JSON object on standard output."),
) -> None:
    """Plan a bundle as Lava processes, for the runtime that is copied to a Loihi host."""
    from exporters.lava import MODES, build_plan, write_plan
    from exporters.lava import explain as describe
    from toolkit.bundle.manifest import GRAPH_FILE
    from toolkit.bundle.reader import open_bundle

    opened = open_bundle(bundle)
    graph_sha256 = opened.manifest.files[GRAPH_FILE]["sha256"]
    calibrated = opened.manifest.calibrated
    plan = build_plan(opened.graph, calibrated=calibrated, mode=lava_mode, graph_sha256=graph_sha256)
    folder = out or bundle / f"lava-{lava_mode}"
    write_plan(plan, folder)
    parts, processes = len(plan.processes), plan.lava_processes
    facts = {"mode": lava_mode, "parts": parts, "processes": processes, "latency": plan.latency}
    emit({"plan": str(folder), **facts}, json)
    if explain:  # standard output is for the JSON where that is asked for
        typer.echo(describe(plan), err=json)
    tell(f"{folder}: {parts} parts in {processes} processes, latency {plan.latency} steps; {MODES[lava_mode]}")
