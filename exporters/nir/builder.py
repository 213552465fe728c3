"""Grow a profile-conforming graph node by node: names, joins and layouts come out right by construction."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from exporters.nir.errors import GraphError
from exporters.nir.graph import TIE_MARGIN, Attention, Graph, Input, Neuron, Node, Output, Pool, TokenLinear

GATE_TAU_STEPS = 1.00001  # SpikingJelly refuses tau = dt, so a gate forgets all but 1e-5
JUNCTION = Pool(kernel=1, padding=0)  # average over one token: an exact identity in every reader


class GraphBuilder:
    """Collects nodes and edges; every method returns the name of the node that carries the result."""

    def __init__(self, tokens: int, digits: int = 3) -> None:
        """``digits`` is the width of the number in a node's name: alphabetical order is then topological."""
        self.tokens, self.digits = tokens, digits
        self.nodes: dict[str, Node] = {}
        self.edges: list[tuple[str, str]] = []

    def input(self, channels: int) -> str:
        """The entry, (channels, 1, N)."""
        return self._add("input", Input((channels, 1, self.tokens)))

    def linear(self, layer: str, weight: NDArray[np.float32], source: str, window: int = 1) -> str:
        """Linear map with the matrix ``weight`` (out, window * in) on each token and the next ones."""
        matrix = np.ascontiguousarray(weight, dtype=np.float32)
        node = TokenLinear(matrix, np.zeros(len(matrix), np.float32), self.tokens, window)
        return self._add(layer, node, source)

    def neuron(self, layer: str, channels: int, theta: int, *sources: str) -> str:
        """The student's neuron, tau = 2 steps, firing at the integer threshold ``theta`` or above."""
        stored = float(np.float32(theta * (1.0 - TIE_MARGIN)))
        return self._add(layer, Neuron((channels, 1, self.tokens), 2.0, stored), *sources)

    def gate(self, layer: str, channels: int, threshold: float, *sources: str) -> str:
        """A memoryless neuron, firing where the sum of its inputs exceeds a half-integer threshold."""
        node = Neuron((channels, 1, self.tokens), GATE_TAU_STEPS, float(np.float32(threshold)))
        return self._add(layer, node, *sources)

    def token_sum(self, layer: str, source: str) -> str:
        """Sum over all tokens, sent to every token, divided by ``2N - 1``."""
        return self._add(layer, Pool(2 * self.tokens - 1, self.tokens - 1), source)

    def junction(self, layer: str, first: str, second: str) -> str:
        """Sum of two signals."""
        return self._add(layer, JUNCTION, first, second)

    def attention(self, layer: str, node: Attention, source: str) -> str:
        """An attention over packed channels."""
        return self._add(layer, node, source)

    def pack(self, layer: str, sources: list[tuple[str, str, int]], channels: int) -> str:
        """Lay several signals side by side in the channel axis.

        Args:
            sources: (suffix, node, number of its leading channels to take), in order.
            channels: channels of the result.
        """
        packed, first = "", 0
        for position, (suffix, source, width) in enumerate(sources):
            weight = np.zeros((channels, self._channels(source)), np.float32)
            weight[first + np.arange(width), np.arange(width)] = 1.0
            part = self.linear(f"{layer}.pack_{suffix}", weight, source)
            packed = self.junction(f"{layer}.join_{position}", packed, part) if packed else part
            first += width
        return packed

    def finish(self, source: str, metadata: dict[str, object]) -> Graph:
        """Close the graph with its Output."""
        self._add("output", Output((self._channels(source), 1, self.tokens)), source)
        return Graph(self.nodes, self.edges, metadata)

    def _channels(self, name: str) -> int:
        node = self.nodes[name]
        if isinstance(node, TokenLinear):
            return len(node.weight)
        if isinstance(node, Attention):
            return node.width
        if isinstance(node, Pool):
            return self._channels(next(a for a, b in self.edges if b == name))
        return node.shape[0]

    def _add(self, layer: str, node: Node, *sources: str) -> str:
        if len(set(sources)) != len(sources) or len(sources) > 2:
            raise GraphError(f"{layer}: edges from {sources}, a join takes at most 2 different ones; chain junctions")
        name = f"n{len(self.nodes):0{self.digits}d}_{layer}"
        self.nodes[name] = node
        self.edges += [(source, name) for source in sources]
        return name
