"""A population and the synapses into it, made of sizes and counts instead of a simulation."""

from __future__ import annotations

from simulators.activity import NodeActivity


def neurons(name: str, size: int, runs: int, spikes: int, events: int) -> NodeActivity:
    """``size`` neurons, updated in each of ``runs`` steps; ``events`` reach them.

    An event makes one update active, so at most that many are: several events of one neuron and step are not told
    apart.
    """
    updates = size * runs
    active = min(updates, events)
    return NodeActivity(
        name,
        "neuron",
        neurons=size,
        spikes=spikes,
        messages=spikes,
        updates_active=active,
        updates_idle=updates - active,
    )


def synapses(name: str, size: int, runs: int, axons: int, events: int, messages: int, *sources: str) -> NodeActivity:
    """``size`` stored synapses from ``axons`` neurons of ``sources``; no token shares them with another."""
    return NodeActivity(
        name,
        "synapse",
        weights=size,
        synapses=size,
        synops=events,
        accumulates=events,
        bytes=events,
        dense_macs=size * runs,
        messages=messages,
        axons=axons,
        sources=sources,
    )
