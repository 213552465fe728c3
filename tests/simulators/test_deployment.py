"""Attention as a chip runs it, against the exporter's body walked gate by gate and counted by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from exporters.nir.graph import Attention, Graph, Neuron, Pool, TokenLinear
from exporters.nir.sdsa import sdsa_body
from exporters.nir.ssa import ssa_body
from hw_profiles import load_profile
from simulators import Activity, NodeActivity, simulate
from simulators.deployment import deployed
from simulators.energy import estimate_on
from simulators.layers import layers_of
from tests.simulators.counting_reference import Reference, inlined
from tests.simulators.small_student import Student, graph_of, random_inputs, random_student

LOIHI1, LOIHI2 = (replace(load_profile("loihi1"), attention=kind) for kind in ("gates", "product_neurons"))


def walked(s: Student) -> tuple[Graph, Activity, Reference, list[str]]:
    """A student's graph with bodies, its run, the same run with every gate walked, and its attention nodes."""
    ssa = s.kind == "ssa"
    body = ssa_body(s.width, s.heads, s.tokens) if ssa else sdsa_body(s.width, s.tokens, s.attention_threshold)
    graph = graph_of(s)
    names = [name for name, node in graph.nodes.items() if isinstance(node, Attention)]
    whole = replace(graph, nodes=graph.nodes | {name: replace(graph.nodes[name], body=body) for name in names})
    inputs, _ = random_inputs(np.random.default_rng(5), s, 4, rate=0.4)
    return body, simulate(graph, inputs).activity, Reference(inlined(whole), inputs, per_neuron=False), names


def connections(body: Graph, gate: str) -> int:
    """Synapses into one gate node: paths through linears and token sums from neurons or the body's input."""
    tokens = body.nodes[gate].shape[2]  # type: ignore[union-attr]

    def path(name: str) -> int:
        match node := body.nodes[name]:
            case TokenLinear():
                (source,) = body.sources(name)
                inner = body.nodes[source]
                if isinstance(inner, Pool) and inner.kernel > 1:
                    return int(np.count_nonzero(node.weight)) * tokens * tokens
                return int(np.count_nonzero(node.weight)) * tokens
            case Pool() if node.kernel > 1:
                return node_channels(body, name) * tokens * tokens
            case Pool():
                return sum(path(source) for source in body.sources(name))
            case _:
                return node_channels(body, name) * tokens

    return sum(path(source) for source in body.sources(gate))


def node_channels(body: Graph, name: str) -> int:
    node = body.nodes[name]
    if isinstance(node, TokenLinear):
        return len(node.weight)
    if isinstance(node, Neuron):
        return node.shape[0]
    return node_channels(body, body.sources(name)[0])


@pytest.mark.parametrize("kind", ["ssa", "sdsa"])
def test_gates_are_those_of_the_body(kind: str) -> None:
    body, activity, reference, names = walked(random_student(np.random.default_rng(4), kind))
    gates = deployed(activity, LOIHI1)
    assert not [node for node in gates.nodes if node.kind == "attention"]
    for name, node in zip(names, (n for n in activity.nodes if n.attention), strict=True):
        own = [n for n in gates.nodes if n.name.startswith(node.name) and n.kind == "neuron"]
        inner = [g for g, part in body.nodes.items() if isinstance(part, Neuron)]
        assert sum(n.neurons for n in own) == sum(math.prod(body.nodes[g].shape) for g in inner)  # type: ignore[union-attr]
        emitted = sum(int((reference.values[f"{name}/{g}"] != 0).sum()) for g in inner)
        assert sum(n.spikes for n in own) == emitted > 0
        stored = sum(n.synapses for n in gates.nodes if n.name.startswith(f"{node.name}.") and n.kind == "synapse")
        assert stored == sum(connections(body, g) for g in inner)


def test_ssa_gates_by_hand() -> None:
    """One head of one channel, two tokens: k and v meet at token 0, q fires at both; the count is 1, bit 0."""
    s = random_student(np.random.default_rng(4), "ssa")
    node = simulate(graph_of(s), random_inputs(np.random.default_rng(5), s, 1, rate=0.4)[0]).activity
    first = next(n for n in node.nodes if n.attention)
    assert first.attention is not None
    facts = replace(first.attention, width=1, heads=1, tokens=2, q=2, k=1, v=1, coincidences=2, gates=(1, 1, 2, 2, 0))
    one = replace(first, name="a.sum", attention=facts, sources=("q", "k", "v"))
    found = {n.name: n for n in deployed(Activity(1, 1, 2, (one,)), LOIHI1).nodes}
    assert found["a.sum.k_and_v.in"].synops == 2 and found["a.sum.k_and_v"].spikes == 1
    assert found["a.sum.bits.sum"].synops == 1 * 2 * 2  # to two tokens' gates of two bits
    assert found["a.sum.bits.q"].synops == 2 * 2 and found["a.sum.bits.off"].synops == 0
    assert found["a.sum.bits"].neurons == 4 and found["a.sum.bits"].spikes == 2
    assert found["a.bits"].synops == 2
    found = {n.name: n for n in deployed(Activity(1, 1, 2, (one,)), LOIHI2).nodes}
    assert [found[f"a.sum.{part}"].spikes for part in ("k_times_v", "token_sum", "q_times_sum")] == [1, 1, 2]
    assert found["a.sum.q_times_sum.sum"].synops == 2 and found["a.products"].synops == 2


@pytest.mark.parametrize("kind", ["ssa", "sdsa"])
@pytest.mark.parametrize("profile", [LOIHI1, LOIHI2], ids=["gates", "product_neurons"])
def test_what_replaces_attention_can_be_placed(kind: str, profile: object) -> None:
    _, activity, _, _ = walked(random_student(np.random.default_rng(4), kind))
    new = deployed(activity, profile)  # type: ignore[arg-type]
    known = {n.name for n in new.nodes} | {"input"}
    assert all(set(n.sources) <= known for n in new.nodes)
    assert all(layer.neuron for layer in layers_of(new) if layer.name != "readout")
    fed = {layer.name for layer in layers_of(new) if layer.synapses}
    assert all(layer.name in fed for layer in layers_of(new))  # no population without input, the LIF behind ssa too


def test_a_chip_without_gates_keeps_the_node() -> None:
    _, activity, _, _ = walked(random_student(np.random.default_rng(4), "sdsa"))
    assert deployed(activity, replace(LOIHI1, attention="none")) is activity
    bare = NodeActivity("a", "attention", synops=3, dense_macs=8)
    kept = Activity(1, 1, 1, (bare,))
    assert deployed(kept, LOIHI1) is kept


def test_an_estimate_says_as_what_attention_runs() -> None:
    """Two blocks of sdsa: 2 D N gates more than the attention's own D N neurons each."""
    s = random_student(np.random.default_rng(4), "sdsa")
    _, activity, _, _ = walked(s)
    found = estimate_on(activity, LOIHI1)
    assert found.attention == f"runs on {s.blocks * 2 * s.width * s.tokens:,} more neurons: threshold gates"
    assert "attention" not in {term.term for term in found.unpriced}
    refused = estimate_on(activity, replace(LOIHI1, attention="none"))
    assert refused.attention.startswith("refused") and not refused.fits
    plain = replace(activity, nodes=tuple(n for n in activity.nodes if n.kind != "attention"))
    assert estimate_on(plain, LOIHI1).attention == ""
