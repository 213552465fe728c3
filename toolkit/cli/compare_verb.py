"""``spikeport compare``: models side by side on the same profiles."""

from __future__ import annotations

from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from toolkit.cli.io import emit, people, say
from toolkit.errors import SpikeportError

if TYPE_CHECKING:
    from hw_profiles import Profile
    from toolkit.pricing.estimates import Assumed
    from toolkit.pricing.schema import EnergyRecord

COMPARISON_FILE = "comparison.json"


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(compare)


def compare(
    models: list[Path] = typer.Argument(help="Bundles, folders of simulate --out, or energy.json files; two at least."),
    data: Path | None = typer.Option(None, "--data", help="TSV or NPZ that bundles are simulated on."),
    profile: list[str] = typer.Option([], "--profile", help="Names or .toml files, by comma; all by default."),
    step_time: str | None = typer.Option(None, help="Wall time of a step on a throttled chip, such as 1ms."),
    clock: str | None = typer.Option(None, help="Clock of clocked chips, such as 1.3MHz; else their profile's."),
    out: Path | None = typer.Option(None, "--out", help="Folder for comparison.json and comparison.csv."),
    json: bool = typer.Option(False, "--json", help="One JSON object on standard output."),
) -> None:
    """Energy of several models on the same profiles, accuracy beside it."""
    from toolkit.pricing.comparison import compared, csv_text, print_comparison
    from toolkit.pricing.options import chosen_profiles, parse_assumed
    from toolkit.pricing.write import writable, write_folder

    if len(models) < 2:
        raise SpikeportError(f"compare: {len(models)} model, needs two at least; name another")
    assumed = parse_assumed(step_time, clock)
    profiles = chosen_profiles(profile)
    if out is not None:
        writable(out, COMPARISON_FILE)
    comparison = compared([_record(path, data, profiles, assumed) for path in models])
    if out is not None:
        text = dumps(comparison, indent=2, allow_nan=False) + "\n"
        files = {COMPARISON_FILE: text.encode(), "comparison.csv": csv_text(comparison).encode()}
        write_folder(out, COMPARISON_FILE, files)
    emit(comparison, json)
    print_comparison(comparison, people)


def _record(path: Path, data: Path | None, profiles: list[Profile], assumed: Assumed) -> EnergyRecord:
    """The record of a model, by what the path holds: a file is read as it is, the rest is priced now."""
    from toolkit.bundle.manifest import MANIFEST_FILE
    from toolkit.bundle.reader import open_bundle
    from toolkit.pricing.model import read_run, simulated
    from toolkit.pricing.record import record_of
    from toolkit.pricing.schema import read_record
    from toolkit.simulation.folder import RUN_FILE

    if path.is_file():
        return read_record(path)
    if (path / RUN_FILE).is_file():
        return record_of(read_run(path), profiles, assumed)
    if not (path / MANIFEST_FILE).is_file():
        raise SpikeportError(f"{path}: no bundle, no folder of a run and no energy.json; name one of these")
    if data is None:
        raise SpikeportError(f"{path}: a bundle, and nothing to simulate it on; give --data")
    return record_of(simulated(open_bundle(path), data, say), profiles, assumed)
