"""``spikeport import``: what was fine-tuned in another framework as a student, lava-dl networks as NIR."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from toolkit.cli.classify_verb import BUNDLE
from toolkit.cli.import_lava_dl_verb import import_lava_dl
from toolkit.cli.io import emit, tell

if TYPE_CHECKING:
    from toolkit.importing.student import Imported


def register(app: typer.Typer) -> None:
    """Add the verb and its sources."""
    group = typer.Typer(help="Bring in what was made elsewhere.", no_args_is_help=True)
    group.command("snntorch")(import_snntorch)
    group.command("lava-dl")(import_lava_dl)
    app.add_typer(group, name="import")


def import_snntorch(
    tuned: Path = typer.Argument(help="File that `save` of load.py wrote."),
    bundle: Path = BUNDLE,
    student: Path = typer.Option(..., help="Student folder that the bundle was made of."),
    out: Path = typer.Option(..., help="New student folder to write."),
    clip: bool = typer.Option(False, "--clip", help="Cut weights to 8 bits instead of refusing them."),
    json: bool = typer.Option(False, "--json", help="One JSON object on standard output."),
) -> None:
    """Round what was tuned in snnTorch to integers, prove their range, and write a student."""
    from exporters.snntorch import read_tuned
    from toolkit.bundle.manifest import GRAPH_FILE
    from toolkit.bundle.reader import open_bundle
    from toolkit.importing.student import check_origin, import_student

    opened = open_bundle(bundle)
    check_origin(opened, student)
    found = read_tuned(tuned, opened.graph, str(opened.manifest.files[GRAPH_FILE]["sha256"]))
    imported = import_student(found.layers, opened, student, out, f"snnTorch {found.version}", clip)
    _report(out, imported, json)


def _report(out: Path, imported: Imported, json: bool) -> None:
    changes = imported.changes
    changed, values = sum(c.changed for c in changes), sum(c.values for c in changes)
    clipped = sum(c.clipped for c in changes)
    emit(
        {
            "student": str(out),
            "student_sha256": imported.sha256,
            "from_student_sha256": imported.former_sha256,
            "changed": changed,
            "values": values,
            "clipped": clipped,
            "layers": [asdict(change) for change in changes],
        },
        json,
    )
    for change in (c for c in changes if c.changed or c.rounding or c.clipped):
        cut = f", {change.clipped} ({100 * change.beyond:.2f} % of its weights) clipped" if change.clipped else ""
        tell(
            f"{change.layer}: {change.changed} of {change.values} changed, rounded by up to {change.rounding:.3g}{cut}"
        )
    tell(f"{out}: {changed} of {values} integers changed, every accumulator proved in range")
    tell("accuracy and watermark are not known since; measure them again")
