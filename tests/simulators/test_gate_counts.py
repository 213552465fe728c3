"""Spikes of attention's gates, counted by the kernels, against the body walked gate by gate."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from exporters.nir.graph import Attention, Neuron, layer_name
from exporters.nir.sdsa import sdsa_body
from exporters.nir.ssa import ssa_body
from simulators import simulate
from tests.simulators.counting_reference import Reference, inlined
from tests.simulators.small_student import graph_of, random_inputs, random_student


@pytest.mark.parametrize("kind", ["ssa", "sdsa"])
@pytest.mark.parametrize("engine", ["compiled", "tensor"])
def test_gates_emit_what_the_body_emits(kind: str, engine: str) -> None:
    s = random_student(np.random.default_rng(4), kind)
    body = (
        ssa_body(s.width, s.heads, s.tokens) if kind == "ssa" else sdsa_body(s.width, s.tokens, s.attention_threshold)
    )
    graph = graph_of(s)
    bodies = [name for name, node in graph.nodes.items() if isinstance(node, Attention)]
    graph = replace(graph, nodes=graph.nodes | {name: replace(graph.nodes[name], body=body) for name in bodies})
    inputs, _ = random_inputs(np.random.default_rng(5), s, 5, rate=0.4)
    walked = Reference(inlined(graph), inputs, per_neuron=False)
    run = simulate(graph, inputs, batch_size=2, engine=engine).activity
    nodes = [node for node in run.nodes if node.attention]
    assert len(nodes) == s.blocks
    for node, attention in zip(nodes, bodies, strict=True):
        assert node.attention is not None
        sent: dict[str, int] = {}
        for name, inner in walked.graph.nodes.items():
            if name.startswith(f"{attention}/") and isinstance(inner, Neuron):
                gate = name.rsplit("_", 1)[-1] if kind == "ssa" else name.rsplit("/", 1)[-1].split("_", 1)[-1]
                sent[gate] = sent.get(gate, 0) + int((walked.values[name] != 0).sum())
        if kind == "ssa":
            q, k, v = (spikes_of(walked, node.name.removesuffix("attention.sum") + part) for part in "qkv")
            both = np.einsum("sthan,sthen->sthae", *(x.reshape(*x.shape[:2], s.heads, -1, s.tokens) for x in (k, v)))
            sends = q.sum(axis=-1).reshape(both.shape[:4])
            entries = [int((both != 0).sum()), int((sends * (both != 0).sum(axis=-1)).sum())]
            wanted = [sent["kv"], *entries, *(sent[f"bit{b}"] for b in range(s.tokens.bit_length()))]
        else:
            wanted = [sent["open"]]
            assert node.attention.coincidences == sent["q_and_k"]
        assert list(node.attention.gates) == wanted and sum(wanted) > 0, sent


def spikes_of(walked: Reference, layer: str) -> NDArray[np.int64]:
    """(S, T, C, N) of a neuron layer."""
    (name,) = [name for name in walked.graph.nodes if layer_name(name) == layer]
    return walked.values[name].astype(np.int64)
