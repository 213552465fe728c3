"""``spikeport watermark``: key, embedding, commitment, ownership test, attacks; one file a verb."""

from __future__ import annotations

import typer

from toolkit.cli.watermark import attack, commit, embed, keygen, null, open_verb, report, verify


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    watermark = typer.Typer(help="Keys, commitments and ownership tests.", no_args_is_help=True)
    watermark.command()(keygen.keygen)
    watermark.command()(embed.embed)
    watermark.command()(commit.commit)
    watermark.command()(null.null)
    watermark.command(name="open")(open_verb.open_)
    watermark.command()(verify.verify)
    watermark.command()(attack.attack)
    watermark.command()(report.report)
    app.add_typer(watermark, name="watermark")
