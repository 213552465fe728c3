"""Trained students that ship with the package, each a folder of its own."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent
MARKED = FOLDER / "sst2-ssa"
UNMARKED = FOLDER / "sst2-ssa-unmarked"
UNMARKED_SDSA = FOLDER / "sst2-sdsa-unmarked"
