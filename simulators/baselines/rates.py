"""An activity at another firing rate: what follows the spikes scales, what happens anyway stays."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from simulators.activity import Activity, AttentionCounts, NodeActivity
from simulators.layers import EstimateError, layers_of

FOLLOWS = ("spikes", "synops", "messages", "accumulates", "macs")


def input_rate(activity: Activity) -> float:
    """Mean rate at which the products of the network happen: events walked / (T * multiply-accumulates).

    The mean firing rate of the layers' inputs, each weighted by its multiply-accumulates: fr of
    SOP = fr * T * MAC. Between 0 and 1 where every message is a spike; graded messages count their units.

    Raises:
        EstimateError: no counted synapse has a dense product to relate its events to, or no events happened.
    """
    counted = [(layer, node) for layer in layers_of(activity) for node in layer.synapses if node.dense_macs]
    dense = sum(node.dense_macs for _, node in counted)
    events = sum(layer.walked(node) for layer, node in counted)
    if not dense or not events:
        raise EstimateError(
            f"activity: {events:g} events of {dense} dense products; both must be above 0; run a sample that spikes"
        )
    return events / dense


def scaled(activity: Activity, factor: float) -> Activity:
    """The same run with every mean firing rate times ``factor``, counts rounded to whole ones.

    Spikes, events, messages and the bytes that events fetch scale, as do the spikes that the host sends in and
    what enters an attention (coincidences of two spikes with the factor's square, of three with its cube). Updates
    stay: every neuron is visited at every step, and the split into active and idle ones with it, whose two ends the
    estimate's interval spans. The host's look-ups and everything static stay too. Series over the steps are dropped.

    Raises:
        EstimateError: a negative factor.
    """
    if factor < 0:
        raise EstimateError(f"rate factor {factor}: must be at least 0; correct it")
    nodes = tuple(_scaled(node, factor) for node in activity.nodes)
    return replace(activity, nodes=nodes, input_spikes=round(activity.input_spikes * factor))


def _scaled(node: NodeActivity, factor: float) -> NodeActivity:
    counts: dict[str, Any] = {name: round(getattr(node, name) * factor) for name in FOLLOWS}
    if node.kind == "synapse":
        counts["bytes"] = round(node.bytes * factor)
    if node.attention:
        entering = {name: round(getattr(node.attention, name) * factor) for name in ("q", "k", "v")}
        counts["attention"] = replace(
            node.attention,
            coincidences=round(node.attention.coincidences * factor**2),
            gates=_gates(node.attention, factor),
            **entering,
        )
    return replace(node, per_step={}, **counts)


def _gates(counts: AttentionCounts, factor: float) -> tuple[int, ...]:
    """Gate spikes at another rate, by how many spikes meet in one: two, and a third where q opens a gate.

    Of ``ssa`` the first two kinds are of k and v, the others of q with them; an open gate of ``sdsa`` takes q and k.
    """
    powers = [2, 2] if counts.kind == "ssa" else [2]
    powers += [3] * (len(counts.gates) - len(powers))
    return tuple(round(spikes * factor**power) for spikes, power in zip(counts.gates, powers, strict=True))
