"""``spikeport energy`` and ``spikeport profiles``: what a run costs, and the constants behind it."""

from __future__ import annotations

from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from toolkit.cli.io import cut, emit, people, say, tell
from toolkit.errors import SpikeportError

if TYPE_CHECKING:
    from toolkit.pricing.schema import EnergyRecord

ENERGY_FILE = "energy.json"

JSON = typer.Option(False, "--json", help="One JSON object on standard output.")


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    app.command()(energy)
    profiles = typer.Typer(help="Chip profiles and the sources of their constants.", no_args_is_help=True)
    profiles.command("list")(profiles_list)
    profiles.command("show")(profiles_show)
    profiles.command("check")(profiles_check)
    app.add_typer(profiles, name="profiles")


def energy(
    bundle: Path = typer.Argument(help="Bundle folder."),
    data: Path | None = typer.Option(None, "--data", help="TSV with text, and label if known; or NPZ; simulated now."),
    result: Path | None = typer.Option(None, "--result", help="Folder of spikeport simulate --out: its counts."),
    profile: list[str] = typer.Option([], "--profile", help="Names or .toml files, by comma; all by default."),
    step_time: str | None = typer.Option(None, help="Wall time of a step on a throttled chip, such as 1ms."),
    out: Path | None = typer.Option(None, "--out", help="Folder for energy.json, energy.csv and plots."),
    plots: bool = typer.Option(True, help="Draw plots into --out."),
    json: bool = JSON,
) -> None:
    """Price a run's activity on every profile: joules, seconds, cores."""
    from toolkit.bundle.reader import open_bundle
    from toolkit.pricing.model import read_run, simulated
    from toolkit.pricing.options import chosen_profiles, parse_time
    from toolkit.pricing.plots import FILES, require_matplotlib
    from toolkit.pricing.record import record_of
    from toolkit.pricing.terminal import print_record
    from toolkit.pricing.write import writable, write_folder

    step = None if step_time is None else parse_time(step_time)
    profiles = chosen_profiles(profile)
    if out is not None:
        writable(out, ENERGY_FILE)
        if plots:
            require_matplotlib()
    if (data is None) == (result is None):
        raise SpikeportError("energy: give --data to simulate, or --result of a run; one of them")
    opened = open_bundle(bundle)
    model = simulated(opened, data, say) if data else read_run(result or Path(), opened)
    record = record_of(model, profiles, step)
    if out is not None:
        write_folder(out, ENERGY_FILE, _files(record, plots), FILES)
    emit(record, json)
    if model.truncated:
        tell(f"{model.activity.samples} sentences{cut(range(model.truncated), opened.encoder.limit)}")
    print_record(record, people)


def _files(record: EnergyRecord, plots: bool) -> dict[str, bytes]:
    from toolkit.pricing.plots import plot_files
    from toolkit.pricing.rows import csv_text

    text = dumps(record, indent=2, allow_nan=False) + "\n"
    files = {ENERGY_FILE: text.encode(), "energy.csv": csv_text(record).encode()}
    return files | (plot_files(record) if plots else {})


def profiles_list(json: bool = JSON) -> None:
    """Names of the shipped profiles."""
    from hw_profiles import list_profiles

    names = list_profiles()
    emit({"profiles": names}, json, lambda: typer.echo("\n".join(names)))


def profiles_show(name: str = typer.Argument(help="Profile name or TOML file.")) -> None:
    """Print a profile's constants, each with unit, condition, grade and source."""
    from hw_profiles import describe, load_profile

    typer.echo(describe(load_profile(name)))


def profiles_check(file: Path = typer.Argument(help="TOML file of your own chip.")) -> None:
    """Check a profile: units, sources, grades, magnitudes."""
    from hw_profiles import load_profile

    profile = load_profile(file)
    tell(f"{file}: profile {profile.name} is complete")
