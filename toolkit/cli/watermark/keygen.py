"""``spikeport watermark keygen``: the owner's secret."""

from __future__ import annotations

from pathlib import Path

import typer

from toolkit.cli.io import tell


def keygen(out: Path = typer.Argument(help="Key file to write (mode 0600).")) -> None:
    """Make a secret key; an existing file is never overwritten."""
    from toolkit.watermark.key import Key

    key = Key.generate()
    key.save(out)
    tell(f"{out}: keep it secret; its commitment is {key.commitment}")
