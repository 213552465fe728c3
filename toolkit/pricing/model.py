"""What is priced: the counts of one model's run, simulated now or read from the folder of a run."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from simulators import Simulator
from simulators.activity import Activity
from toolkit.bundle.reader import Bundle
from toolkit.demo.cost import teacher_shape
from toolkit.errors import SpikeportError
from toolkit.models.configuration import StudentConfig
from toolkit.simulation.folder import RESULT_FILE, RUN_FILE
from toolkit.simulation.part import UNREADABLE, activity_from
from toolkit.simulation.run import Run
from toolkit.simulation.source import open_source, sha256_of
from toolkit.simulation.world import World

PART = 256
NEXT_STEP = "write it with spikeport simulate ... --out"


@dataclass(frozen=True)
class Model:
    """A run that can be priced.

    Attributes:
        name: for tables.
        activity: counts of the whole run.
        accuracy: of the integer model, a fraction; None where labels are not known.
        truncated: sentences that were cut.
        config: of the student; without it no ANN of its shape can be priced.
        facts: of the student's recipe, with the teacher's shape.
    """

    name: str
    activity: Activity
    accuracy: float | None
    truncated: int
    config: StudentConfig | None = None
    facts: dict[str, Any] = field(default_factory=dict)


def simulated(bundle: Bundle, data: Path, progress: Callable[[str], None]) -> Model:
    """Simulate a TSV or NPZ file.

    Raises:
        SpikeportError: the file cannot be read, has no rows, or does not fit the bundle; no teacher's shape.
    """
    manifest = bundle.manifest
    teacher_shape(manifest.facts, 1, manifest.config.labels)  # what would be refused later is refused now
    source = open_source(data, bundle)
    with Simulator(bundle.graph, manifest.config.steps) as ready:
        outcome = Run(bundle, source, ready, PART).execute(World(), progress)
    assert outcome is not None  # a world of one process is the main one
    cut = len(outcome.truncated)
    return Model(_name(bundle.folder), outcome.activity, outcome.accuracy, cut, manifest.config, manifest.facts)


def read_run(folder: Path, bundle: Bundle | None = None) -> Model:
    """The counts that ``spikeport simulate --out`` left in a folder; nothing is simulated.

    Args:
        folder: of the run.
        bundle: for the shapes of the ANNs; it must be the one that was run.

    Raises:
        SpikeportError: no finished run, a damaged one, or one of another bundle.
    """
    result, identity = _json(folder / RESULT_FILE), _json(folder / RUN_FILE)
    if bundle is not None:
        _same_bundle(folder, identity, bundle)
    try:
        activity = activity_from(result["activity"])
        accuracy, truncated = result["accuracy"], int(result["truncated"])
    except (*UNREADABLE, SpikeportError) as error:
        raise SpikeportError(f"{folder / RESULT_FILE}: no counts of a run ({error!r:.80}); {NEXT_STEP}") from None
    manifest = bundle.manifest if bundle else None
    config, facts = (manifest.config, manifest.facts) if manifest else (None, {})
    return Model(_name(folder), activity, accuracy, truncated, config, facts)


def _same_bundle(folder: Path, identity: dict[str, Any], bundle: Bundle) -> None:
    hashes = identity.get("bundle")
    for name, digest in hashes.items() if isinstance(hashes, dict) else ():
        if name != Path(name).name or sha256_of(bundle.folder / name) != digest:
            raise SpikeportError(
                f"{folder}: a run of another bundle, {name} differs from {bundle.folder / name}; name the bundle "
                "that was run"
            )


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SpikeportError(f"{path}: no such file; {NEXT_STEP}, to its end") from None
    except (OSError, ValueError, RecursionError) as error:
        raise SpikeportError(f"{path}: cannot be read as JSON ({error!r:.80}); {NEXT_STEP}") from None
    if not isinstance(content, dict):
        raise SpikeportError(f"{path}: {type(content).__name__}, needed an object; {NEXT_STEP}")
    return content


def _name(folder: Path) -> str:
    return folder.resolve().name
