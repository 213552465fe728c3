"""``spikeport profiles``: the chips that can be priced, and the constants behind the figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

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
    """Names of the profiles and where each comes from: the package, or a folder of yours."""
    from hw_profiles import found_profiles

    found = found_profiles()
    width = max(len(entry.name) for entry in found)
    rows = [f"{entry.name:<{width}}  {entry.origin}" for entry in found]
    value = {
        "profiles": [entry.name for entry in found],
        "origins": {entry.name: entry.origin for entry in found},
    }
    emit(value, json, lambda: typer.echo("\n".join(rows)))


def profiles_show(name: str = typer.Argument(help="Profile name or TOML file."), json: bool = JSON) -> None:
    """Print a profile: every figure with unit, condition, grade and source, what has no price, capacities."""
    from hw_profiles import as_dict, describe, load_profile

    profile = load_profile(name)
    emit(as_dict(profile), json, lambda: typer.echo(describe(profile)))


def profiles_check(files: list[Path] = typer.Argument(help="TOML files of your own chips."), json: bool = JSON) -> None:
    """Check profiles: every fault in one line, and what an estimate on each will lack."""
    checked = [_checked(file) for file in files]
    emit({"profiles": checked}, json)
    for entry in checked:
        for line in [f"spikeport: {fault}" for fault in entry["faults"]] or _good(entry):
            tell(line)
    if any(entry["faults"] for entry in checked):
        raise typer.Exit(2)


def _checked(file: Path) -> dict[str, Any]:
    from hw_profiles import check_file, lacking, one_sided

    profile, faults = check_file(file)
    return {
        "file": str(file),
        "name": profile.name if profile else None,
        "faults": faults,
        "lacks": lacking(profile) if profile else [],
        "one_sided": one_sided(profile) if profile else [],
        "unpriced": [entry.term for entry in profile.unpriced] if profile else [],
    }


def _good(entry: dict[str, Any]) -> list[str]:
    lines = [f"{entry['file']}: profile {entry['name']} is complete"]
    for key, what in (
        ("lacks", "no figure for"),
        ("one_sided", "a bound only for"),
        ("unpriced", "named as without a price"),
    ):
        lines += [f"{entry['file']}: {what}: {', '.join(entry[key])}"] if entry[key] else []
    return lines
