"""``spikeport watermark open``: what a third party does with a certificate and the revealed key."""

from __future__ import annotations

from pathlib import Path

import typer

from toolkit.cli.io import emit, tell
from toolkit.cli.watermark.options import JSON


def open_(
    certificate: Path = typer.Argument(help="Certificate as it was published."),
    key: Path = typer.Option(..., help="The key that the owner reveals."),
    public_key: str | None = typer.Option(None, help="The owner's Ed25519 public key in hex, had from elsewhere."),
    bundle: Path | None = typer.Option(None, help="Bundle that is said to be the committed model."),
    json: bool = JSON,
) -> None:
    """Open a certificate offline: exit status 1 where signature or model are not what it commits to.

    A key that was not committed, or an altered file, is refused (exit status 2). When it was published, only its
    time stamp can say.
    """
    from toolkit.bundle.manifest import GRAPH_FILE, MANIFEST_FILE
    from toolkit.watermark.certificate import check, open_certificate
    from toolkit.watermark.framing import expect_hex
    from toolkit.watermark.key import Key
    from toolkit.watermark.signature import signed_by

    secret = Key.load(key)
    opened = open_certificate(certificate, secret)
    signed = signed_by(opened, expect_hex(public_key, 32, "--public-key")) if public_key else None
    wrong: tuple[str, ...] = ()
    if bundle is not None:
        wrong = check(opened, secret, bundle / GRAPH_FILE, bundle / MANIFEST_FILE, opened.plan)
    emit({"certificate": opened.to_dict(), "signed": signed, "differs": list(wrong)}, json)
    plan = opened.plan
    tell(f"{certificate}: opened; {opened.owner} committed to this key for release {opened.release}")
    tell(f"digest {opened.digest} (its time stamp says since when)")
    tell(f"plan: {plan.queries} queries, kind {plan.kind}, alpha {plan.alpha:g}, {plan.null_keys} null keys")
    if signed is not None:
        tell("signature: by that public key" if signed else "signature: NOT by that public key")
    if bundle is not None:
        tell("model: the committed one" if not wrong else f"model: another {' and '.join(wrong)} than committed")
    if wrong or signed is False:
        raise typer.Exit(1)
