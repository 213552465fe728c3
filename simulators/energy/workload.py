"""What one inference does, in the units in which chips are priced."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from hw_profiles import Interval, Profile
from simulators.activity import Activity
from simulators.energy.loads import Loads, loads_of
from simulators.energy.spread import encoding_of, spread_of
from simulators.placement import LayerPlacement, Placement


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
    loads, samples = loads_of(activity), activity.samples
    neurons = sum(layer.neurons for layer in loads.layers)
    messages = _messages(loads, placement) * (1.0 / samples)
    crossing = messages if placement.chips > 1 else Interval.point(0.0)
    attention = [layer.attention for layer in loads.layers if layer.attention]
    synops = float(loads.events.sum()) / samples
    return Workload(
        steps=activity.steps + fill_steps,
        neurons=neurons,
        spikes=activity.spikes_per_inference,
        neuron_spikes=float(loads.spikes.sum()) / samples,
        synops=synops,
        walked=float(loads.walked.sum()) / samples,
        events=_events(loads, placement, profile, samples),
        updates_active=float(loads.active.sum()) / samples,
        updates_idle=float(loads.idle.sum()) / samples + neurons * fill_steps,
        messages=messages,
        hops=(_hops(messages, profile, "mesh_columns"), _hops(messages, profile, "mesh_rows")),
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


def _events(loads: Loads, placement: Placement, profile: Profile, samples: int) -> dict[str, float]:
    found: Counter[str] = Counter()
    for row, own in enumerate(_placed(loads, placement)):
        encoding = encoding_of(own, profile)
        found[encoding] += (loads.walked if encoding == "dense" else loads.events)[row].sum()
    return {encoding: float(events) / samples for encoding, events in found.items()}


def _messages(loads: Loads, placement: Placement) -> Interval:
    own = _placed(loads, placement)
    low = sum(float(table.sum()) for table in loads.messages.values())
    spread = sum(float((spread_of(loads, own, window) * table).sum()) for window, table in loads.messages.items())
    return Interval(low, spread, spread + float(loads.unknown.sum()))


def _hops(messages: Interval, profile: Profile, axis: str) -> Interval | None:
    """Tiles crossed on one axis of a mesh of n: none at least, end to end at most.

    Nominal is the mean distance of two tiles drawn at random, (n^2 - 1) / (3 n).
    """
    tiles = profile.limit(axis)
    return None if not tiles else Interval(0.0, (tiles**2 - 1) / (3 * tiles), tiles - 1).times(messages)
