"""Which nodes of a graph are the classifier's own, to be trained, and the messages that enter them."""

from __future__ import annotations

from dataclasses import dataclass

from exporters.nir.graph import Graph, TokenLinear, layer_name
from exporters.nir.signals import propagate
from exporters.snntorch.errors import SnnTorchExportError

WEIGHT, BIAS = ".weight", ".bias"  # the two linear nodes of a layer; the second reads the valid train


@dataclass(frozen=True)
class Trained:
    """The two nodes of one layer.

    Attributes:
        weight: node with the layer's weights.
        bias: node with its bias, as columns of weights from identical valid trains.
    """

    weight: str
    bias: str


def trained_layers(graph: Graph) -> dict[str, Trained]:
    """The layers whose weights are the classifier's, by name, in order.

    Raises:
        SnnTorchExportError: the graph has none, or one lacks its weight or bias node.
    """
    named = {layer_name(node): node for node, content in graph.nodes.items() if isinstance(content, TokenLinear)}
    layers = {
        name.removesuffix(suffix): None for name in named for suffix in (WEIGHT, BIAS) if name.endswith(suffix)
    }  # a dict keeps the order
    if not layers:
        raise SnnTorchExportError("graph: 0 layers with weight and bias nodes; give a bundle that spikeport wrote")
    for layer in layers:
        for part in (WEIGHT, BIAS):
            if layer + part not in named:
                raise SnnTorchExportError(f"layer {layer}: node {layer}{part} is missing; export the bundle again")
    return {layer: Trained(named[layer + WEIGHT], named[layer + BIAS]) for layer in layers}


def largest_messages(graph: Graph) -> dict[str, int]:
    """The largest integer that enters each node per channel, token and step: 1 for spikes, more for sums of them."""
    _, entering = propagate(graph, sorted(graph.nodes))  # names are in topological order
    return {name: int(signal.bound) for name, signal in entering.items()}
