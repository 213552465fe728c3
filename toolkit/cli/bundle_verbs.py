"""Verbs on bundles: ``export``, ``encode``, ``simulate``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import typer

from toolkit import students
from toolkit.cli.classify_verb import BUNDLE
from toolkit.cli.export_onnx_verb import export_onnx
from toolkit.cli.io import cut, emit, say, tell

JSON = typer.Option(False, "--json", help="One JSON object on standard output.")
STUDENT = typer.Option(students.MARKED, help="Student folder.")


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    export = typer.Typer(help="Write a student for a target.", no_args_is_help=True)
    export.command("nir")(export_nir)
    export.command("lava")(export_lava)
    export.command("onnx")(export_onnx)
    app.add_typer(export, name="export")
    app.command()(encode)
    app.command()(simulate)


def export_nir(
    out: Path = typer.Argument(help="Bundle folder to write."),
    student: Path = STUDENT,
    tokens: int | None = typer.Option(None, min=2, max=512, help="Token slots N (default: the student's)."),
    attention_body: str = typer.Option(
        "auto", help="ssa attention as gates (stock NIR readers run it), native (they refuse it), or auto, by size."
    ),
    nir_compat: str = typer.Option("1.0.8", help="Oldest nir that is to read the graph: 1.0.8 or 1.0.4."),
    json: bool = JSON,
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


def export_lava(
    out: Path = typer.Argument(help="Folder for plan.json and its arrays."),
    bundle: Path = BUNDLE,
    explain: bool = typer.Option(False, "--explain", help="Print the plan as a table."),
    json: bool = JSON,
) -> None:
    """Plan a bundle as Lava processes, for the runtime that is copied to a Loihi host."""
    from exporters.lava import build_plan, write_plan
    from exporters.lava import explain as describe
    from toolkit.bundle.reader import open_bundle

    plan = build_plan(open_bundle(bundle).graph)
    write_plan(plan, out)
    emit({"plan": str(out), "processes": len(plan.processes), "latency": plan.latency}, json)
    if explain:
        typer.echo(describe(plan))
    tell(f"{out}: {len(plan.processes)} processes, latency {plan.latency} steps")


def encode(
    data: Path = typer.Argument(help="Sentences, TSV with the columns text and label."),
    out: Path = typer.Option(Path("inputs.npz"), help="NPZ to write."),
    bundle: Path = BUNDLE,
    json: bool = JSON,
) -> None:
    """Turn sentences into input spikes (NPZ), for a host that has neither tokenizer nor torch."""
    import numpy as np

    from toolkit.bundle.reader import open_bundle
    from toolkit.distillation.corpus import read_examples

    opened = open_bundle(bundle)
    batch = opened.encoder.encode([e.text for e in read_examples(data, len(opened.manifest.labels))])
    with out.open("wb") as file:  # given a path, numpy would add .npz to it
        np.savez_compressed(file, spikes=batch.spikes)
    emit({"inputs": str(out), "samples": len(batch), "truncated": len(batch.truncated)}, json)
    tell(f"{out}: {len(batch)} sentences{cut(batch.truncated, opened.encoder.limit)}")


def simulate(
    data: Path = typer.Argument(help="Labelled sentences, TSV with the columns text and label."),
    bundle: Path = BUNDLE,
    json: bool = JSON,
) -> None:
    """Classify a labelled file on the simulated chip: accuracy and activity."""
    from toolkit.bundle.reader import open_bundle
    from toolkit.demo.classify import accuracy, classify
    from toolkit.demo.cost import per_layer
    from toolkit.distillation.corpus import read_examples

    opened = open_bundle(bundle)
    examples = read_examples(data, len(opened.manifest.labels))
    answer = classify(opened, [e.text for e in examples], lambda done, of: say(f"{done}/{of} sentences"))
    result = {
        "examples": len(examples),
        "accuracy": accuracy(answer.labels, examples),
        "truncated": len(answer.truncated),
        "spikes_per_inference": answer.activity.spikes_per_inference,
        "synops_per_inference": answer.activity.per_inference("synops"),
        "layers": per_layer(answer.activity),
    }
    emit(result, json)
    too_long = cut(answer.truncated, opened.encoder.limit)
    tell(
        f"{len(examples)} sentences{too_long}, integer accuracy {100 * float(result['accuracy']):.2f} %, "  # type: ignore[arg-type]
        f"{result['spikes_per_inference']:.0f} spikes and {result['synops_per_inference']:.0f} synaptic "
        "operations per inference"
    )
