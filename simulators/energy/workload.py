"""What one inference does, in the units in which chips are priced."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hw_profiles import Interval, Profile
from simulators.activity import Activity
from simulators.energy.loads import Loads, loads_of
from simulators.energy.spread import encoding_of
from simulators.energy.traffic import traffic_of
from simulators.placement import LayerPlacement, Placement


@dataclass(frozen=True)
class Workload:
    """Means per inference.

    Attributes:
        spikes: of all spiking nodes; neuron_spikes: without those inside attention nodes, as are updates.
        synops: synaptic events over non-zero weights, attention apart.
        walked: the same if stored zeros are walked too.
        events: events by the encoding of the layers' synapses: ``dense`` walks the zeros.
        messages, hops, crossing: see `simulators.energy.traffic.Traffic`.
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
    hops: tuple[Interval | None, ...]
    crossing: Interval
    named: dict[str, float]
    readouts: tuple[str, ...]


def workload_of(activity: Activity, placement: Placement, profile: Profile, fill_steps: int) -> Workload:
    """Workload per inference; ``fill_steps`` further steps update every neuron once more, idle."""
    loads, samples = loads_of(activity), activity.samples
    neurons = sum(layer.neurons for layer in loads.layers)
    placed = _placed(loads, placement)
    traffic = traffic_of(loads, placed, placement, profile)
    crossing = traffic.crossing * (1.0 / samples)
    attention = [layer.attention for layer in loads.layers if layer.attention]
    synops = float(loads.events.sum()) / samples
    return Workload(
        steps=activity.steps + fill_steps,
        neurons=neurons,
        spikes=activity.spikes_per_inference,
        neuron_spikes=float(loads.spikes.sum()) / samples,
        synops=synops,
        walked=float(loads.walked.sum()) / samples,
        events=_events(loads, placed, profile, samples),
        updates_active=float(loads.active.sum()) / samples,
        updates_idle=float(loads.idle.sum()) / samples + neurons * fill_steps,
        messages=traffic.messages * (1.0 / samples),
        hops=tuple(hops and hops * (1.0 / samples) for hops in traffic.hops),
        crossing=crossing,
        named={
            "steps": float(activity.steps + fill_steps),
            "neurons": float(neurons),
            "synapses": float(sum(node.synapses for layer in loads.layers for node in layer.synapses)),
            "synops": synops,
            "injected_spikes": activity.input_spikes / samples,
            "host_lookups": activity.host_lookups / samples,
            "attention": sum(node.synops or node.dense_macs for node in attention) / samples,
            "messages_between_chips": crossing.high or 0.0,
        },
        readouts=tuple(layer.name for layer in loads.layers if layer.synapses and not layer.neuron),
    )


def _placed(loads: Loads, placement: Placement) -> list[LayerPlacement | None]:
    placed = {layer.name: layer for layer in placement.layers}
    return [placed.get(layer.name) for layer in loads.layers]


def _events(loads: Loads, placed: Sequence[LayerPlacement | None], profile: Profile, samples: int) -> dict[str, float]:
    found: dict[str, float] = {}
    for layer, own, events, walked in zip(loads.layers, placed, *loads.by_layer, strict=True):
        encoding = encoding_of(layer, own, profile)
        found[encoding] = found.get(encoding, 0.0) + (walked if encoding == "dense" else events)
    return {encoding: events / samples for encoding, events in found.items()}
