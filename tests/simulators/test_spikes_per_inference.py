"""One definition of a run's spikes, whoever prints it."""

from __future__ import annotations

from simulators.activity import Activity, NodeActivity
from simulators.baselines import spiking_literature


def test_messages_inside_an_attention_kernel_are_no_spikes() -> None:
    nodes = (
        NodeActivity("q", "neuron", neurons=8, spikes=10, updates_idle=64),
        NodeActivity("q.weight", "synapse", weights=4, synapses=8, synops=40, dense_macs=64),
        NodeActivity("attention.sum", "attention", spikes=5, synops=7, dense_macs=64),
    )
    activity = Activity(samples=2, steps=4, tokens=2, nodes=nodes)
    assert activity.spikes_per_inference == 10 / 2
    assert spiking_literature(activity).spikes_per_inference == 10 / 2
