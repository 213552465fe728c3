"""What a backend must offer: the only thing verification and watermark know of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from toolkit.bundle.encoder import EncodedBatch


@dataclass(frozen=True)
class SpikeResult:
    """What a run gives, whoever ran it.

    Attributes:
        logits: per token and step, (S, T, K, N) int64.
        spikes: per spiking layer, (S, T, C, N) bool; empty where recording was not asked for.
        seconds: wall-clock time of the run.
    """

    logits: NDArray[np.int64]
    spikes: dict[str, NDArray[np.bool_]] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def summed(self) -> NDArray[np.int64]:
        """Logits summed over tokens and steps, (S, K)."""
        total: NDArray[np.int64] = self.logits.sum(axis=(1, 3))
        return total

    @property
    def labels(self) -> list[int]:
        """Largest logit of every sentence; ties go to the lowest label."""
        return [int(i) for i in self.summed.argmax(axis=1)]


@runtime_checkable
class SpikeBackend(Protocol):
    """Anything that runs a bundle's network on encoded sentences."""

    name: str
    version: str
    mode: str

    def run(self, batch: EncodedBatch, record: bool = False) -> SpikeResult:
        """Run every sentence; with ``record`` the spikes of every layer come along."""
        ...


@runtime_checkable
class LabelBackend(Protocol):
    """Anything that answers texts with labels: a model, a simulator, a device, a black-box command."""

    @property
    def name(self) -> str:
        """Which model runs where; two models must not share a name, for answers are cached by it."""
        ...

    def labels(self, texts: list[str]) -> list[int]:
        """One label in [0, number of labels) for each text, in order; equal texts get equal labels."""
        ...
