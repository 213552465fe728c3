"""What a simulation counts: the only input of the energy model besides the graph's shape.

Definitions follow NeuroBench (Yik et al. 2025): a synaptic operation is one spike delivered over one
non-zero weight. All counts are exact sums over every sample and step of a run.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class NodeActivity:
    """Counts of one node.

    Attributes:
        name: layer name, e.g. ``block0.q`` or ``block0.q.weight``.
        kind: ``neuron``, ``synapse`` or ``attention``.
        neurons: neurons mapped, padding included (C * N); 0 for a synapse node.
        weights: non-zero weights stored once, shared by all tokens (a linear layer).
        synapses: non-zero connections if every token had its own copy, as a chip without weight
            sharing stores them (``weights * N``; of a window, less those that would reach beyond a border).
        spikes: spikes emitted; for a graded sender, non-zero messages.
        synops: spikes (or message units: a graded message m counts m, one that is not a non-negative
            integer counts 1) delivered over non-zero weights. Of an ``ssa`` attention: coincidences of q
            and k that scores add up, plus score units delivered to v. Of ``sdsa``: coincidences of q and
            k that channels count, plus v spikes let through.
        dense_macs: multiply-accumulates of the same product done densely, padding included; (Q K^T) V for
            ``ssa``, two per channel and token for ``sdsa``.
        updates_active: neuron updates of tokens that received at least one event in that step (all C
            neurons of the token; padded tokens receive none), or of the neurons that received one
            themselves where the run counted per neuron. 0 for ``ssa``, whose sums have no membrane.
        updates_idle: the other neuron updates, padding included.
        window: tokens that one output of a synapse node sees.
    """

    name: str
    kind: str
    neurons: int = 0
    weights: int = 0
    synapses: int = 0
    spikes: int = 0
    synops: int = 0
    dense_macs: int = 0
    updates_active: int = 0
    updates_idle: int = 0
    window: int = 1


@dataclass(frozen=True)
class Activity:
    """Counts of a whole run, node by node in topological order.

    Junctions and the one-hot packing before an attention are wiring and have no node.

    Attributes:
        samples: sentences simulated.
        steps: time steps T per sentence.
        tokens: N, the token slots of the graph.
        nodes: per node.
        host_lookups: table rows added on the host by the encoder (outside the chip), whole run.
        input_spikes: spikes that the host sends into the network, whole run.
    """

    samples: int
    steps: int
    tokens: int
    nodes: tuple[NodeActivity, ...]
    host_lookups: int = 0
    input_spikes: int = 0

    def total(self, field: str) -> int:
        """Sum of one count over the nodes."""
        return sum(getattr(node, field) for node in self.nodes)

    @property
    def spikes_per_inference(self) -> float:
        """Spikes of mapped neurons per sentence; messages inside an attention kernel are not spikes."""
        return sum(node.spikes for node in self.nodes if node.neurons) / self.samples

    def per_inference(self, field: str) -> float:
        """Mean of one count per sentence."""
        return self.total(field) / self.samples
