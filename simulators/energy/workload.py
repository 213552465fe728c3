"""What one inference does, in the units in which chips are priced."""

from __future__ import annotations

from dataclasses import dataclass

from hw_profiles import Interval
from simulators.activity import Activity
from simulators.layers import Layer, layers_of
from simulators.placement import Placement, cores_per_spike


@dataclass(frozen=True)
class Workload:
    """Means per inference.

    Attributes:
        spikes: of all spiking nodes; neuron_spikes: without those inside attention nodes, as are updates.
        synops: synaptic events over non-zero weights, attention apart.
        walked: the same if stored zeros are walked too.
        messages: spike messages between cores. Low: one per spike into a layer; nominal: one per
            core that the tokens which it reaches span; high: as nominal, where the fan-out of a readout is
            unknown at most one per event.
        named: counts that a profile's unpriced terms refer to, see ``hw_profiles.quantities.COUNTS``.
    """

    steps: int
    neurons: int
    spikes: float
    neuron_spikes: float
    synops: float
    walked: float
    updates_active: float
    updates_idle: float
    messages: Interval
    named: dict[str, float]
    readouts: tuple[str, ...]


def workload_of(activity: Activity, placement: Placement, fill_steps: int) -> Workload:
    """Workload per inference; ``fill_steps`` further steps update every neuron once more, idle."""
    layers = layers_of(activity)
    neurons = sum(layer.neurons for layer in layers)
    synapses = [(layer, node) for layer in layers for node in layer.synapses]
    messages = _messages(layers, placement) * (1.0 / activity.samples)
    populations = [layer.neuron for layer in layers if layer.neuron]
    attention = [layer.attention for layer in layers if layer.attention]
    return Workload(
        steps=activity.steps + fill_steps,
        neurons=neurons,
        spikes=activity.spikes_per_inference,
        neuron_spikes=sum(node.spikes for node in populations) / activity.samples,
        synops=sum(node.synops for _, node in synapses) / activity.samples,
        walked=sum(layer.walked(node) for layer, node in synapses) / activity.samples,
        updates_active=sum(node.updates_active for node in populations) / activity.samples,
        updates_idle=sum(node.updates_idle for node in populations) / activity.samples + neurons * fill_steps,
        messages=messages,
        named={
            "steps": float(activity.steps + fill_steps),
            "neurons": float(neurons),
            "synapses": float(sum(node.synapses for _, node in synapses)),
            "synops": sum(node.synops for _, node in synapses) / activity.samples,
            "injected_spikes": activity.input_spikes / activity.samples,
            "host_lookups": activity.host_lookups / activity.samples,
            "attention": sum(node.synops or node.dense_macs for node in attention) / activity.samples,
            "messages_between_chips": (messages.high or 0.0) if placement.chips > 1 else 0.0,
        },
        readouts=tuple(layer.name for layer in layers if layer.synapses and not layer.neuron),
    )


def _messages(layers: list[Layer], placement: Placement) -> Interval:
    placed = {layer.name: layer for layer in placement.layers}
    low = nominal = high = 0.0
    for layer in layers:
        own = placed.get(layer.name)
        for node in layer.synapses:
            spread = cores_per_spike(own, layer.tokens, node.window) if own else 1
            spikes = layer.spikes_in(node)
            low += spikes or 0.0
            nominal += (spikes or 0.0) * spread
            high += node.synops if spikes is None else spikes * spread
    return Interval(low, nominal, high)
