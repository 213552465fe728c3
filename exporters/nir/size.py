"""What a body of gates costs, counted or foretold."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from exporters.nir.graph import Graph, Neuron, TokenLinear


@dataclass(frozen=True)
class BodySize:
    """Size of an attention body.

    Attributes:
        gates: neurons, over all channels and tokens.
        weights: entries of all matrices, zeros included, as a stock reader holds and multiplies them.
        nodes: nodes of the graph.
    """

    gates: int
    weights: int
    nodes: int

    def times(self, layers: int) -> BodySize:
        """The size of that many of them."""
        return BodySize(layers * self.gates, layers * self.weights, layers * self.nodes)


def body_size(body: Graph) -> BodySize:
    """Count a body."""
    nodes = body.nodes.values()
    return BodySize(
        sum(prod(node.shape) for node in nodes if isinstance(node, Neuron)),
        sum(node.weight.size for node in nodes if isinstance(node, TokenLinear)),
        len(body.nodes),
    )
