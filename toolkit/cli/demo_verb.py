"""``spikeport demo``: the whole pipe on the shipped student."""

from __future__ import annotations

from pathlib import Path

import typer

from toolkit.cli.io import emit, people, say, tell
from toolkit.cli.lava_options import LAVA_MODE


def register(app: typer.Typer) -> None:
    """Add the verb."""

    @app.command()
    def demo(
        out: Path = typer.Option(Path("build/demo"), help="Folder for report and bundle."),
        data: Path | None = typer.Option(None, help="Labelled sentences (TSV with the columns text, label)."),
        lava: bool = typer.Option(True, help="Run real Lava as well."),
        lava_mode: str = LAVA_MODE,
        json: bool = typer.Option(False, "--json", help="One JSON object on standard output."),
    ) -> None:
        """Lower, simulate, price, run on Lava, test ownership; write report.json and report.html."""
        from toolkit.demo.run import holds, run_demo
        from toolkit.reporting import print_report

        report = run_demo(out, data, say, lava=lava, lava_mode=lava_mode)
        emit(report, json, lambda: print_report(report, people))
        tell(f"written: {out / 'report.html'}, {out / 'report.json'}, {out / 'bundle'}")
        if not holds(report):
            tell("a check failed: see the first difference and the verdicts above")
            raise typer.Exit(1)
