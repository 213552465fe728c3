"""One backend against a reference on the same sentences, in parts that fit in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from toolkit.backends.protocol import SpikeBackend, SpikeResult
from toolkit.bundle.encoder import EncodedBatch
from toolkit.verification.compare import Equivalence, compare, joined


@dataclass(frozen=True)
class Verdict:
    """What one comparison found.

    Attributes:
        equivalence: spikes and logits, with the first difference.
        labels, expected_labels: answers of the backend and of the reference, a label a sentence.
        witness: index of the sentence of the first difference, and the reference's run of it alone; ``None``
            where nothing differs or the spikes were not compared.
    """

    equivalence: Equivalence
    labels: list[int]
    expected_labels: list[int]
    witness: tuple[int, SpikeResult] | None

    def holds(self, tolerance: float) -> bool:
        """Whether at most this fraction of spikes, and of logits, differs; 0 is equality."""
        found = self.equivalence
        if not found.logits_compared:
            return False
        spikes = found.spike_mismatches / max(found.spikes_compared, 1)
        return max(spikes, found.logit_mismatches / found.logits_compared) <= tolerance


def arrives(
    reference: SpikeBackend,
    backend: SpikeBackend,
    batch: EncodedBatch,
    *,
    part: int,
    student: str,
    record: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> Verdict:
    """Run both on ``batch``, ``part`` sentences at a time.

    Args:
        record: compare the spikes of every layer; else the logits alone.
        student: which attention the student has, for the report.
        progress: told sentences done and sentences in all.

    Raises:
        SpikeportError: a layer is recorded on one side only, or a shape differs.
    """
    entries: list[Equivalence] = []
    labels, expected_labels = list[int](), list[int]()
    witness = None
    for start in range(0, len(batch), part):
        some = batch.part(slice(start, start + part))
        want, have = reference.run(some, record=record), backend.run(some, record=record)
        facts: dict[str, Any] = {"backend": backend.name, "version": backend.version, "mode": backend.mode}
        entries.append(compare(want, have, student=student, **facts))
        if record and witness is None and (first := entries[-1].first_difference):
            witness = start + first["sample"], _alone(want, first["sample"])
        labels += have.labels
        expected_labels += want.labels
        if progress is not None:
            progress(start + len(some), len(batch))
    return Verdict(joined(entries), labels, expected_labels, witness)


def _alone(run: SpikeResult, sample: int) -> SpikeResult:
    """One sentence of a run."""
    one = slice(sample, sample + 1)
    return SpikeResult(run.logits[one], {name: spikes[one] for name, spikes in run.spikes.items()})
