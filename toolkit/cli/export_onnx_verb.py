"""``spikeport export onnx``: a bundle's graph as an ONNX model."""

from __future__ import annotations

from pathlib import Path

import typer

from toolkit.cli.classify_verb import BUNDLE
from toolkit.cli.io import emit, tell


def export_onnx(
    out: Path = typer.Argument(help="ONNX file to write."),
    bundle: Path = BUNDLE,
    unroll: bool = typer.Option(False, "--unroll", help="The bundle's T steps in a row, for runtimes without Scan."),
    step: bool = typer.Option(False, "--step", help="One time step, membranes in and out, for streaming."),
    spikes: bool = typer.Option(False, "--spikes", help="Every layer's spikes as further outputs, for verification."),
    json: bool = typer.Option(False, "--json", help="One JSON object on standard output."),
) -> None:
    """Write a bundle's graph as an ONNX model that gives the same spikes and integer logits."""
    from toolkit.backends.onnx_runtime import onnx_exporter
    from toolkit.bundle.reader import open_bundle
    from toolkit.errors import SpikeportError

    if unroll and step:
        raise SpikeportError("--unroll and --step: two forms, one file holds 1; choose one")
    exporter = onnx_exporter()
    opened = open_bundle(bundle)
    steps = opened.manifest.config.steps if unroll else None
    model = exporter.write_model(opened.graph, out, unroll=steps, step=step, spikes=spikes)
    facts = exporter.facts_of({entry.key: entry.value for entry in model.metadata_props}, str(out))
    written = {"model": str(out), "bytes": out.stat().st_size, "nodes": len(model.graph.node)}
    emit(written | {key: facts[key] for key in ("form", "steps", "max_steps", "layers")}, json)
    fixed = f"T = {facts['steps']}" if unroll else f"exact up to T = {facts['max_steps']}"
    tell(f"{out}: {facts['form']}, {len(model.graph.node)} nodes, {written['bytes']} bytes, {fixed}")
