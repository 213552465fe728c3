"""Did the function arrive? The same sentences on every backend, spike by spike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exporters.lava import LavaNotInstalled, LavaRunError
from toolkit.backends.lava import Lava
from toolkit.backends.lava_options import LavaOptions
from toolkit.backends.protocol import SpikeBackend, SpikeResult
from toolkit.backends.simulator import Simulator
from toolkit.backends.snntorch_reader import SnnTorchReader
from toolkit.backends.torch_student import TorchStudent
from toolkit.bundle.encoder import EncodedBatch
from toolkit.bundle.manifest import GRAPH_FILE
from toolkit.bundle.reader import Bundle
from toolkit.errors import MissingComponentError, SpikeportError
from toolkit.models.storage import student_hash
from toolkit.verification.compare import Equivalence, compare


@dataclass
class Arrival:
    """What the comparisons gave, the runs themselves, and what could not be run."""

    equivalence: list[Equivalence]
    results: dict[str, SpikeResult]
    left_out: list[dict[str, Any]]


def check_golden(bundle: Bundle) -> None:
    """Refuse a bundle whose golden traces do not come out here.

    Raises:
        SpikeportError: naming layer, sample and step of the first difference.
    """
    golden = bundle.golden()
    batch = bundle.encoder.encode(golden.sentences)
    expected = SpikeResult(golden.logits, golden.spikes)
    seen = Simulator(bundle.graph).run(batch, record=True)
    found = compare(expected, seen, backend="golden", version="", mode="", student="")
    if not found.holds:
        raise SpikeportError(
            f"{bundle.folder}: golden traces differ, first at {found.first_difference}; "
            "the encoder, tokenizer or simulator of this machine is not the one that wrote them"
        )


def compare_backends(
    bundle: Bundle, folder: Path, batch: EncodedBatch, say: Callable[[str], None], *, lava: LavaOptions | None
) -> Arrival:
    """Torch and Lava (unless ``None``) against the simulator on the same sentences, every layer recorded."""
    arrival = _with_torch(bundle, folder, batch, say)
    if lava:
        _add_lava(arrival, bundle, batch, say, lava)
    return arrival


def compare_stock_reader(bundle: Bundle, folder: Path, batch: EncodedBatch, say: Callable[[str], None]) -> Arrival:
    """Stock snnTorch and torch against the simulator, for a student that stock readers can hold."""
    arrival = _with_torch(bundle, folder, batch, say)
    say(f"stock snnTorch reading model.nir, {len(batch)} sentences")
    try:
        _add(arrival, bundle, SnnTorchReader(bundle.folder / GRAPH_FILE), batch)
    except MissingComponentError as error:
        arrival.left_out.append(left_out("snnTorch", error))
    return arrival


def left_out(what: str, error: Exception) -> dict[str, Any]:
    """An entry of the report's ``left_out``: the message's last clause is the next step."""
    why, _, step = str(error).rpartition(";")
    return {"what": what, "why": why or str(error), "next_step": step.strip() or "see the message"}


def _with_torch(bundle: Bundle, folder: Path, batch: EncodedBatch, say: Callable[[str], None]) -> Arrival:
    """The simulator's run as the reference, and the student itself against it."""
    student = torch_student(bundle, folder, say)
    arrival = Arrival([], {"simulator": Simulator(bundle.graph).run(batch, record=True)}, [])
    say(f"torch student, {len(batch)} sentences")
    _add(arrival, bundle, student, batch)
    return arrival


def torch_student(bundle: Bundle, folder: Path, say: Callable[[str], None]) -> TorchStudent:
    """The student itself; its weights may differ from the bundle's, which is said, its shape may not.

    Raises:
        SpikeportError: no student, or one of another shape.
    """
    backend = TorchStudent(folder)
    if backend.student.config != bundle.manifest.config:
        raise SpikeportError(
            f"{folder}: a student of another shape than the one {bundle.folder} was made from; name that one"
        )
    known = (bundle.manifest.student_sha256, bundle.manifest.facts.get("deployed_sha256"))
    if student_hash(folder) not in known:
        say(f"{folder}: not the weights that {bundle.folder} was made from, by their sha256")
    return backend


def _add(arrival: Arrival, bundle: Bundle, backend: SpikeBackend, batch: EncodedBatch) -> None:
    seen = backend.run(batch, record=True)
    arrival.results[backend.name] = seen
    entry = compare(
        arrival.results["simulator"],
        seen,
        backend=backend.name,
        version=backend.version,
        mode=backend.mode,
        student=bundle.manifest.config.attention,
    )
    arrival.equivalence.append(entry)


def _add_lava(
    arrival: Arrival, bundle: Bundle, batch: EncodedBatch, say: Callable[[str], None], options: LavaOptions
) -> None:
    try:
        backend = Lava(bundle.graph, report=say, calibrated=bundle.manifest.calibrated, options=options)
        say(f"real Lava, {backend.mode}, {len(batch)} sentences, every layer recorded")
        _add(arrival, bundle, backend, batch)
    except LavaNotInstalled as error:
        arrival.left_out.append(left_out("Lava", error))
    except LavaRunError as error:  # installed and failing is no excuse: the demo's exit status says so
        arrival.left_out.append({**left_out("Lava", error), "failed": True})
