"""Runs under Lava's interpreter: every case of a folder in the one-process executor, in one interpreter.

Usage: many_plans.py FOLDER. A case is a folder with ``plan/`` and ``in.npz``; it gets ``out.npz``.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from spikeport_lava import execute
from spikeport_lava.__main__ import parse, run


def main(folder: Path) -> None:
    execute.ROUND = 2  # so that every case takes several rounds
    for case in sorted(folder.iterdir()):
        arguments = ["--plan", case / "plan", "--inputs", case / "in.npz", "--out", case / "out.npz"]
        with tempfile.TemporaryDirectory() as scratch:
            run(parse([*map(str, arguments), "--record", "--one-process"]), Path(scratch))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
