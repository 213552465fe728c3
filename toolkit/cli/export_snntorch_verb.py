"""``spikeport export snntorch``: a bundle's graph with a loader for fine-tuning in snnTorch."""

from __future__ import annotations

from pathlib import Path

import typer

from toolkit.cli.classify_verb import BUNDLE
from toolkit.cli.io import emit, tell


def export_snntorch(
    out: Path = typer.Argument(help="Folder for model.nir, load.py and how to use them."),
    bundle: Path = BUNDLE,
    json: bool = typer.Option(False, "--json", help="One JSON object on standard output."),
) -> None:
    """Write a bundle's graph for snnTorch, with a loader that fine-tunes it; `import snntorch` brings it back."""
    from exporters.snntorch import GRAPH_FILE, LOADER_FILE, write_folder
    from toolkit.bundle.manifest import GRAPH_FILE as SOURCE
    from toolkit.bundle.reader import open_bundle

    opened = open_bundle(bundle)
    bounds = opened.manifest.bounds.items()
    limits = {layer: int(bound["limit"]) for layer, bound in bounds if "limit" in bound}
    written = write_folder(opened.graph, bundle / SOURCE, out, limits)
    paths = {"graph": str(out / GRAPH_FILE), "loader": str(out / LOADER_FILE)}
    emit({"folder": str(out), **paths, "bytes": written.bytes, "layers": written.layers}, json)
    tell(f"{out}: {GRAPH_FILE} ({written.bytes} bytes), {LOADER_FILE}, {len(written.layers)} layers to train")
