"""The folder of a run: what it is a run of, its parts, and its result."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simulators.record import write_record
from simulators.result import SimulationResult
from toolkit.errors import SpikeportError
from toolkit.simulation.part import Part, save_json, temporary_of
from toolkit.simulation.source import sha256_of

FORMAT = "spikeport.simulation/1"
RUN_FILE, RESULT_FILE, TRACE_FILE, LOGITS_FILE = "run.json", "result.json", "trace.json", "logits.npz"
BOUND = ("format", "bundle", "data", "settings")  # what has to agree when a run goes on


@dataclass(frozen=True)
class RunFolder:
    """A folder that belongs to one run.

    Attributes:
        path: of the folder.
        run: SHA-256 of what the run is a run of; each part carries it.
    """

    path: Path
    run: str

    @classmethod
    def open(cls, path: Path, identity: dict[str, Any]) -> RunFolder:
        """Begin a run in a new or empty folder, or go on with the same run.

        Args:
            path: the folder.
            identity: ``bundle``, ``data`` and ``settings``, which must agree, and ``versions``, which are noted.

        Raises:
            SpikeportError: the folder holds something else, or another run.
        """
        identity = {"format": FORMAT, **identity}
        path.mkdir(parents=True, exist_ok=True)
        names = {name for name in os.listdir(path) if not (name.startswith(".") and name.endswith(".tmp"))}
        if names and RUN_FILE not in names:
            raise SpikeportError(f"{path}: holds {min(names)!r} and no {RUN_FILE}; name a new folder for the run")
        if not names:
            save_json(path / RUN_FILE, identity)
        _compare(path / RUN_FILE, identity)
        bound = json.dumps({name: identity[name] for name in BOUND}, sort_keys=True)
        return cls(path, hashlib.sha256(bound.encode()).hexdigest())

    def part_file(self, index: int) -> Path:
        """File of a part."""
        return self.path / f"part-{index:05}.npz"

    def spikes_file(self, index: int) -> Path:
        """File of the spikes recorded in a part (``simulators.record``)."""
        return self.path / f"spikes-{index:05}.npz"

    def load(self, index: int, samples: int, record: bool) -> Part | None:
        """A part that is complete, or nothing."""
        part = Part.read(self.part_file(index), self.run)
        if part is None or len(part.logits) != samples:
            return None
        spikes = self.spikes_file(index)
        if record and not (spikes.is_file() and sha256_of(spikes) == part.spikes_sha256):
            return None
        return part

    def save_spikes(self, index: int, result: SimulationResult) -> str:
        """Write recorded spikes, before the part that names their hash, which is returned."""
        path = self.spikes_file(index)
        write_record(temporary := temporary_of(path), result.spikes)
        digest = sha256_of(temporary)
        os.replace(temporary, path)
        return digest


def _compare(path: Path, identity: dict[str, Any]) -> None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        before = {name: found[name] for name in BOUND}
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise SpikeportError(
            f"{path}: not the description of a run ({error!r:.80}); name a new folder for the run"
        ) from None
    for name in BOUND:
        if before[name] != identity[name]:
            raise SpikeportError(
                f"{path}: another {name}, {_difference(before[name], identity[name])}; name a new folder, or start "
                "it as it was begun"
            )


def _difference(before: object, now: object) -> str:
    if isinstance(before, dict) and isinstance(now, dict):
        for name in sorted(set(before) | set(now)):
            if before.get(name) != now.get(name):
                return f"{name} was {before.get(name)!r:.80} and is {now.get(name)!r:.80}"
    return f"was {before!r:.80} and is {now!r:.80}"
