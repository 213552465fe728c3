"""Is what runs there what runs here? Spike by spike and logit by logit, exact, with the first difference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.backends.protocol import SpikeResult
from toolkit.errors import SpikeportError


@dataclass(frozen=True)
class Equivalence:
    """One comparison, in the form of the report's ``equivalence`` entries."""

    backend: str
    version: str
    mode: str
    student: str
    samples: int
    layers: list[dict[str, Any]]
    logit_mismatches: int
    logits_compared: int
    first_difference: dict[str, Any] | None
    seconds: float

    @property
    def holds(self) -> bool:
        """Nothing differs, and something was compared."""
        return self.spike_mismatches == 0 and self.logit_mismatches == 0 and self.logits_compared > 0

    @property
    def spikes_compared(self) -> int:
        """Spike values compared over all layers (each 0 or 1)."""
        return sum(layer["compared"] for layer in self.layers)

    @property
    def spike_mismatches(self) -> int:
        """Spike values that differ, over all layers."""
        return sum(layer["mismatches"] for layer in self.layers)

    def to_dict(self) -> dict[str, Any]:
        """The report's entry."""
        return {
            "backend": self.backend,
            "version": self.version,
            "mode": self.mode,
            "student": self.student,
            "samples": self.samples,
            "spikes_compared": self.spikes_compared,
            "spike_mismatches": self.spike_mismatches,
            "logits_compared": self.logits_compared,
            "logit_mismatches": self.logit_mismatches,
            "layers": self.layers,
            "first_difference": self.first_difference,
            "seconds": round(self.seconds, 3),
        }


def compare(
    expected: SpikeResult, seen: SpikeResult, *, backend: str, version: str, mode: str, student: str
) -> Equivalence:
    """Compare two runs on the same sentences.

    Args:
        expected: the reference run, every layer recorded.
        seen: the run in question, every layer recorded.

    Raises:
        SpikeportError: a layer is missing on either side, or a shape differs; nothing is compared in part.
    """
    if missing := sorted(set(expected.spikes) ^ set(seen.spikes)):
        raise SpikeportError(
            f"{backend}: layer {missing[0]!r} is recorded on one side only; record every layer on both"
        )
    if expected.logits.shape != seen.logits.shape:
        raise SpikeportError(
            f"{backend}: logits {seen.logits.shape}, expected {expected.logits.shape}; run the same sentences"
        )
    layers, first = [], None
    for name in expected.spikes:
        want, have = expected.spikes[name], seen.spikes[name]
        if want.shape != have.shape:
            raise SpikeportError(f"{backend}: layer {name} has shape {have.shape}, expected {want.shape}")
        wrong = want != have
        layers.append({"name": name, "compared": int(want.size), "mismatches": int(wrong.sum())})
        if first is None and wrong.any():
            first = _first(name, wrong, want, have)
    wrong_logits = expected.logits != seen.logits
    if first is None and wrong_logits.any():
        first = _first("readout", wrong_logits, expected.logits, seen.logits)
    return Equivalence(
        backend,
        version,
        mode,
        student,
        samples=len(expected.logits),
        layers=layers,
        logit_mismatches=int(wrong_logits.sum()),
        logits_compared=int(wrong_logits.size),
        first_difference=first,
        seconds=seen.seconds,
    )


def joined(parts: Sequence[Equivalence]) -> Equivalence:
    """One comparison from those of successive sentences, each of at least one.

    Args:
        parts: of the same backend and layers, in order of the sentences.
    """
    first = None
    start = 0
    for part in parts:
        if first is None and part.first_difference is not None:
            first = {**part.first_difference, "sample": part.first_difference["sample"] + start}
        start += part.samples
    layers = [
        {"name": rows[0]["name"], **{key: sum(row[key] for row in rows) for key in ("compared", "mismatches")}}
        for rows in zip(*(part.layers for part in parts), strict=True)
    ]
    return replace(
        parts[0],
        samples=start,
        layers=layers,
        logit_mismatches=sum(part.logit_mismatches for part in parts),
        logits_compared=sum(part.logits_compared for part in parts),
        first_difference=first,
        seconds=sum(part.seconds for part in parts),
    )


def _first(layer: str, wrong: NDArray[np.bool_], want: NDArray[Any], have: NDArray[Any]) -> dict[str, Any]:
    """The earliest difference: lowest sample, then step, then token, then channel."""
    where = np.argwhere(wrong)
    sample, step, channel, token = min(where.tolist(), key=lambda w: (w[0], w[1], w[3], w[2]))
    position = (sample, step, channel, token)
    return {
        "layer": layer,
        "sample": sample,
        "step": step,
        "channel": channel,
        "token": token,
        "expected": int(want[position]),
        "seen": int(have[position]),
    }
