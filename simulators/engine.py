"""What runs a plan: the face that the two engines share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from torch import Tensor

from simulators.tallies import Tallies
from simulators.trace import LayerTrace


@dataclass
class Outcome:
    """Of one batch.

    Attributes:
        logits: (S, T, K, N) on the CPU; int64, or float64 in ``real``.
        spikes: bool (S, T, C, N) by layer, where recorded.
        currents: float64 (S, 2) by layer, least and largest input sum, where asked for.
    """

    logits: Tensor
    spikes: dict[str, Tensor] = field(default_factory=dict)
    currents: dict[str, Tensor] = field(default_factory=dict)


class Engine(Protocol):
    """A plan, ready for batches."""

    @property
    def sample_bytes(self) -> int:
        """Most memory that one sample's signals take."""

    def batches(self, spikes: Tensor, size: int) -> Iterator[Tensor]:
        """Batches of ``size`` samples where :meth:`run` wants them, each valid until the next is asked for."""

    def run(self, inputs: Tensor) -> Outcome:
        """One batch of spikes, bool (S, T, C, N)."""

    def reset(self) -> None:
        """Forget what was counted."""

    def tallies(self) -> Tallies:
        """Counts of all batches so far."""

    def trace(self) -> tuple[LayerTrace, ...]:
        """How each layer was computed so far."""

    def close(self) -> None:
        """Let threads go."""
