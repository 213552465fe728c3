"""``spikeport export nir``: a student's bundle, whose graph stock NIR readers run."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from toolkit import students
from toolkit.cli.io import emit, people, tell

if TYPE_CHECKING:
    from toolkit.lowering.pipeline import Lowered

STUDENT = typer.Option(students.MARKED, help="Student folder: deployed, or written by save_pretrained in any form.")


def export_nir(
    out: Path = typer.Argument(help="Bundle folder to write."),
    student: Path = STUDENT,
    tokens: int | None = typer.Option(None, min=2, max=512, help="Token slots N (default: the student's)."),
    attention_body: str = typer.Option(
        "auto", help="ssa attention as gates (stock NIR readers run it), native (they refuse it), or auto, by size."
    ),
    nir_compat: str = typer.Option("1.0.8", help="Oldest nir that is to read the graph: 1.0.8 or 1.0.4."),
    calibrated: Path | None = typer.Option(
        None, help="Sentences (TSV, or one a line) on which to measure currents that are not proved in range."
    ),
    margin: float = typer.Option(
        1.25, help="Factor by which other sentences may exceed what --calibrated measured, at least 1."
    ),
    data: Path | None = typer.Option(None, help="Labelled sentences (TSV) on which to report what integers cost."),
    deployed: Path | None = typer.Option(None, help="Also write the lowered student there, for verify --against."),
    json: bool = typer.Option(False, "--json", help="One JSON object on standard output."),
) -> None:
    """Lower a student and write its bundle: NIR graph, host encoder, golden traces, manifest."""
    from toolkit.bundle.manifest import Manifest
    from toolkit.bundle.writer import write_bundle

    options: dict[str, Any] = {"calibrated": calibrated, "margin": margin, "data": data, "deployed": deployed}
    lowered = write_bundle(student, out, tokens, attention_body, nir_compat, **options)
    manifest = Manifest.read(out)
    nodes = len(lowered.graph.nodes)
    form = str(manifest.facts.get("lowered_from", "deployed"))
    drop = manifest.facts.get("float_to_integer_at_export")
    written = {"bundle": str(out), "nodes": nodes, "form": form, "attention": asdict(lowered.attention)}
    readers = {name: {"runs": verdict.runs, "reason": verdict.reason} for name, verdict in lowered.readers.items()}
    bounds: dict[str, Any] = manifest.bounds
    emit(written | {"bounds": bounds, "layers": _layers(lowered), "readers": readers, "float_to_integer": drop}, json)
    if form != "deployed" or manifest.calibrated:
        _show(lowered)
    _tell(out, lowered, manifest.calibrated)
    if drop:
        from toolkit.bundle.drop import in_words

        tell(in_words(drop))


def _layers(lowered: Lowered) -> dict[str, dict[str, Any]]:
    """What each layer's threshold is, what it could have been, and what rounding did."""
    return {
        name: {
            "theta": theta.value,
            "theta_by_weights": theta.by_weights,
            "theta_by_proof": theta.by_proof,
            "bits_lost": theta.bits_lost,
            "bound": lowered.bounds[name].magnitude,
            "limit": lowered.limits[name],
            "kind": lowered.bounds[name].kind,
            "rounding": asdict(lowered.rounding[name]),
        }
        for name, theta in lowered.thetas.items()
    }


def _show(lowered: Lowered) -> None:
    """The cost of the bound, layer by layer."""
    from rich.table import Table

    table = Table(title="thresholds, and what each layer's bound costs", box=None)
    table.add_column("layer", no_wrap=True)
    for heading in ("8 bits allow", "proof allows", "theta", "bits lost", "bound", "limit", "kind"):
        table.add_column(heading, justify="right", no_wrap=heading in ("theta", "bound", "kind"))
    for name, layer in _layers(lowered).items():
        proof = "" if layer["theta_by_proof"] is None else str(layer["theta_by_proof"])
        numbers = (str(layer["theta_by_weights"]), proof, str(layer["theta"]), f"{layer['bits_lost']:.2f}")
        table.add_row(name, *numbers, str(layer["bound"]), str(layer["limit"]), layer["kind"])
    people.print(table)


def _tell(out: Path, lowered: Lowered, calibrated: bool) -> None:
    form, nodes = lowered.attention, len(lowered.graph.nodes)
    if calibrated:
        measured = {name: bound for name, bound in lowered.bounds.items() if bound.kind == "calibrated"}
        some, layers = next(iter(measured.values())), f"{len(measured)} of {len(lowered.bounds)} layers"
        tell(
            f"{out}: {nodes} nodes, CALIBRATED: in {layers} the range is measured, not proved, "
            f"on {some.samples} sentences, with a margin of {some.margin:g}; every input is checked before it runs"
        )
    else:
        tell(f"{out}: {nodes} nodes, every accumulator proved in range")
    if form.body == "gates":
        tell(f"attention in {form.gates:,} stock gates, which stock NIR readers run")
    else:
        tell(f"attention as a native node, which stock NIR readers refuse; as a body, {form.gates:,} gates")
