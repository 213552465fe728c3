"""The plan: what the Lava runtime builds, part by part, all in integers.

A plan is plain data. :mod:`exporters.lava.build` makes one from a graph, :mod:`exporters.lava.files`
writes it to a folder, the runtime package reads that folder under Lava's own interpreter.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from exporters.lava.processes import IntegerSink, Lif, Process, SpikeSink, is_custom

FORMAT = "spikeport.lava-plan/1"
STOCK, FAST = "stock", "fast"
MODES = {
    STOCK: "stock: only processes that Lava ships; source and sinks are the host's",
    FAST: "fast: linears, attention and delays are one custom process, CPU only",
}


class PlanError(ValueError):
    """A graph cannot be planned for Lava; the message names object, value and limit."""


def check_mode(mode: str) -> str:
    """The mode itself.

    Raises:
        PlanError: if it is none of ``MODES``.
    """
    if mode not in MODES:
        raise PlanError(f"Lava mode {mode!r}: not known, choose one of {', '.join(MODES)}")
    return mode


@dataclass(frozen=True)
class Connection:
    """From the out-port of ``source`` to ``port`` of ``target``; several into one port are summed."""

    source: str
    target: str
    port: str


@dataclass(frozen=True, eq=False)
class Plan:
    """Everything a run needs but the input.

    Attributes:
        steps: T, time steps a sample.
        tokens: N.
        channels: input channels, D + 1.
        classes: K.
        latency: time steps from an input to its logits.
        processes: in topological order.
        connections: all of them.
        weights: int16 (out, window * in), one for each linear.
        mode: ``stock`` or ``fast``.
        graph_sha256: of the NIR file it was planned from; empty where there is no file.
    """

    steps: int
    tokens: int
    channels: int
    classes: int
    latency: int
    processes: tuple[Process, ...]
    connections: tuple[Connection, ...]
    weights: dict[str, NDArray[np.int16]] = field(repr=False)
    mode: str = FAST
    graph_sha256: str = ""

    @property
    def layers(self) -> list[str]:
        """Names of the recorded spiking layers."""
        return [p.layer for p in self.processes if isinstance(p, SpikeSink)]

    @property
    def lava_processes(self) -> int:
        """How many processes a run starts: one for all custom parts, one a population, one for all sinks."""
        sinks = [p for p in self.processes if isinstance(p, SpikeSink | IntegerSink)]
        custom = [p for p in self.processes if is_custom(p)]
        shared = [p.name for p in self.processes if isinstance(p, Lif) and p.population not in ("", p.name)]
        return len(self.processes) - len(sinks) - len(custom) - len(shared) + bool(sinks) + bool(custom)
