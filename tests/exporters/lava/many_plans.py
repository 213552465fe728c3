"""Runs under Lava's interpreter: every case of a folder in the one-process executor, in one interpreter.

Usage: many_plans.py FOLDER. A case is a folder with ``plan/`` and ``in.npz``; it gets ``out.npz``. Cases whose name
ends in ``T4.fast`` take several rounds.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from lava.magma.compiler.compiler_graphs import ProcGroupDiGraphs
from spikeport_lava import execute
from spikeport_lava.__main__ import parse, run


def remember_models() -> None:
    """Lava looks through all its modules for the models of each process; once for each class is enough here."""
    search, found = ProcGroupDiGraphs._find_proc_models, {}

    def once(proc):
        if type(proc) not in found:
            found[type(proc)] = search(proc)
        return list(found[type(proc)])

    ProcGroupDiGraphs._find_proc_models = staticmethod(once)


def main(folder: Path) -> None:
    remember_models()
    execute.LANES = 2  # of 5 samples, 3 back to back beside 2 and a silent one
    for case in sorted(folder.iterdir()):
        execute.ROUND = 3 if case.name.endswith("T4.fast") else 512
        arguments = ["--plan", case / "plan", "--inputs", case / "in.npz", "--out", case / "out.npz"]
        with tempfile.TemporaryDirectory() as scratch:
            run(parse([*map(str, arguments), "--record", "--one-process"]), Path(scratch))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
