"""``spikeport energy``: what a run costs."""

from __future__ import annotations

from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from toolkit.cli.io import cut, emit, people, say, tell
from toolkit.errors import SpikeportError

if TYPE_CHECKING:
    from hw_profiles import Profile
    from toolkit.pricing.estimates import Assumed
    from toolkit.pricing.schema import EnergyRecord

ENERGY_FILE = "energy.json"

JSON = typer.Option(False, "--json", help="One JSON object on standard output.")


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    app.command()(energy)


def energy(
    bundle: Path | None = typer.Argument(None, help="Bundle folder."),
    data: Path | None = typer.Option(None, "--data", help="TSV with text, and label if known; or NPZ; simulated now."),
    result: Path | None = typer.Option(None, "--result", help="Folder of spikeport simulate --out: its counts."),
    profile: list[str] = typer.Option([], "--profile", help="Names or .toml files, by comma; all by default."),
    step_time: str | None = typer.Option(None, help="Wall time of a step on a throttled chip, such as 1ms."),
    clock: str | None = typer.Option(None, help="Clock of clocked chips, such as 1.3MHz; else their profile's."),
    batch: list[int] = typer.Option([], help="Inferences together on a GPU, a row for each; 1 by default."),
    out: Path | None = typer.Option(None, "--out", help="Folder for energy.json, energy.csv and plots."),
    plots: bool = typer.Option(True, help="Draw plots into --out."),
    network: Path | None = typer.Option(None, help="Instead of a bundle: a network described in TOML."),
    validate: bool = typer.Option(False, "--validate", help="The measured cases against the shipped profiles."),
    published: bool = typer.Option(False, "--published", help="The literature's figures by its formula."),
    json: bool = JSON,
) -> None:
    """Price a run's activity on every profile: joules, seconds, cores."""
    from toolkit.cli.energy_modes import price_network, show_published, show_validation
    from toolkit.pricing.options import chosen_profiles, parse_assumed

    _one_of(bundle, network, validate, published)
    _only_with_a_bundle({"--data": data, "--result": result, "--batch": batch, "--out": out}, bundle)
    if validate or published:
        _only_with_profiles({"--profile": profile, "--step-time": step_time, "--clock": clock})
    if validate:
        raise typer.Exit(0 if show_validation(json) else 1)
    if published:
        return show_published(json)
    profiles, assumed = chosen_profiles(profile), parse_assumed(step_time, clock, batch)
    if network is not None:
        return price_network(network, profiles, assumed, json)
    assert bundle is not None  # one of the four
    _price(bundle, data, result, profiles, assumed, out, plots, json)


def _one_of(bundle: Path | None, network: Path | None, validate: bool, published: bool) -> None:
    given = {"BUNDLE": bundle, "--network": network, "--validate": validate, "--published": published}
    named = [name for name, value in given.items() if value]
    if len(named) != 1:
        raise SpikeportError(f"energy: {' and '.join(named) or 'nothing'} given; name one of {', '.join(given)}")


def _only_with_a_bundle(options: dict[str, object], bundle: Path | None) -> None:
    named = [name for name, value in options.items() if value]
    if named and bundle is None:
        raise SpikeportError(f"energy: {' and '.join(named)} given without BUNDLE; name the bundle or leave it out")


def _only_with_profiles(options: dict[str, object]) -> None:
    named = [name for name, value in options.items() if value]
    if named:
        raise SpikeportError(
            f"energy: {' and '.join(named)} given with --validate or --published, which use shipped profiles; drop it"
        )


def _price(
    bundle: Path,
    data: Path | None,
    result: Path | None,
    profiles: list[Profile],
    assumed: Assumed,
    out: Path | None,
    plots: bool,
    json: bool,
) -> None:
    from toolkit.bundle.reader import open_bundle
    from toolkit.pricing.model import read_run, simulated
    from toolkit.pricing.plots import FILES, require_matplotlib
    from toolkit.pricing.record import record_of
    from toolkit.pricing.terminal import print_record
    from toolkit.pricing.write import writable, write_folder

    if out is not None:
        writable(out, ENERGY_FILE)
        if plots:
            require_matplotlib()
    if (data is None) == (result is None):
        raise SpikeportError("energy: give --data to simulate, or --result of a run; one of them")
    opened = open_bundle(bundle)
    model = simulated(opened, data, say) if data else read_run(result or Path(), opened)
    record = record_of(model, profiles, assumed, over_rates=out is not None)
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
