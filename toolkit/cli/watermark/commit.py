"""``spikeport watermark commit``: what is published before release."""

from __future__ import annotations

from pathlib import Path

import typer

from toolkit.cli.classify_verb import BUNDLE
from toolkit.cli.io import emit, tell
from toolkit.cli.watermark.options import CARRIERS, CLEAN, JSON, KEY, ownership_test


def commit(
    out: Path = typer.Argument(help="Commitment file to write and publish."),
    owner: str = typer.Option(..., help="Who claims the model."),
    release: str = typer.Option(..., help="Which release of it."),
    clean: list[Path] = CLEAN,
    bundle: Path = BUNDLE,
    key: Path | None = KEY,
    carriers: Path | None = CARRIERS,
    json: bool = JSON,
) -> None:
    """Bind key, model, owner, release and test plan in one hash, before release."""
    from toolkit.bundle.manifest import GRAPH_FILE, MANIFEST_FILE
    from toolkit.bundle.writer import tool_version
    from toolkit.watermark.certificate import commit as make

    _, opened, test, secret = ownership_test(bundle, clean, key, carriers)
    made = make(
        secret,
        opened.folder / GRAPH_FILE,
        opened.folder / MANIFEST_FILE,
        test.plan,
        owner=owner,
        release=release,
        tool_version=tool_version(),
    )
    made.save(out)
    emit(made.to_dict(), json)
    tell(f"{out}: digest {made.digest}; have it time-stamped by somebody else before you release")
