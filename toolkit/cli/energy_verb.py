"""``spikeport energy``: what a run costs."""

from __future__ import annotations

from pathlib import Path

import typer

from toolkit.cli.classify_verb import BUNDLE
from toolkit.cli.io import cut, emit, tell

JSON = typer.Option(False, "--json", help="One JSON object on standard output.")


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    app.command()(energy)


def energy(
    data: Path = typer.Argument(help="Sentences whose activity is priced, TSV with text and label."),
    bundle: Path = BUNDLE,
    json: bool = JSON,
) -> None:
    """Simulate sentences and price their activity on every profile."""
    from toolkit.bundle.reader import open_bundle
    from toolkit.demo.classify import classify
    from toolkit.demo.cost import price
    from toolkit.distillation.corpus import read_examples
    from toolkit.reporting.units import compact

    opened = open_bundle(bundle)
    examples = read_examples(data, len(opened.manifest.labels))
    answer = classify(opened, [e.text for e in examples])
    entries = price(answer.activity, opened.manifest.config, opened.manifest.facts)
    emit({"energy": entries}, json)
    too_long = cut(answer.truncated, opened.encoder.limit)
    tell(f"simulated on {len(examples)} sentences{too_long}; every figure is an estimate per inference")
    for entry in entries:
        missing = ", ".join(term["term"] for term in entry["unpriced"]) or "nothing"
        tell(f"{entry['profile']:<44} {compact(entry['joules'], 'J'):<32} {entry['basis']}; unpriced: {missing}")
