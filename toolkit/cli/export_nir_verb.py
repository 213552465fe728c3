"""``spikeport export nir``: a student's bundle, whose graph stock NIR readers run."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import typer

from toolkit import students
from toolkit.cli.io import emit, tell

STUDENT = typer.Option(students.MARKED, help="Student folder.")


def export_nir(
    out: Path = typer.Argument(help="Bundle folder to write."),
    student: Path = STUDENT,
    tokens: int | None = typer.Option(None, min=2, max=512, help="Token slots N (default: the student's)."),
    attention_body: str = typer.Option(
        "auto", help="ssa attention as gates (stock NIR readers run it), native (they refuse it), or auto, by size."
    ),
    nir_compat: str = typer.Option("1.0.8", help="Oldest nir that is to read the graph: 1.0.8 or 1.0.4."),
    json: bool = typer.Option(False, "--json", help="One JSON object on standard output."),
) -> None:
    """Lower a student and write its bundle: NIR graph, host encoder, golden traces, manifest."""
    from toolkit.bundle.writer import write_bundle

    lowered = write_bundle(student, out, tokens, attention_body, nir_compat)
    form = lowered.attention
    bounds = {name: {"low": b.low, "high": b.high, "limit": lowered.limits[name]} for name, b in lowered.bounds.items()}
    nodes = len(lowered.graph.nodes)
    emit({"bundle": str(out), "nodes": nodes, "bounds": bounds, "attention": asdict(form)}, json)
    tell(f"{out}: {nodes} nodes, every accumulator proved in range")
    if form.body == "gates":
        tell(f"attention in {form.gates:,} stock gates, which stock NIR readers run")
    else:
        tell(f"attention as a native node, which stock NIR readers refuse; as a body, {form.gates:,} gates")
