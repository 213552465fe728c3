"""Attention as threshold gates: populations, synapses and events of the bodies in `exporters.nir`.

A token sum is wiring: each gate before it has one synapse onto each of the N gates behind it.
"""

from __future__ import annotations

from simulators.activity import NodeActivity
from simulators.deployment.populations import neurons, synapses


def sdsa_gates(node: NodeActivity, runs: int) -> list[NodeActivity]:
    """Gates q AND k, the open gates over the token sum and the valid train, and open AND v; D N gates each."""
    counts = node.attention
    assert counts is not None
    size, n, d = counts.width * counts.tokens, counts.tokens, counts.width
    q, k, v, valid = _senders(node)
    together, opened = counts.coincidences, counts.gates[0]
    both, gate = f"{node.name}.q_and_k", f"{node.name}.open"
    entering, summed = counts.q + counts.k, together * n + counts.valid * d
    return [
        synapses(f"{both}.in", 2 * size, runs, 2 * size, entering, entering, *q, *k),
        neurons(both, size, runs, together, entering),
        synapses(f"{gate}.sum", size * n, runs, size, together * n, together, both),
        synapses(f"{gate}.valid", size, runs, n, counts.valid * d, counts.valid, *valid),
        neurons(gate, size, runs, opened, summed),
        synapses(f"{node.name}.in", 2 * size, runs, 2 * size, opened + counts.v, opened + counts.v, gate, *v),
        neurons(node.name, size, runs, node.spikes, opened + counts.v),
    ]


def ssa_gates(node: NodeActivity, runs: int) -> list[NodeActivity]:
    """Gates k AND v for each pair of a head's channels, then a gate for each bit of their token sum, opened by q.

    A bit's gate takes its value off those of the lower bits. The weighted bits go into the neuron behind the sum.
    """
    counts = node.attention
    assert counts is not None
    n, d = counts.tokens, counts.width // counts.heads
    size, fires = counts.width * d * n, counts.gates[3:]
    bits = len(fires)
    q, k, v = _senders(node)[:3]
    both, gate, owner = f"{node.name}.k_and_v", f"{node.name}.bits", node.name.removesuffix(".sum")
    entering = (counts.k + counts.v) * d
    taken = sum(bit * spikes for bit, spikes in enumerate(fires))
    events = counts.gates[0] * n * bits + counts.q * d * bits + taken
    inputs = 2 * counts.width * n
    return [
        synapses(f"{both}.in", 2 * size, runs, inputs, entering, counts.k + counts.v, *k, *v),
        neurons(both, size, runs, counts.gates[0], entering),
        synapses(f"{gate}.sum", size * n * bits, runs, size, counts.gates[0] * n * bits, counts.gates[0], both),
        synapses(f"{gate}.q", size * bits, runs, inputs // 2, counts.q * d * bits, counts.q, *q),
        synapses(f"{gate}.off", size * bits * (bits - 1) // 2, runs, size * bits, taken, sum(fires[1:]), gate),
        neurons(gate, size * bits, runs, sum(fires), events),
        synapses(f"{owner}.bits", size * bits, runs, size * bits, sum(fires), sum(fires), gate),
    ]


def _senders(node: NodeActivity) -> tuple[tuple[str, ...], ...]:
    """Who sends q, k, v and valid: one layer each in the graphs that we write, else all of them for each."""
    if len(node.sources) in (3, 4):
        return tuple((name,) for name in node.sources)
    return (node.sources,) * 4
