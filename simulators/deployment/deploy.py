"""What a chip runs in the place of an attention node.

``gates`` are neurons with static weights, the body that every stock NIR reader runs (`exporters.nir.ssa`,
`exporters.nir.sdsa`). ``product_neurons`` multiply two messages, as Loihi 2's microcode can; ``sdsa`` has no product
and runs as gates there too. On any other chip the node stays what it is, and placement refuses it.
"""

from __future__ import annotations

from dataclasses import replace

from hw_profiles import Profile
from simulators.activity import Activity, NodeActivity
from simulators.deployment.gates import sdsa_gates, ssa_gates
from simulators.deployment.products import ssa_products
from simulators.once import once

WAYS = ("gates", "product_neurons")


def deployed(activity: Activity, profile: Profile) -> Activity:
    """The activity with its attention as this chip runs it; itself where nothing changes.

    A node whose inputs were not counted (``NodeActivity.attention`` is None) stays, as one does that the chip has no
    way to run: a simulation counts them.
    """
    return _deployed(activity, profile.attention) if profile.attention in WAYS else activity


def described(activity: Activity, ready: Activity, profile: Profile) -> str:
    """In words, as what a chip runs the attention of an activity; empty where it has none."""
    if not any(node.kind == "attention" for node in activity.nodes):
        return ""
    if any(node.kind == "attention" for node in ready.nodes):
        return "refused: synapses hold static weights, and the chip has no neurons for it"
    added = sum(node.neurons for node in ready.nodes) - sum(n.neurons for n in activity.nodes)
    products = any(node.name.endswith(".k_times_v") for node in ready.nodes)
    return f"runs on {added:,} more neurons: {'product neurons and their sums' if products else 'threshold gates'}"


@once
def _deployed(activity: Activity, way: str) -> Activity:
    runs = activity.samples * activity.steps
    nodes: list[NodeActivity] = []
    for node in activity.nodes:
        nodes += _nodes(node, runs, way) if node.attention else [node]
    return activity if len(nodes) == len(activity.nodes) else replace(activity, nodes=tuple(nodes))


def _nodes(node: NodeActivity, runs: int, as_what: str) -> list[NodeActivity]:
    assert node.attention is not None
    if node.attention.kind == "sdsa":
        return sdsa_gates(node, runs)
    return ssa_products(node, runs) if as_what == "product_neurons" else ssa_gates(node, runs)
