"""``ssa`` attention on neurons that multiply two messages (Loihi 2's microcode): Q (K^T V), head by head.

D d N product neurons form k v, D d accumulators without memory sum them over the tokens and send graded messages,
D d N product neurons form q times those, into the neuron behind the sum.
"""

from __future__ import annotations

from simulators.activity import NodeActivity
from simulators.deployment.populations import neurons, synapses


def ssa_products(node: NodeActivity, runs: int) -> list[NodeActivity]:
    """Populations, synapses and events; a graded message is one event over each synapse."""
    counts = node.attention
    assert counts is not None
    n, d = counts.tokens, counts.width // counts.heads
    pairs = counts.width * d
    size, inputs = pairs * n, counts.width * n
    together, entries, sent = counts.gates[:3]
    q, k, v = ((name,) for name in node.sources) if len(node.sources) == 3 else (node.sources,) * 3
    first, held, second = (f"{node.name}.{part}" for part in ("k_times_v", "token_sum", "q_times_sum"))
    owner = node.name.removesuffix(".sum")
    entering, onward = (counts.k + counts.v) * d, counts.q * d + entries * n
    return [
        synapses(f"{first}.in", 2 * size, runs, 2 * inputs, entering, counts.k + counts.v, *k, *v),
        neurons(first, size, runs, together, entering),
        synapses(f"{held}.in", size, runs, size, together, together, first),
        neurons(held, pairs, runs, entries, together),
        synapses(f"{second}.q", size, runs, inputs, counts.q * d, counts.q, *q),
        synapses(f"{second}.sum", size, runs, pairs, entries * n, entries, held),
        neurons(second, size, runs, sent, onward),
        synapses(f"{owner}.products", size, runs, size, sent, sent, second),
    ]
