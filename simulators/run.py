"""Execution of a graph, layer by layer, all T steps of a batch at once: prepared once, run often; or both at once."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from exporters.nir.graph import Graph, Input
from simulators.activity_of import ActivityReader
from simulators.choose import choose
from simulators.engine import Engine
from simulators.errors import GraphSimulationError
from simulators.labels import label
from simulators.plan import plan
from simulators.result import SimulationResult

NEURON_PATHS = ("float32", "integer", "real")


class Simulator:
    """A graph made ready to run for a number of steps; :func:`simulate` makes one, runs it and lets it go.

    Preparing a graph takes tens of milliseconds (ranges, checks, weights laid out, products timed): keep one where
    inputs come one after the other. Not for several threads at once.
    """

    def __init__(
        self,
        graph: Graph,
        steps: int,
        *,
        arithmetic: str = "loihi2",
        batch_size: int = 64,
        device: torch.device | str | None = None,
        record: bool = False,
        currents: bool = False,
        count_updates: bool = False,
        expand_attention: bool = False,
        engine: str = "auto",
        graphs: bool | None = None,
        memory_limit: int | None = None,
        threads: int | None = None,
    ) -> None:
        """All arguments but ``steps``, which is T, are those of :func:`simulate`.

        Raises:
            GraphSimulationError: for a graph that cannot be run, or not this way.
        """
        if batch_size < 1:
            raise GraphSimulationError(f"batch_size {batch_size}: at least 1 is needed; choose a larger one")
        where = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.graph, self.steps = graph, steps
        self.plan = plan(graph, steps, arithmetic, expand_attention)
        counts = {"record": record, "currents": currents, "count_updates": count_updates}
        self.engine = choose(self.plan, engine, where, threads, graphs, **counts)
        self.reader = ActivityReader(self.plan)
        self.batch_size = _fitting(self.engine, batch_size, memory_limit)

    @torch.no_grad()
    def run(
        self, inputs: Tensor | NDArray[np.bool_], progress: Callable[[int, int], None] | None = None
    ) -> SimulationResult:
        """Run input spikes, bool (S, T, C, N); what it counts is of these alone.

        Raises:
            GraphSimulationError: for inputs of another shape or type.
        """
        spikes, size = _checked(self.graph, inputs), self.batch_size
        if spikes.shape[1] != self.steps:
            raise GraphSimulationError(f"inputs of {spikes.shape[1]} steps: prepared for {self.steps}; prepare anew")
        self.engine.reset()
        outcomes = []
        for batch in self.engine.batches(spikes, size):
            outcomes.append(self.engine.run(batch))
            if progress:
                progress(min(len(outcomes) * size, len(spikes)), len(spikes))
        return SimulationResult(
            torch.cat([o.logits for o in outcomes]),
            partial(self.reader.activity, self.engine.tallies(), len(spikes)),
            {label(op.name): op.path for op in self.plan.operations if op.path in NEURON_PATHS},
            {name: torch.cat([o.spikes[name] for o in outcomes]) for name in outcomes[0].spikes},
            {name: torch.cat([o.currents[name] for o in outcomes]) for name in outcomes[0].currents},
            self.engine.trace(),
        )

    def close(self) -> None:
        """Let threads go."""
        self.engine.close()

    def __enter__(self) -> Simulator:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


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
    engine: str = "auto",
    graphs: bool | None = None,
    memory_limit: int | None = None,
    threads: int | None = None,
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
        engine: ``"compiled"``, the fast one (CPU, ``loihi2``, no ``count_updates``), ``"tensor"``, torch's operators
            on any device, or ``"auto"``, the first that can. They give the same result.
        graphs: on CUDA, capture each shape of batch once as a CUDA graph and replay it; by default where that is
            measured to be faster. No effect on a CPU, nor on any result.
        memory_limit: bytes that the signals of the samples held at a time may take; fewer are held then.
        threads: of the compiled engine; as many as torch uses by default.
        progress: called with samples done and samples in all after each batch.

    Raises:
        GraphSimulationError: for a graph or inputs that cannot be run.
    """
    spikes = _checked(graph, inputs)
    simulator = Simulator(
        graph,
        spikes.shape[1],
        arithmetic=arithmetic,
        batch_size=batch_size,
        device=device,
        record=record,
        currents=currents,
        count_updates=count_updates,
        expand_attention=expand_attention,
        engine=engine,
        graphs=graphs,
        memory_limit=memory_limit,
        threads=threads,
    )
    with simulator:
        return simulator.run(spikes, progress)


def _fitting(engine: Engine, batch_size: int, limit: int | None) -> int:
    """Samples held at a time under a memory limit.

    Raises:
        GraphSimulationError: where not even one fits.
    """
    if limit is None:
        return batch_size
    if engine.sample_bytes > limit:
        raise GraphSimulationError(
            f"memory_limit {limit}: one sample's signals take {engine.sample_bytes} bytes; allow at least that"
        )
    return min(batch_size, limit // engine.sample_bytes)


def _checked(graph: Graph, inputs: Tensor | NDArray[np.bool_]) -> Tensor:
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
    return spikes
