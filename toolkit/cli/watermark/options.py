"""Options that several of the watermark's verbs share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from toolkit.ownership.setting import Setting
    from toolkit.watermark.key import Key

JSON = typer.Option(False, "--json", help="One JSON object on standard output.")
KEY = typer.Option(None, help="Key file (default: the published demo key).")
CLEAN = typer.Option(..., help="Bundle of an independent unmarked model; at least two, five for a proof.")
CARRIERS = typer.Option(None, help="Labelled sentences that carry the triggers (default: the shipped ones).")
NULL = typer.Option(None, "--null", help="Null record of these clean models, see `watermark null`.")
QUERIES = typer.Option(32, min=1, help="Triggered sentences that will be asked.")
KIND = typer.Option("words", help="words (rare, each alone) or combination (common, together).")
TRIGGERS = typer.Option(None, min=1, help="Number of trigger words (default: 4 rare words, 2 of a combination).")
ALPHA = typer.Option(1e-6, help="The p-value must be below it.")
UNKNOWN_HEAD = typer.Option(False, "--unknown-head", help="The head is not the owner's: any label may be the one.")


def load_key(path: Path | None) -> Key:
    """The key of a file, or the published one."""
    from toolkit.watermark.key import Key, demo_key

    return Key.load(path) if path else demo_key()


def load_setting(clean: list[Path], carriers: Path | None) -> Setting:
    """Clean models and carriers of a command line."""
    from toolkit.demo.run import SENTENCES
    from toolkit.ownership.setting import read_setting

    return read_setting(clean, carriers or SENTENCES)
