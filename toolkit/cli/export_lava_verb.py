"""``spikeport export lava``: a bundle's graph as a plan of Lava processes."""

from __future__ import annotations

from pathlib import Path

import typer

from toolkit.cli.classify_verb import BUNDLE
from toolkit.cli.io import emit, tell


def export_lava(
    out: Path = typer.Argument(help="Folder for plan.json and its arrays."),
    bundle: Path = BUNDLE,
    explain: bool = typer.Option(False, "--explain", help="Print the plan as a table."),
    json: bool = typer.Option(False, "--json", help="One JSON object on standard output."),
) -> None:
    """Plan a bundle as Lava processes, for the runtime that is copied to a Loihi host."""
    from exporters.lava import build_plan, write_plan
    from exporters.lava import explain as describe
    from toolkit.bundle.reader import open_bundle

    opened = open_bundle(bundle)
    plan = build_plan(opened.graph, calibrated=opened.manifest.calibrated)
    write_plan(plan, out)
    emit({"plan": str(out), "processes": len(plan.processes), "latency": plan.latency}, json)
    if explain:
        typer.echo(describe(plan))
    tell(f"{out}: {len(plan.processes)} processes, latency {plan.latency} steps")
