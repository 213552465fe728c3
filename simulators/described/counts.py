"""Counts of a described network: two activities, at the low and at the high rates.

spikes = rate * neurons * steps; events = spikes spread evenly over the inputs, each over the connections that it has
(exact to the borders in the mean). Where the share of neurons with input is not given, it follows from independent
inputs: 1 - (1 - rate)^fan_in, of the mean fan-in.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from simulators.activity import STATE_BYTES, WEIGHT_BYTES, Activity, NodeActivity
from simulators.described.read import DescribedLayer, Description, Range, read_description


@dataclass(frozen=True)
class DescribedNetwork:
    """A description with its counts; ``low`` and ``high`` are equal where every rate is one value."""

    description: Description
    low: Activity
    high: Activity

    @property
    def exact(self) -> bool:
        """Whether the rates are values, not intervals."""
        return self.low == self.high


def described_network(path: str | Path) -> DescribedNetwork:
    """Counts of the network in a TOML file. Raises EstimateError for a file that does not describe one."""
    return described_network_of(read_description(path))


def described_network_of(description: Description) -> DescribedNetwork:
    """Counts of a description."""
    return DescribedNetwork(description, _activity(description, "low"), _activity(description, "high"))


def _activity(description: Description, side: str) -> Activity:
    runs = description.steps * description.samples
    after = [layer.input_rate for layer in description.layers[1:]] + [description.output_rate]
    nodes: list[NodeActivity] = []
    sender = "input"
    for layer, output in zip(description.layers, after, strict=True):
        nodes += [_synapses(layer, sender, runs, side), _neurons(layer, output, runs, side)]
        sender = layer.name
    first = description.layers[0]
    spikes = round(getattr(first.input_rate, side) * first.shape.inputs * runs)
    return Activity(description.samples, description.steps, 1, tuple(nodes), input_spikes=spikes)


def _synapses(layer: DescribedLayer, sender: str, runs: int, side: str) -> NodeActivity:
    shape, rate = layer.shape, getattr(layer.input_rate, side)
    events = round(rate * shape.connections * runs)
    return NodeActivity(
        f"{layer.name}.weight",
        "synapse",
        weights=shape.weights,
        synapses=shape.connections,
        synops=events,
        dense_macs=shape.connections * runs,
        positions=shape.positions,
        messages=round(rate * shape.axons * runs),
        accumulates=events,
        bytes=events * WEIGHT_BYTES,
        axons=shape.axons,
        sources=(sender,),
    )


def _neurons(layer: DescribedLayer, output: Range, runs: int, side: str) -> NodeActivity:
    neurons, updates = layer.shape.neurons, layer.shape.neurons * runs
    active = round(_share(layer, side) * updates)
    spikes = round(getattr(output, side) * updates)
    return NodeActivity(
        layer.name,
        "neuron",
        neurons,
        spikes=spikes,
        updates_active=active,
        updates_idle=updates - active,
        messages=spikes,
        bytes=updates * STATE_BYTES,
    )


def _share(layer: DescribedLayer, side: str) -> float:
    if layer.active_share is not None:
        return float(getattr(layer.active_share, side))
    fan_in = layer.shape.connections / layer.shape.neurons
    silent = 1.0 - min(getattr(layer.input_rate, side), 1.0)
    return float(1.0 - silent**fan_in)
