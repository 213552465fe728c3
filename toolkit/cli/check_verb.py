"""``spikeport check``: who can run a NIR file, and for whom it fails, why."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from toolkit.cli.io import emit, tell

if TYPE_CHECKING:
    from exporters.nir.graph import Graph

STEPS = 4  # what a file that does not say its steps is checked for
WORDS = {True: "yes", False: "no", None: "unknown"}


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(check)


def check(
    file: Path = typer.Argument(help="NIR file, written by anybody."),
    json: bool = typer.Option(False, "--json", help="One JSON object on standard output."),
) -> None:
    """Say which simulators and readers run a NIR file as it is meant; exit status 1 where none does."""
    from exporters.nir.portable import INTEGER, LAVA, check_file

    verdicts = check_file(file, {INTEGER: _plan_integer, LAVA: _plan_lava})
    rows = [{"target": v.target, "runs": v.runs, "reason": v.reason} for v in verdicts]
    emit({"file": str(file), "targets": rows}, json, lambda: None)
    for verdict in verdicts:
        tell(f"{verdict.target:<13} {WORDS[verdict.runs]:<8} {verdict.reason}".rstrip())
    if not any(verdict.runs for verdict in verdicts):
        raise typer.Exit(1)


def _plan_lava(graph: Graph) -> None:
    from exporters.lava import PlanError, build_plan

    for name in graph.nodes:
        if "_" not in name:
            raise PlanError(f"node {name!r}: its name carries no prefix, needs one such as n012_; export it with ours")
    build_plan(graph)


def _plan_integer(graph: Graph) -> None:
    from simulators.plan import plan

    steps = graph.metadata.get("steps")
    plan(graph, steps if isinstance(steps, int) and steps > 0 else STEPS, "loihi2", False)
