"""The smallest experiment that shows a difference: one neuron of one sentence, step by step up to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exporters.nir.graph import Attention, Graph, Input, Neuron, Output, TokenLinear, integer_threshold, layer_name
from toolkit.backends.protocol import SpikeResult

Array = NDArray[Any]


def write_replay(
    path: Path, graph: Graph, inputs: NDArray[np.bool_], expected: SpikeResult, difference: dict[str, Any]
) -> None:
    """Write what enters the neuron of a difference, its weights, and what was expected and seen, as NPZ.

    The messages are those of the expected run, so a layer behind the first wrong one is replayed on right input.

    Args:
        graph: the graph that was run.
        inputs: input spikes of the one sentence, bool (T, C, N).
        expected: the reference run of that sentence alone, every layer recorded.
        difference: an entry of ``Equivalence.first_difference``.

    Arrays written: ``step``, ``token``, ``channel``, ``expected``, ``seen``; ``theta`` (-1 for the readout);
    per edge into the neuron ``edge/<node>/weight`` (in,) and ``edge/<node>/messages`` (t + 1, in), or
    ``edge/<node>/current`` (t + 1,) where no linear map is on the edge; ``membrane`` (t + 1,) before the reset.
    """
    place = {key: int(difference[key]) for key in ("step", "token", "channel", "expected", "seen")}
    node = _node_of(graph, str(difference["layer"]))
    arrays: dict[str, Array] = {key: np.array(value) for key, value in place.items()}
    signals = _Signals(graph, inputs, expected)
    until, channel, token = place["step"] + 1, place["channel"], place["token"]
    total = np.zeros(until)
    for source in _summands(graph, node):
        part = graph.nodes[source]
        if isinstance(part, TokenLinear):
            messages = signals.window(source)[:until, :, token]
            arrays[f"edge/{source}/weight"] = part.weight[channel]
            arrays[f"edge/{source}/messages"] = messages
            total += messages @ part.weight[channel]
        else:
            current = signals.of(source)[:until, channel, token]
            arrays[f"edge/{source}/current"] = current
            total += current
    kind = graph.nodes[node]
    arrays["theta"] = np.array(integer_threshold(kind.v_threshold) if isinstance(kind, Neuron) else -1)
    arrays["membrane"] = _membrane(total, int(arrays["theta"])) if isinstance(kind, Neuron) else total
    with path.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)


def _node_of(graph: Graph, layer: str) -> str:
    if layer == "readout":
        return graph.output
    named = {layer_name(name): name for name, node in graph.nodes.items() if isinstance(node, Neuron | Attention)}
    return named[layer]


def _summands(graph: Graph, name: str) -> list[str]:
    """What is added up in front of a node: its sources, junctions looked through."""
    found: list[str] = []
    for source in graph.sources(name):
        through = not isinstance(graph.nodes[source], Input | Neuron | Attention | TokenLinear)
        found += _summands(graph, source) if through else [source]
    return found


def _membrane(current: Array, theta: int) -> Array:
    """``v <- (v + I) / 2``, back to 0 at ``v >= theta``; the values before each reset."""
    v, charged = 0.0, []
    for value in current:
        v = (v + float(value)) / 2
        charged.append(v)
        v = 0.0 if v >= theta else v
    return np.array(charged)


class _Signals:
    """Signals of one sentence, (T, C, N), rebuilt from the spikes that were recorded."""

    def __init__(self, graph: Graph, inputs: NDArray[np.bool_], run: SpikeResult) -> None:
        self.graph, self.inputs, self.run = graph, inputs, run

    def of(self, name: str) -> Array:
        node = self.graph.nodes[name]
        if isinstance(node, Input):
            return self.inputs.astype(np.float64)
        if layer_name(name) in self.run.spikes and isinstance(node, Neuron | Attention):
            return self.run.spikes[layer_name(name)][0].astype(np.float64)
        if isinstance(node, TokenLinear):
            return np.einsum("oi,tin->ton", node.weight.astype(np.float64), self.window(name))
        if isinstance(node, Attention):
            return self._sums(node, self.entering(name))
        assert not isinstance(node, Output)
        return self.entering(name)

    def entering(self, name: str) -> Array:
        """The sum of the edges into a node."""
        return np.sum([self.of(source) for source in self.graph.sources(name)], axis=0)

    def window(self, name: str) -> Array:
        """What enters a linear map: each token's channels above those of the next ones, (T, window * in, N)."""
        node = self.graph.nodes[name]
        assert isinstance(node, TokenLinear)
        x = self.entering(name)
        ahead = [np.pad(x[:, :, i:], ((0, 0), (0, 0), (0, i))) for i in range(node.window)]
        return np.concatenate(ahead, axis=1)

    @staticmethod
    def _sums(node: Attention, packed: Array) -> Array:
        """Q (K^T V) per head."""
        q, k, v = (packed[:, i * node.width : (i + 1) * node.width] for i in range(3))
        q, k, v = (x.reshape(len(x), node.heads, -1, node.tokens) for x in (q, k, v))
        products = np.einsum("thcn,then->thce", k, v)
        return np.einsum("thcn,thce->then", q, products).reshape(len(packed), node.width, node.tokens)
