"""``spikeport watermark report``: one page on one ownership test."""

from __future__ import annotations

from pathlib import Path

import typer

from toolkit.cli.io import tell


def report(
    out: Path = typer.Argument(help="HTML page to write."),
    verification: list[Path] = typer.Option(..., help="What watermark verify --json printed; one for each kind."),
    attack: list[Path] = typer.Option([], help="What watermark attack --out wrote."),
    null: list[Path] = typer.Option([], help="Null records."),
) -> None:
    """Verdict, evidence, attacks and every number on one page, for a lawyer and an engineer."""
    from toolkit.errors import SpikeportError
    from toolkit.ownership.report.page import MARK, render_page
    from toolkit.ownership.report.read import read_material

    material = read_material(verification, attack, null)
    if out.exists() and (out.is_dir() or MARK not in out.read_text(encoding="utf-8", errors="replace")):
        raise SpikeportError(f"{out}: exists and is no page of this kind; name another file")
    half = out.with_name(f".{out.name}.half")
    try:
        half.write_text(render_page(material), encoding="utf-8")
        half.replace(out)
    except OSError as error:
        raise SpikeportError(f"{out}: cannot be written ({error.strerror}); name another file") from None
    tell(f"{out}: {len(material.entries)} tests, {len(material.attacks)} attacks")
