"""Activity by layer: a neuron population with the synapses that feed it, as chips are loaded."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from math import prod

from simulators.activity import SUMMED, Activity, NodeActivity
from simulators.once import once

NUMBERS = ("neurons", "weights", "synapses", *SUMMED)


class EstimateError(ValueError):
    """An activity or a profile that cannot be placed or priced: object, value, limit, next step."""


@dataclass(frozen=True)
class Layer:
    """One population and its incoming synapses.

    Attributes:
        name: the neuron node's name, or the owner of synapses that feed no neuron (a readout).
        neuron: its counts, None for a readout or an attention.
        attention: counts of an attention node, None otherwise.
        synapses: the synapse nodes ``name.weight``, ``name.bias``, ...
        runs: samples * steps of the activity.
        tokens: N.
    """

    name: str
    runs: int
    tokens: int
    neuron: NodeActivity | None = None
    attention: NodeActivity | None = None
    synapses: list[NodeActivity] = field(default_factory=list)

    @property
    def neurons(self) -> int:
        """Mapped neurons, padding included."""
        return self.neuron.neurons if self.neuron else 0

    @property
    def products(self) -> int:
        """Activation-by-activation products per step of an attention: one product neuron each."""
        if self.attention is None:
            return 0
        return -(-self.attention.dense_macs // self.runs)

    @property
    def events(self) -> int:
        """Synaptic events of the whole run over non-zero weights."""
        return sum(node.synops for node in self.synapses)

    def walked(self, node: NodeActivity) -> float:
        """Events of one synapse node if the zeros of its matrix are stored and walked too."""
        if not node.weights or not node.dense_macs or node.positions:
            return float(node.synops)
        return node.synops * self._matrix(node) / node.weights

    def stored(self, node: NodeActivity, dense: bool) -> int:
        """Synapses of one node in memory, one copy per token."""
        if dense and node.dense_macs:
            return node.dense_macs // self.runs
        return node.synapses

    def fan_in(self, node: NodeActivity) -> float | None:
        """Source neurons per token of one synapse node; None where the outputs are not counted (a readout)."""
        if not self.neurons or not node.dense_macs:
            return None
        return node.dense_macs / (self.runs * self.neurons) / (node.window * self._inside(node))

    def axons(self, node: NodeActivity) -> int:
        """Input lists of one synapse node, one per source neuron; 0 where unknown."""
        return node.axons or round((self.fan_in(node) or 0.0) * self.tokens)

    @cached_property
    def input_axons(self) -> int:
        """Input lists that the layer needs."""
        return sum(self.axons(node) for node in self.synapses)

    def spikes_in(self, node: NodeActivity) -> float | None:
        """Spikes of the whole run that enter one synapse node; None where the fan-out is unknown.

        A spike over a matrix with ``weights`` non-zero entries and ``fan_in`` inputs makes
        ``weights / fan_in`` events on average over the slots; of a window, fewer near its border.
        """
        if node.positions:
            return float(node.messages)
        inputs = self.fan_in(node)
        if inputs is None or not node.weights:
            return None
        return node.synops * inputs / (node.weights * self._inside(node))

    def _inside(self, node: NodeActivity) -> float:
        """Share of all tokens' windows that lies within the slots; 1 for a token-wise map."""
        pairs = sum(max(self.tokens - ahead, 0) for ahead in range(node.window))
        return pairs / (node.window * self.tokens)

    def _matrix(self, node: NodeActivity) -> float:
        return node.dense_macs / (self.runs * self.tokens * self._inside(node))


@once
def layers_of(activity: Activity) -> list[Layer]:
    """Layers in topological order. Raises EstimateError for counts that cannot be."""
    _check(activity)
    runs = activity.samples * activity.steps
    layers: dict[str, Layer] = {}
    for node in activity.nodes:
        if node.kind == "synapse":
            owner = node.name.rpartition(".")[0] or node.name
            layers.setdefault(owner, Layer(owner, runs, activity.tokens)).synapses.append(node)
            continue
        key = node.name if node.kind == "neuron" else f"{node.name} (attention)"
        known = layers.get(key, Layer(key, runs, activity.tokens))
        neuron, attention = (node, None) if node.kind == "neuron" else (None, node)
        layers[key] = Layer(key, runs, activity.tokens, neuron, attention, known.synapses)
    return list(layers.values())


def _check(activity: Activity) -> None:
    sizes = {"samples": activity.samples, "steps": activity.steps, "tokens": activity.tokens}
    if prod(sizes.values()) <= 0 or not activity.nodes:
        shown = ", ".join(f"{name} {value}" for name, value in sizes.items())
        raise EstimateError(f"activity: {shown}, {len(activity.nodes)} nodes; each must be at least 1; run a sample")
    for node in activity.nodes:
        if node.kind not in ("neuron", "synapse", "attention"):
            raise EstimateError(
                f"activity node {node.name}: kind {node.kind!r} is unknown; use neuron, synapse, attention"
            )
        for name in NUMBERS:
            if (value := getattr(node, name)) < 0:
                raise EstimateError(f"activity node {node.name}: {name} {value} is negative; count the run again")
