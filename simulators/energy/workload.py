"""What one inference does, in the units in which chips are priced."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from hw_profiles import Interval, Profile
from simulators.activity import Activity, NodeActivity
from simulators.layers import Layer, layers_of
from simulators.placement import LayerPlacement, Placement, cores_per_spike


@dataclass(frozen=True)
class Workload:
    """Means per inference.

    Attributes:
        spikes: of all spiking nodes; neuron_spikes: without those inside attention nodes, as are updates.
        synops: synaptic events over non-zero weights, attention apart.
        walked: the same if stored zeros are walked too.
        events: events by the encoding of the layers' synapses: ``dense`` walks the zeros.
        messages: spike messages between cores. Low: one per spike into a layer; nominal: one per
            core that the tokens which it reaches span; high: as nominal, where the fan-out of a readout is
            unknown at most one per event.
        hops: tiles crossed by all messages, east-west and north-south; None where the chip has no mesh.
        crossing: messages from one chip to another.
        named: counts that a profile's unpriced terms refer to, see ``hw_profiles.quantities.COUNTS``.
    """

    steps: int
    neurons: int
    spikes: float
    neuron_spikes: float
    synops: float
    walked: float
    events: dict[str, float]
    updates_active: float
    updates_idle: float
    messages: Interval
    hops: tuple[Interval | None, Interval | None]
    crossing: Interval
    named: dict[str, float]
    readouts: tuple[str, ...]


def workload_of(activity: Activity, placement: Placement, profile: Profile, fill_steps: int) -> Workload:
    """Workload per inference; ``fill_steps`` further steps update every neuron once more, idle."""
    layers, samples = layers_of(activity), activity.samples
    neurons = sum(layer.neurons for layer in layers)
    synapses = [(layer, node) for layer in layers for node in layer.synapses]
    messages = _messages(layers, placement) * (1.0 / samples)
    crossing = messages if placement.chips > 1 else Interval.point(0.0)
    populations = [layer.neuron for layer in layers if layer.neuron]
    attention = [layer.attention for layer in layers if layer.attention]
    synops = sum(node.synops for _, node in synapses) / samples
    return Workload(
        steps=activity.steps + fill_steps,
        neurons=neurons,
        spikes=activity.spikes_per_inference,
        neuron_spikes=sum(node.spikes for node in populations) / samples,
        synops=synops,
        walked=sum(layer.walked(node) for layer, node in synapses) / samples,
        events=_events(layers, placement, profile, samples),
        updates_active=sum(node.updates_active for node in populations) / samples,
        updates_idle=sum(node.updates_idle for node in populations) / samples + neurons * fill_steps,
        messages=messages,
        hops=(_hops(messages, profile, "mesh_columns"), _hops(messages, profile, "mesh_rows")),
        crossing=crossing,
        named={
            "steps": float(activity.steps + fill_steps),
            "neurons": float(neurons),
            "synapses": float(sum(node.synapses for _, node in synapses)),
            "synops": synops,
            "injected_spikes": activity.input_spikes / samples,
            "host_lookups": activity.host_lookups / samples,
            "attention": sum(node.synops or node.dense_macs for node in attention) / samples,
            "messages_between_chips": crossing.high or 0.0,
        },
        readouts=tuple(layer.name for layer in layers if layer.synapses and not layer.neuron),
    )


def encoding_of(placed: LayerPlacement | None, profile: Profile) -> str:
    """How a layer's synapses are stored: as placed, else as the chip does."""
    return getattr(placed, "encoding", "") or profile.synapse_format


def messages_into(layer: Layer, node: NodeActivity) -> float | None:
    """Spike messages of the whole run that enter a synapse node, as counted, else from its events."""
    return float(node.messages) if node.messages else layer.spikes_in(node)


def _events(layers: list[Layer], placement: Placement, profile: Profile, samples: int) -> dict[str, float]:
    placed = {layer.name: layer for layer in placement.layers}
    found: Counter[str] = Counter()
    for layer in layers:
        encoding = encoding_of(placed.get(layer.name), profile)
        for node in layer.synapses:
            found[encoding] += layer.walked(node) if encoding == "dense" else node.synops  # type: ignore[assignment]
    return {encoding: events / samples for encoding, events in found.items()}


def _messages(layers: list[Layer], placement: Placement) -> Interval:
    placed = {layer.name: layer for layer in placement.layers}
    low = nominal = high = 0.0
    for layer in layers:
        own = placed.get(layer.name)
        for node in layer.synapses:
            spread = cores_per_spike(own, layer.tokens, node.window) if own else 1
            spikes = messages_into(layer, node)
            low += spikes or 0.0
            nominal += (spikes or 0.0) * spread
            high += node.synops if spikes is None else spikes * spread
    return Interval(low, nominal, high)


def _hops(messages: Interval, profile: Profile, axis: str) -> Interval | None:
    """Tiles crossed on one axis of a mesh of n: none at least, end to end at most.

    Nominal is the mean distance of two tiles drawn at random, (n^2 - 1) / (3 n).
    """
    tiles = profile.limit(axis)
    return None if not tiles else Interval(0.0, (tiles**2 - 1) / (3 * tiles), tiles - 1).times(messages)
