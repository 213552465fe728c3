"""``spikeport profiles``: the chips that can be priced, and the constants behind the figures."""

from __future__ import annotations

from pathlib import Path

import typer

from toolkit.cli.io import emit, tell

JSON = typer.Option(False, "--json", help="One JSON object on standard output.")


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    profiles = typer.Typer(help="Chip profiles and the sources of their constants.", no_args_is_help=True)
    profiles.command("list")(profiles_list)
    profiles.command("show")(profiles_show)
    profiles.command("check")(profiles_check)
    app.add_typer(profiles, name="profiles")


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
