"""Our own simulator of the bundle's NIR file, with Loihi 2's integer semantics."""

from __future__ import annotations

import time

import numpy as np

from exporters.nir.graph import Graph
from simulators import Simulator as Prepared
from toolkit.backends.protocol import SpikeResult
from toolkit.bundle.encoder import EncodedBatch
from toolkit.bundle.writer import tool_version


class Simulator:
    """Batched, on CPU, or on CUDA where present."""

    name, mode = "simulator", "loihi2"

    def __init__(self, graph: Graph, device: str | None = None) -> None:
        self.graph, self.device = graph, device
        self.version = tool_version()
        self.prepared: dict[tuple[int, bool], Prepared] = {}  # by steps, and whether spikes are recorded

    def run(self, batch: EncodedBatch, record: bool = False) -> SpikeResult:
        """Logits and, on request, the spikes of every layer."""
        start = time.perf_counter()
        key = batch.spikes.shape[1], record
        if key not in self.prepared:
            self.prepared[key] = Prepared(self.graph, key[0], record=record, device=self.device)
        result = self.prepared[key].run(batch.spikes)
        spikes = {name: np.asarray(s) for name, s in result.spikes.items()}
        return SpikeResult(np.asarray(result.logits), spikes, time.perf_counter() - start)
