"""What a calibrated bundle owes its chip: every input is run here first, and refused if a layer would overflow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from exporters.nir.graph import Graph, Neuron, layer_name
from toolkit.bundle.manifest import Manifest
from toolkit.errors import SpikeportError


@dataclass(frozen=True, eq=False)
class CurrentGuard:
    """Looks for currents beyond the chip's range, by exact sums that do not wrap.

    Attributes:
        graph: the bundle's.
        limits: largest magnitude of a current, for each layer whose bound is only measured.
    """

    graph: Graph
    limits: dict[str, int]

    @classmethod
    def of(cls, graph: Graph, manifest: Manifest) -> CurrentGuard | None:
        """The guard of a bundle; ``None`` where every bound is proved.

        Raises:
            SpikeportError: manifest and graph disagree, or the manifest names a layer that the graph lacks.
        """
        limits = {name: x["limit"] for name, x in manifest.bounds.items() if x["kind"] == "calibrated"}
        if bool(limits) != (graph.metadata.get("bounds") == "calibrated"):
            kind = "calibrated" if limits else "proved"
            raise SpikeportError(f"bounds: {kind} by the manifest, not by the graph; copy the bundle again")
        layers = {layer_name(name) for name, node in graph.nodes.items() if isinstance(node, Neuron)}
        if missing := sorted(set(limits) - layers):
            raise SpikeportError(f"bounds: layer {missing[0]} is not in the graph; copy the bundle again")
        return cls(graph, limits) if limits else None

    def faults(self, spikes: NDArray[np.bool_]) -> dict[int, str]:
        """For each input that overflows, in which layer first, its value and the limit.

        Args:
            spikes: (S, T, D + 1, N).
        """
        from simulators import simulate

        found: dict[int, str] = {}
        if not len(spikes):
            return found
        for name, extremes in simulate(self.graph, spikes, currents=True).currents.items():
            if (limit := self.limits.get(name)) is None:
                continue
            for i in (extremes.abs().amax(dim=1) > limit).nonzero().flatten().tolist():
                value = max(extremes[i].tolist(), key=abs)
                found.setdefault(i, f"layer {name}: a current of {value:.0f}, the limit is {limit}")
        return dict(sorted(found.items()))
