"""Measure the currents of a network on data; thresholds come down until these fit, with a margin."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from exporters.nir.graph import Graph
from simulators import simulate
from toolkit.errors import SpikeportError
from toolkit.lowering.bound_accumulators import proved_bounds
from toolkit.lowering.build_graph import build_graph
from toolkit.lowering.passes import Measured, State, Theta, refuse_unless_same
from toolkit.lowering.round_weights import rounded
from toolkit.models.layers import Integers

MARGIN = 1.25
"""Default. No guarantee, the host checks every input: it sets how often one is refused (docs/lowering.md: of three
students, 0 to 0.23 % of unseen sentences exceed 1.25 times what 200 others reached in some layer)."""

Chunks = Callable[[], Iterable[NDArray[np.bool_]]]
"""Gives the input spikes of all sentences, some at a time, (S, T, D + 1, N); called once a round."""


@dataclass(frozen=True)
class Calibrate:
    """Run the integer network on data and keep each layer's extreme currents.

    While trying, currents are summed and membranes kept without a chip's limits, so that no layer is measured
    behind one that wraps; the last run, whose extremes are kept, is in Loihi 2's own integers.

    Requires: thresholds; a margin of at least 1. Ensures: every neuron layer measured; with ``adjust``, every
    layer that has a threshold is proved in range or measured in range, the margin included, or its threshold is 1.

    Attributes:
        chunks: input spikes.
        margin: factor on what was measured.
        adjust: lower thresholds (a student in float form); else only measure.
    """

    chunks: Chunks
    margin: float = MARGIN
    adjust: bool = True
    name = "calibrate"

    def requires(self, state: State) -> None:
        refuse_unless_same("threshold", set(state.thetas), set(state.affine))
        if not (math.isfinite(self.margin) and self.margin >= 1):
            raise SpikeportError(f"margin {self.margin:g}: below what was measured, needs at least 1; choose 1.25")

    @torch.no_grad()
    def run(self, state: State) -> State:
        while self.adjust:
            integers = rounded(state)
            measured = self._measure(state, integers, "real")
            thetas = self._lowered(state, integers, measured)
            if thetas == state.thetas:
                break
            state = replace(state, thetas=thetas)
        return replace(state, measured=self._measure(state, rounded(state), "loihi2"))

    def ensures(self, state: State) -> None:
        measured = state.measured
        if measured is None or not measured.samples:
            raise SpikeportError("data: 0 sentences run, needs at least 1; give sentences")
        refuse_unless_same("measured current", set(measured.currents) & set(state.affine), _firing(state))
        if self.adjust and (left := self._lowered(state, rounded(state), measured)) != state.thetas:
            name = next(name for name, theta in left.items() if theta != state.thetas[name])
            raise SpikeportError(f"layer {name}: threshold {state.thetas[name].value} is too high; calibrate again")

    def _lowered(self, state: State, integers: dict[str, Integers], measured: Measured) -> dict[str, Theta]:
        """Thresholds, smaller where a current is neither proved nor measured in range."""
        bounds, limits = proved_bounds(state, integers)
        thetas = dict(state.thetas)
        for name in _firing(state):
            theta, limit = thetas[name], limits[name]
            reach = self.margin * max(-measured.currents[name][0], measured.currents[name][1])
            if min(bounds[name].magnitude, reach) <= limit or theta.value == 1:
                continue
            fitting = min(math.floor(theta.value * limit / reach), theta.value - 1)
            proved = min(theta.by_proof or 1, theta.value - 1)  # no need to go below what is proved
            thetas[name] = replace(theta, value=max(fitting, proved, 1))
        return thetas

    def _measure(self, state: State, integers: dict[str, Integers], arithmetic: str) -> Measured:
        graph = build_graph(state.config, integers, state.tokens)
        currents, samples = measure(graph, self.chunks(), arithmetic)
        return Measured(currents, self.margin, samples)


def measure(
    graph: Graph, chunks: Iterable[NDArray[np.bool_]], arithmetic: str = "loihi2"
) -> tuple[dict[str, tuple[int, int]], int]:
    """Least and largest current of every neuron layer, in order of execution, and the number of inputs."""
    found: dict[str, tuple[int, int]] = {}
    samples = 0
    for spikes in chunks:
        result = simulate(graph, spikes, arithmetic=arithmetic, currents=True)
        samples += len(spikes)
        for name, extremes in result.currents.items():
            low, high = found.get(name, (0, 0))
            found[name] = (min(low, int(extremes[:, 0].min())), max(high, int(extremes[:, 1].max())))
    return found, samples


def _firing(state: State) -> set[str]:
    return {name for name, theta in state.thetas.items() if theta.by_proof is not None}
