"""Runs under Lava's interpreter: the real runtime with one fault put in.

Usage: faults.py FAULT NOTES -m spikeport_lava ARGUMENTS. Before the first step the main process writes
to NOTES its session and the shared memory it has mapped.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import time
from pathlib import Path

FAULTY_STEP = 5


def raise_at_step(model) -> None:
    healthy = model.run_spk

    def run_spk(self) -> None:
        if self.time_step == FAULTY_STEP:
            raise RuntimeError("fault put in by the test")
        healthy(self)

    model.run_spk = run_spk


def raise_at_birth(model, notes: str) -> None:
    """In the model's constructor, before the first step: notes are taken there."""

    def __init__(self, *_arguments) -> None:
        note(notes)
        raise RuntimeError("fault put in by the test")

    model.__init__ = __init__


def deaf_at_step(model) -> None:
    """Hangs and ignores SIGTERM."""
    healthy = model.run_spk

    def run_spk(self) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if self.time_step == FAULTY_STEP:
            time.sleep(600)
        healthy(self)

    model.run_spk = run_spk


def short_rounds() -> None:
    """No fault: the samples of a run take several networks, one after the other."""
    from spikeport_lava import execute

    execute.ROUND, execute.LANES = 4, 2


def note(path: str) -> None:
    maps = Path("/proc/self/maps").read_text()
    segments = sorted(set(re.findall(r"/dev/shm/psm_\w+", maps)))
    Path(path + ".part").write_text(json.dumps({"session": os.getsid(0), "segments": segments}))
    os.replace(path + ".part", path)


def take_notes(path: str) -> None:
    from spikeport_lava import execute

    healthy = execute._run

    def noted(*arguments) -> None:
        note(path)
        healthy(*arguments)

    execute._run = noted


def main(fault: str, notes: str, arguments: list[str]) -> int:
    from spikeport_lava.__main__ import main as runtime
    from spikeport_lava.processes import fabric, sink

    {
        "inner": lambda: raise_at_step(fabric.PyFabric),
        "birth": lambda: raise_at_birth(fabric.PyFabric, notes),
        "rounds": short_rounds,
        "sink": lambda: raise_at_step(sink.PySink),
        "deaf": lambda: deaf_at_step(fabric.PyFabric),
    }[fault]()
    take_notes(notes)
    return runtime(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[5:]))
