"""``spikeport export nir``: a student's bundle, whose graph stock NIR readers run."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from pathlib import Path

import typer

from toolkit import students
from toolkit.cli.io import emit, tell, warn_if_approximate

STUDENT = typer.Option(students.MARKED, help="Student folder.")


def export_nir(
    out: Path = typer.Argument(help="Bundle folder to write."),
    student: Path = STUDENT,
    tokens: int | None = typer.Option(None, min=2, max=512, help="Token slots N (default: the student's)."),
    attention_body: str = typer.Option(
        "auto", help="ssa attention as gates (stock NIR readers run it), native (they refuse it), or auto, by size."
    ),
    nir_compat: str = typer.Option("1.0.8", help="Oldest nir that is to read the graph: 1.0.8 or 1.0.4."),
    calibrate_norm: Path | None = typer.Option(
        None, help="Sentences (TSV) on which a faithful SpikeBERT's LayerNorms are frozen: an approximate bundle."
    ),
    keep_student: Path | None = typer.Option(
        None, help="With --calibrate-norm: folder for the frozen student, against which `verify` runs."
    ),
    json: bool = typer.Option(False, "--json", help="One JSON object on standard output."),
) -> None:
    """Lower a student and write its bundle: NIR graph, host encoder, golden traces, manifest."""
    from toolkit.bundle.manifest import Manifest
    from toolkit.bundle.writer import write_bundle

    with _source(student, calibrate_norm, out, tokens, keep_student) as folder:
        lowered = write_bundle(folder, out, tokens, attention_body, nir_compat)
    approximation = Manifest.read(out).approximation
    form = lowered.attention
    bounds = {name: {"low": b.low, "high": b.high, "limit": lowered.limits[name]} for name, b in lowered.bounds.items()}
    nodes = len(lowered.graph.nodes)
    marked = {"approximation": approximation} if approximation else {}
    emit({"bundle": str(out), "nodes": nodes, "bounds": bounds, "attention": asdict(form)} | marked, json)
    warn_if_approximate(approximation)
    tell(f"{out}: {nodes} nodes, every accumulator proved in range")
    if form.body == "gates":
        tell(f"attention in {form.gates:,} stock gates, which stock NIR readers run")
    else:
        tell(f"attention as a native node, which stock NIR readers refuse; as a body, {form.gates:,} gates")


def _source(
    student: Path, data: Path | None, out: Path, tokens: int | None, keep: Path | None
) -> AbstractContextManager[Path]:
    """The student folder to lower: the one that is named, or the one that a SpikeBERT is frozen into."""
    from toolkit.cli.freeze_student import frozen_student
    from toolkit.errors import SpikeportError

    if data is not None:
        return frozen_student(student, data, out, tokens, keep)
    if keep is not None:
        raise SpikeportError(
            f"--keep-student {keep}: there is no frozen student without --calibrate-norm; leave it out"
        )
    return nullcontext(student)
