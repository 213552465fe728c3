"""``spikeport watermark commit``: what is published before release."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from toolkit.cli.classify_verb import BUNDLE
from toolkit.cli.io import emit, tell
from toolkit.cli.watermark.options import (
    ALPHA,
    CARRIERS,
    CLEAN,
    JSON,
    KEY,
    KIND,
    NULL,
    QUERIES,
    TRIGGERS,
    UNKNOWN_HEAD,
    load_key,
    load_setting,
)

if TYPE_CHECKING:
    from toolkit.watermark.key import Key
    from toolkit.watermark.ownership import OwnershipTest


def commit(
    out: Path = typer.Argument(help="Certificate to write and publish."),
    owner: str = typer.Option(..., help="Who claims the model."),
    release: str = typer.Option(..., help="Which release of it."),
    clean: list[Path] = CLEAN,
    bundle: Path = BUNDLE,
    key: Path | None = KEY,
    carriers: Path | None = CARRIERS,
    null: Path | None = NULL,
    queries: int = QUERIES,
    kind: str = KIND,
    triggers: int | None = TRIGGERS,
    alpha: float = ALPHA,
    key_rate_limit: float = typer.Option(0.05, help="The key-level rate's upper 95 % bound must not exceed it."),
    unknown_head: bool = UNKNOWN_HEAD,
    sign: Path | None = typer.Option(None, help="Signing key file, see `watermark keygen --signing`."),
    json: bool = JSON,
) -> None:
    """Bind key, model, owner, release and test plan in one hash, before release."""
    from toolkit.bundle.manifest import GRAPH_FILE, MANIFEST_FILE
    from toolkit.bundle.reader import open_bundle
    from toolkit.bundle.writer import tool_version
    from toolkit.watermark.certificate import commit as make
    from toolkit.watermark.null import NullRecord
    from toolkit.watermark.signature import SigningKey
    from toolkit.watermark.signature import sign as sign_it

    secret, opened, setting = load_key(key), open_bundle(bundle), load_setting(clean, carriers)
    record = NullRecord.load(null) if null else None
    plan = setting.plan(
        null=record, queries=queries, kind=kind, triggers=triggers, alpha=alpha,
        key_rate_limit=key_rate_limit, unknown_head=unknown_head,
    )  # fmt: skip
    test = setting.test(plan, record)  # refuses a record of another test before anything is published
    made = make(
        secret,
        opened.folder / GRAPH_FILE,
        opened.folder / MANIFEST_FILE,
        plan,
        owner=owner,
        release=release,
        tool_version=tool_version(),
    )
    if sign is not None:
        made = sign_it(made, SigningKey.load(sign).private)
    made.save(out)
    if warning := _hopeless(test, secret):
        tell(warning)
    emit(made.to_dict(), json)
    tell(f"{out}: digest {made.digest}; have it time-stamped by somebody else before you release, for example by")
    tell(f"  openssl ts -query -digest {made.digest} -sha256 -cert -out request.tsq")


def _hopeless(test: OwnershipTest, key: Key) -> str:
    """A warning where even a perfect mark would prove nothing: some words move unmarked models, too. Else empty."""
    from math import ceil, log

    budget = test.budget(key)
    if any(entry["hits_needed"] is not None for entry in budget["labels"]):
        return ""
    p0 = min(entry["p0"] for entry in budget["labels"])
    enough = f"about {ceil(log(budget['alpha']) / log(p0)) + 1} queries would do" if p0 < 1 else "no number would do"
    return (
        f"! unmarked models give this key's label to up to {100 * p0:.0f} % of the {budget['kind']} queries: "
        f"{budget['queries']} hits of {budget['queries']} would prove nothing; {enough}, or mark with another key"
    )
