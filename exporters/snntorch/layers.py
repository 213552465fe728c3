"""Which nodes of a graph are the classifier's own, to be trained, and the kernels in which the file holds them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from exporters.nir.graph import Attention, Graph, Neuron, Pool, TokenLinear, layer_name
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


def largest_message(graph: Graph, node: str) -> int:
    """The largest integer that a node sends per channel, token and step: 1 for spikes, sums of them at a junction.

    Raises:
        SnnTorchExportError: a node that neither fires nor joins two that do.
    """
    content = graph.nodes[node]
    if isinstance(content, Pool) and content.kernel == 1:
        return sum(largest_message(graph, source) for source in graph.sources(node))
    if isinstance(content, Neuron) or (isinstance(content, Attention) and content.kind == "sdsa"):
        return 1
    raise SnnTorchExportError(
        f"node {node!r}: {type(content).__name__} before a trained layer, needs spikes or sums of them; export the "
        "bundle again"
    )


def kernel_shape(node: TokenLinear) -> tuple[int, int, int, int]:
    """Shape of a node's weight in the file and in snnTorch: (out, in, 1, 2w - 1)."""
    return (len(node.weight), node.inputs, 1, 2 * node.window - 1)


def kernel(node: TokenLinear) -> NDArray[np.float32]:
    """A node's weight in that shape, its look-back half zero."""
    taps = np.zeros(kernel_shape(node), np.float32)
    taps[:, :, 0, node.window - 1 :] = node.taps().transpose(1, 2, 0)
    return taps
