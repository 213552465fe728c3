"""What placement needs to know of a layer: tokens, channels, and the synapses of one token."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import ceil

from simulators.activity import Activity, NodeActivity
from simulators.layers import Layer, layers_of
from simulators.once import once


@dataclass(frozen=True)
class Entry:
    """Synapses of one node, per token.

    Attributes:
        node: its name.
        lists: source neurons of one token, each with an input list of its own; those of several sources that a
            residual sum joins share the lists, for their weights are the same.
        window: tokens that one output sees.
        synapses: non-zero synapses into the outputs of one token.
        outputs: of a list, synapses of one token's list in one of the tokens that see it, on average.
        total: synapses of all tokens; of a window fewer than as many times as in one, for the border has fewer.
        graded: bits that one message needs; 1 for spikes.
        sources: (sender, messages of the whole run); ``input`` for the host.
    """

    node: str
    lists: int
    window: int
    synapses: int
    outputs: float
    total: int
    graded: int
    sources: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class LayerShape:
    """One layer.

    Attributes:
        channels: outputs of one token; of synapses into unknown outputs one for each synapse.
        neurons: of one channel and token: 1, or 0 where outputs are unknown.
        synapses: non-zero ones of the whole layer, a copy for each token.
        refused: it is a product of two activations, which no core of static weights runs.
    """

    name: str
    tokens: int
    channels: int
    neurons: int
    entries: tuple[Entry, ...]
    synapses: int = 0
    refused: bool = False

    @property
    def size(self) -> int:
        """Neurons of the layer."""
        return self.tokens * self.channels * self.neurons


@once
def shapes_of(activity: Activity) -> tuple[LayerShape, ...]:
    """Shapes in topological order, kept for the next profile. Raises EstimateError for counts that cannot be."""
    nodes = {node.name: node for node in activity.nodes}
    return tuple(_shape(layer, nodes) for layer in layers_of(activity))


def _shape(layer: Layer, nodes: Mapping[str, NodeActivity]) -> LayerShape:
    if layer.attention is not None:
        return LayerShape(layer.name, layer.tokens, layer.attention.neurons // layer.tokens, 1, (), refused=True)
    lists = {node.name: _lists(layer, node, nodes) for node in layer.synapses}
    channels, neurons = _channels(layer, lists)
    entries = tuple(_entry(layer, node, lists[node.name], channels, nodes) for node in layer.synapses)
    return LayerShape(
        layer.name, layer.tokens, channels, neurons, entries, sum(node.synapses for node in layer.synapses)
    )


def _lists(layer: Layer, node: NodeActivity, nodes: Mapping[str, NodeActivity]) -> int:
    """Source neurons of one token: of the widest sender where the senders are known, otherwise from the matrix."""
    senders = [nodes[name] for name in node.sources if name in nodes and nodes[name].neurons]
    if senders and len(senders) == len(node.sources):
        return ceil(max(sender.neurons for sender in senders) / layer.tokens)
    return ceil(layer.fan_in(node) or 0.0)


def _channels(layer: Layer, lists: Mapping[str, int]) -> tuple[int, int]:
    if layer.neurons:
        return ceil(layer.neurons / layer.tokens), 1
    for node in layer.synapses:  # a readout: its outputs follow from a matrix whose inputs are known
        if lists[node.name] and node.dense_macs:
            return ceil(node.dense_macs / (layer.runs * layer.tokens * node.window * lists[node.name])), 1
    return max(1, ceil(sum(node.synapses for node in layer.synapses) / layer.tokens)), 0


def _entry(layer: Layer, node: NodeActivity, lists: int, channels: int, nodes: Mapping[str, NodeActivity]) -> Entry:
    # of a window, tokens near the border have fewer synapses: a token in the middle counts
    synapses = max(node.weights, ceil(node.synapses / layer.tokens)) if node.window > 1 else node.synapses
    synapses = synapses if node.window > 1 else ceil(synapses / layer.tokens)
    outputs = synapses / (lists * min(node.window, layer.tokens)) if lists else float(channels)
    return Entry(node.name, lists, node.window, synapses, outputs, node.synapses, _bits(node), _sources(node, nodes))


def _bits(node: NodeActivity) -> int:
    """Bits of a message: several senders send spikes each on an edge of its own, one graded sender sends values."""
    if not node.macs or len(node.sources) != 1:
        return 1
    return max(2, int(node.synops / node.macs).bit_length())


def _sources(node: NodeActivity, nodes: Mapping[str, NodeActivity]) -> tuple[tuple[str, int], ...]:
    if len(node.sources) == 1:
        return ((node.sources[0], node.messages),)
    return tuple((name, nodes[name].messages if name in nodes else 0) for name in node.sources)


def with_tokens(shape: LayerShape, tokens: int) -> LayerShape:
    """The layer of a shorter sentence; what a token has stays, also where it depends on the number of tokens."""
    entries = tuple(replace(entry, total=entry.synapses * tokens) for entry in shape.entries)
    return replace(shape, tokens=tokens, entries=entries)


def with_width(shape: LayerShape, width: int, whole: int) -> LayerShape:
    """The layer of a model ``width / whole`` as wide: channels and inputs shrink alike, synapses by both."""

    def shrunk(count: int) -> int:
        return -(-count * width // whole)

    def entry(old: Entry) -> Entry:
        lists = shrunk(old.lists) if old.lists > 2 else old.lists  # a bias keeps its few lists
        synapses = shrunk(old.synapses) if lists == old.lists else shrunk(shrunk(old.synapses))
        outputs, total = old.outputs * width / whole, synapses * shape.tokens
        return replace(old, lists=lists, synapses=synapses, outputs=outputs, total=total)

    return replace(shape, channels=shrunk(shape.channels), entries=tuple(map(entry, shape.entries)))
