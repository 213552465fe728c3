"""``spikeport doctor``: what is installed, what is missing, and the command for it."""

from __future__ import annotations

import typer

from toolkit.cli.doctor import as_dict, check, render
from toolkit.cli.io import emit, people


def register(app: typer.Typer) -> None:
    """Add the verb."""

    @app.command()
    def doctor(
        json: bool = typer.Option(False, "--json", help="One JSON object on standard output."),
    ) -> None:
        """Say what is installed and what is missing."""
        components = check()
        emit(as_dict(components), json, lambda: render(components, people))
        if any(component.required and component.found is None for component in components):
            raise typer.Exit(3)
