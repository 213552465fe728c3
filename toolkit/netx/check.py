"""A ``.net`` file run by lava-dl's own reader, compared spike for spike with our simulator on the whole graph."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exporters.lava.netx import run_net
from exporters.lava_dl import Net, net_inputs
from exporters.nir.graph import Attention, Graph, Input, Neuron, Pool, layer_name
from simulators import SimulationResult, simulate
from toolkit.errors import SpikeportError


@dataclass(frozen=True)
class LayerCheck:
    """Of one layer: values compared, and how many of them differ."""

    name: str
    compared: int
    mismatches: int


@dataclass(frozen=True)
class NetCheck:
    """What a comparison found, and what it was made with."""

    samples: int
    layers: list[LayerCheck]
    versions: dict[str, str]
    seconds: float

    @property
    def mismatches(self) -> int:
        """Over all layers."""
        return sum(layer.mismatches for layer in self.layers)


def check_net(
    graph: Graph,
    net: Net,
    path: Path,
    spikes: NDArray[np.bool_],
    python: Path | None = None,
    report: Callable[[str], None] | None = None,
) -> NetCheck:
    """Run ``spikes`` through the whole graph here, and what then enters the chain through the file in Lava.

    Args:
        graph: integer graph that the file was written of.
        net: what was written.
        path: the file.
        spikes: input of the graph, bool (S, T, C, N), its last channel the valid train.
        python: interpreter with lava-dl; by default Lava's.
        report: gets progress lines.

    Raises:
        SpikeportError: for inputs without samples.
        GraphSimulationError: for inputs of another shape.
        LavaNotInstalled, LavaRunError: as :func:`exporters.lava.netx.run_net`.
    """
    if not len(spikes):
        raise SpikeportError("inputs: no samples, needs at least 1; encode a sentence first")
    here = simulate(graph, spikes, record=True)
    inputs = net_inputs(net, entry_messages(graph, net.chain.entry, spikes, here), spikes[:, :, -1])
    there = run_net(
        path,
        inputs,
        message_bits=net.message_bits,
        sums=net.chain.layers[-1].threshold is None,
        python=python,
        report=report,
    )
    layers = []
    for index, (layer, source) in enumerate(zip(net.layers, net.chain.layers, strict=True)):
        if source.threshold is None:
            assert there.sums is not None
            found: NDArray[Any] = there.sums
            wanted: NDArray[Any] = here.logits.numpy()
        else:
            found, wanted = there.spikes[index], here.spikes[layer_name(source.node)].numpy()
        found = found[:, :, : layer.channels].reshape(wanted.shape)
        layers.append(LayerCheck(layer.name, wanted.size, int((found != wanted).sum())))
    return NetCheck(len(spikes), layers, there.versions, there.seconds)


def entry_messages(graph: Graph, entry: str, spikes: NDArray[np.bool_], run: SimulationResult) -> NDArray[np.int32]:
    """What node ``entry`` sends, (S, T, C, N): its spikes, or the sum of those that it joins.

    Raises:
        SpikeportError: if the node sends something else.
    """
    node = graph.nodes[entry]
    if isinstance(node, Input):
        return spikes.astype(np.int32)
    if isinstance(node, Neuron | Attention) and layer_name(entry) in run.spikes:
        return run.spikes[layer_name(entry)].numpy().astype(np.int32)
    if isinstance(node, Pool):
        parts = [entry_messages(graph, source, spikes, run) for source in graph.sources(entry)]
        return np.sum(parts, axis=0, dtype=np.int32)
    raise SpikeportError(
        f"{entry}: a {type(node).__name__} whose messages are not recorded; start behind another layer"
    )
