"""``spikeport watermark keygen``: the owner's secrets."""

from __future__ import annotations

from pathlib import Path

import typer

from toolkit.cli.io import tell


def keygen(
    out: Path = typer.Argument(help="Key file to write (mode 0600)."),
    signing: bool = typer.Option(False, "--signing", help="An Ed25519 key to sign certificates with, instead."),
) -> None:
    """Make a secret key; an existing file is never overwritten."""
    from toolkit.watermark.key import Key
    from toolkit.watermark.signature import SigningKey

    if signing:
        signer = SigningKey.generate()
        public = signer.public.hex()
        signer.save(out)
        tell(f"{out}: keep it secret; publish its public key {public}")
        return
    key = Key.generate()
    key.save(out)
    tell(f"{out}: keep it secret; its commitment is {key.commitment}")
