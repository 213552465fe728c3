"""Verbs on bundles: ``export`` and its targets, ``encode``."""

from __future__ import annotations

from pathlib import Path

import typer

from toolkit.cli.classify_verb import BUNDLE
from toolkit.cli.export_lava_dl_verb import export_lava_dl
from toolkit.cli.export_lava_verb import export_lava
from toolkit.cli.export_nir_verb import export_nir
from toolkit.cli.export_onnx_verb import export_onnx
from toolkit.cli.export_snntorch_verb import export_snntorch
from toolkit.cli.io import cut, emit, tell

JSON = typer.Option(False, "--json", help="One JSON object on standard output.")


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    export = typer.Typer(help="Write a student for a target.", no_args_is_help=True)
    export.command("nir")(export_nir)
    export.command("lava")(export_lava)
    export.command("lava-dl")(export_lava_dl)
    export.command("onnx")(export_onnx)
    export.command("snntorch")(export_snntorch)
    app.add_typer(export, name="export")
    app.command()(encode)


def encode(
    data: Path = typer.Argument(help="Sentences, TSV with the columns text and label."),
    out: Path = typer.Option(Path("inputs.npz"), help="NPZ to write."),
    bundle: Path = BUNDLE,
    json: bool = JSON,
) -> None:
    """Turn sentences into input spikes (NPZ), for a host that has neither tokenizer nor torch."""
    import numpy as np

    from toolkit.bundle.reader import open_bundle
    from toolkit.distillation.corpus import read_examples, text_of

    opened = open_bundle(bundle)
    batch = opened.encoder.encode([text_of(e) for e in read_examples(data, len(opened.manifest.labels))])
    with out.open("wb") as file:  # given a path, numpy would add .npz to it
        np.savez_compressed(file, spikes=batch.spikes)
    emit({"inputs": str(out), "samples": len(batch), "truncated": len(batch.truncated)}, json)
    tell(f"{out}: {len(batch)} sentences{cut(batch.truncated, opened.encoder.limit)}")
