"""Execution of a graph, layer by layer, all T steps of a batch at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from exporters.nir.graph import Graph, Input
from simulators.activity_of import activity_of
from simulators.cuda.feed import feed
from simulators.cuda.graphs import replaying
from simulators.errors import GraphSimulationError
from simulators.labels import label
from simulators.plan import plan
from simulators.result import SimulationResult
from simulators.tensor import TensorEngine
from simulators.tensor.count import Counter

NEURON_PATHS = ("float32", "integer", "real")


@torch.no_grad()
def simulate(
    graph: Graph,
    inputs: Tensor | NDArray[np.bool_],
    *,
    arithmetic: str = "loihi2",
    batch_size: int = 64,
    device: torch.device | str | None = None,
    record: bool = False,
    currents: bool = False,
    count_updates: bool = False,
    expand_attention: bool = False,
    graphs: bool | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> SimulationResult:
    """Run input spikes through a graph.

    Args:
        graph: typed NIR graph.
        inputs: spikes, bool (S, T, C, N); each sample starts from membranes at rest.
        arithmetic: ``"loihi2"``, the integer semantics of Lava's ``fixed_pt`` models, or ``"real"``, NIR's
            equations on the stored parameters in float64.
        batch_size: samples held at a time; the result does not depend on it.
        device: CUDA where present by default, else CPU.
        record: keep the spikes of every layer.
        currents: keep the extreme input sums of every neuron layer, before any wrap: what a calibrated bound is
            taken from. A layer behind one that leaves its range has the sums that its wrapped spikes give.
        count_updates: count active updates per neuron instead of per token (a second product per layer).
        expand_attention: run attention bodies, primitive by primitive, instead of kernels (``real``).
        graphs: on CUDA, capture each shape of batch once as a CUDA graph and replay it; by default where that is
            measured to be faster. No effect on a CPU, nor on any result.
        progress: called with samples done and samples in all after each batch.

    Raises:
        GraphSimulationError: for a graph or inputs that cannot be run.
    """
    spikes = _checked(graph, inputs, batch_size)
    where = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    prepared = plan(graph, spikes.shape[1], arithmetic, expand_attention)
    run = TensorEngine(prepared, where, Counter(prepared, where, count_updates), record, currents)
    logits, recorded, sums = [], [], []
    run_batch = replaying(run, graphs)
    for start, x in zip(range(0, len(spikes), batch_size), feed(spikes, batch_size, where), strict=True):
        batch = run_batch(x)
        logits.append(batch.logits)
        recorded.append(batch.recorded)
        sums.append(batch.currents)
        if progress:
            progress(min(start + batch_size, len(spikes)), len(spikes))
    return SimulationResult(
        torch.cat(logits),
        activity_of(prepared, run.counter.tallies(), len(spikes)),
        {label(op.name): op.path for op in prepared.operations if op.path in NEURON_PATHS},
        {name: torch.cat([part[name] for part in recorded]) for name in recorded[0]},
        {name: torch.cat([part[name] for part in sums]) for name in sums[0]},
    )


def _checked(graph: Graph, inputs: Tensor | NDArray[np.bool_], batch_size: int) -> Tensor:
    spikes = torch.as_tensor(inputs)
    node = graph.nodes[graph.input]
    assert isinstance(node, Input)
    channels, _, tokens = node.shape
    if spikes.dtype != torch.bool:
        raise GraphSimulationError(f"inputs of type {spikes.dtype}: spikes are bool; compare with 0 first")
    if spikes.ndim != 4 or spikes.shape[2:] != (channels, tokens) or 0 in spikes.shape[:2]:
        raise GraphSimulationError(
            f"inputs of shape {tuple(spikes.shape)}: the graph takes (samples, steps, {channels}, {tokens}), "
            "at least one sample and step; encode the texts for this graph"
        )
    if batch_size < 1:
        raise GraphSimulationError(f"batch_size {batch_size}: at least 1 is needed; choose a larger one")
    return spikes
