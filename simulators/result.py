"""What a simulation gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

from torch import Tensor

from simulators.activity import Activity
from simulators.trace import LayerTrace


@dataclass(frozen=True, eq=False)
class SimulationResult:
    """What a run gives.

    Attributes:
        logits: (S, T, K, N), per token and step; int64 for ``loihi2``, float64 for ``real``.
        read_activity: makes ``activity``, the exact counts over the whole run, when it is first asked for.
        paths: how each neuron was computed: ``float32`` (proved equal), ``integer`` or ``real``.
        spikes: per spiking layer, bool (S, T, C, N); filled where recording was asked for.
        currents: per neuron layer in order of execution, (S, 2) float64: the least and the largest input sum of
            each sample over steps, tokens and channels, 0 at the most and at the least; filled where asked for.
        trace: per layer, which way it was computed and why.
    """

    logits: Tensor
    read_activity: Callable[[], Activity]
    paths: dict[str, str]
    spikes: dict[str, Tensor] = field(default_factory=dict)
    currents: dict[str, Tensor] = field(default_factory=dict)
    trace: tuple[LayerTrace, ...] = ()

    @cached_property
    def activity(self) -> Activity:
        """Exact counts over the whole run."""
        return self.read_activity()
