"""Every count of every node, in all and per step, against a brute-force count of the same graph."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from numpy.typing import NDArray

from benchmarks.graph_strategy import Drawn, examples
from benchmarks.random_graphs import random_graph, random_spikes
from exporters.nir.graph import Graph, Input, Neuron, Node, Output, Pool, TokenLinear
from simulators import Activity, GraphSimulationError, NodeActivity, simulate
from simulators.activity import PER_STEP, added
from simulators.labels import label
from simulators.tallies import Tallies
from tests.simulators.counting_reference import Reference, inlined
from tests.simulators.small_student import graph_of, random_inputs, random_student, sdsa_body

COUNTS = [f.name for f in fields(NodeActivity) if f.name not in ("name", "kind", "per_step", "sources", "attention")]


def check(graph: Graph, inputs: NDArray[np.bool_], arithmetic: str = "loihi2", expand: bool = False) -> Activity:
    """Compare all of it in both ways of counting updates; returns the activity per token."""
    for per_neuron in (True, False):
        options = {"count_updates": per_neuron, "expand_attention": expand}
        activity = simulate(graph, inputs, arithmetic=arithmetic, batch_size=2, device="cpu", **options).activity
        reference = Reference(inlined(graph) if expand else graph, inputs, per_neuron=per_neuron)
        expected = {label(name): count for name, count in reference.nodes.items()}
        assert {n.name for n in activity.nodes} == expected.keys()
        for node in activity.nodes:
            count = expected[node.name]
            assert node.kind == count.kind
            assert {k: list(v) for k, v in node.per_step.items()} == {k: count.series[k] for k in PER_STEP}, node.name
            for name in COUNTS:
                default = 1 if name == "window" else 0
                wanted = sum(count.series[name]) if name in count.series else count.totals.get(name, default)
                assert getattr(node, name) == wanted, (node.name, name)
        assert activity.input_spikes == inputs.sum()
    return activity


@pytest.mark.parametrize("kind", ["ssa", "sdsa"])
def test_a_student_with_graded_residuals_and_padding(kind: str) -> None:
    s = random_student(np.random.default_rng(4), kind, width=4, tokens=4, hidden=6)
    for name in ("block0.q", "block1.fc1"):  # no bias: activity must come from the weights
        s.bias[name][:] = 0
    s.weight["block0.q"][:, 2] = 0  # an input that leads nowhere
    inputs, lengths = random_inputs(np.random.default_rng(5), s, 3, rate=0.2)
    assert lengths.min() < s.tokens
    nodes = {n.name: n for n in check(graph_of(s), inputs).nodes}
    assert nodes["block0.q.weight"].macs == 0 < nodes["block0.q.weight"].accumulates  # the first block reads spikes
    graded = nodes["block1.fc1.weight"]
    assert graded.accumulates == 0 and graded.synops > graded.macs > graded.messages > 0  # some messages exceed 1
    assert nodes["block0.q.weight"].messages < nodes["block0.v.weight"].messages


@pytest.mark.parametrize("kind", ["ssa", "sdsa"])
def test_a_window_counts_a_message_once_and_its_events_each(kind: str) -> None:
    graph = random_graph(7, kind, tokens=5, width=3, heads=1, window=3, blocks=2)
    linear = next(node for name, node in graph.nodes.items() if name.endswith("local.weight"))
    assert isinstance(linear, TokenLinear)
    linear.weight[:, 0] = 0  # channel 0 is read from the next tokens only: the first token's reaches nobody
    linear.weight[:, [1, 4, 7]] = 0  # and channel 1 not at all
    inputs = random_spikes(7, graph, holes=True)
    node = next(n for n in check(graph, inputs).nodes if n.name == "local.weight")
    assert node.messages == inputs[:, :, 0, 1:].sum() + inputs[:, :, 2].sum()


@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(examples())
def test_random_graphs(drawn: Drawn) -> None:
    check(drawn.graph, drawn.inputs)


@pytest.mark.parametrize("seed", range(3))
def test_attention_bodies_in_real_arithmetic(seed: int) -> None:
    """Gates, and the average over tokens, whose messages are fractions."""
    graph = random_graph(seed, "sdsa", tokens=4, width=3)
    check(graph, random_spikes(seed, graph, samples=2), "real", expand=True)
    s = random_student(np.random.default_rng(seed), "sdsa", width=3, tokens=3, heads=1, hidden=4, blocks=1)
    inputs, _ = random_inputs(np.random.default_rng(seed), s, 2)
    check(graph_of(s, sdsa_body(s.width, s.tokens, s.attention_threshold)), inputs, "real", expand=True)


def test_an_ssa_body_of_gates_in_real_arithmetic() -> None:
    graph = random_graph(3, "ssa", tokens=2, width=2, heads=1, gates=True)
    check(graph, random_spikes(3, graph, samples=2, steps=2), "real", expand=True)


def chain(*middle: tuple[str, Node]) -> Graph:
    """Input, the given nodes and an output in one line, 2 channels and 3 tokens."""
    nodes: dict[str, Node] = {"n0_input": Input((2, 1, 3)), **dict(middle), "n9_output": Output((2, 1, 3))}
    return Graph(nodes, list(zip(nodes, list(nodes)[1:], strict=False)), {})


def linear(*rows: tuple[int, int]) -> TokenLinear:
    return TokenLinear(np.array(rows, np.float32), np.zeros(2, np.float32), 3)


def test_messages_that_are_no_counts_are_one_each() -> None:
    """Fractions of a pool, and negative sums, are one unit and one multiply-accumulate over each weight."""
    inputs = np.random.default_rng(0).random((2, 3, 2, 3)) < 0.5
    pooled = check(chain(("n1_pool", Pool(3, 1)), ("n2_w", linear((2, 0), (4, 6)))), inputs, "real").nodes[0]
    assert pooled.macs == pooled.synops > 0 == pooled.accumulates
    for arithmetic in ("loihi2", "real"):
        signs = chain(
            ("n1_a", linear((2, -2), (4, 2))),
            ("n2_b", linear((2, 2), (-2, 0))),
            ("n3_lif", Neuron((2, 1, 3), 2.0, 3.999996)),
        )
        first, second = check(signs, inputs, arithmetic).nodes[:2]
        assert first.accumulates == first.synops > 0 == first.macs
        assert second.macs == second.synops > 0 == second.accumulates


def test_messages_that_cancel_at_a_junction_are_none() -> None:
    """Where a sum can cancel, what leaves it is no sum of what enters it."""
    nodes: dict[str, Node] = {
        "n0_input": Input((2, 1, 3)),
        "n1_a": linear((2, 0), (0, 2)),
        "n2_b": linear((-2, 0), (0, 2)),
        "n3_left": Pool(1, 0),
        "n4_right": Pool(1, 0),
        "n5_both": Pool(1, 0),
        "n6_w": linear((2, 2), (2, 2)),
        "n7_output": Output((2, 1, 3)),
    }
    edges = [("n0_input", "n1_a"), ("n0_input", "n2_b"), ("n1_a", "n3_left"), ("n2_b", "n4_right")]
    edges += [("n3_left", "n5_both"), ("n4_right", "n5_both"), ("n5_both", "n6_w"), ("n6_w", "n7_output")]
    inputs = np.random.default_rng(2).random((3, 2, 2, 3)) < 0.5
    w = next(node for node in check(Graph(nodes, edges, {}), inputs).nodes if node.name == "w")
    assert w.messages == inputs[:, :, 1].sum() and w.synops == 2 * w.messages  # channel 0 cancels: 2 - 2


def test_silence_costs_idle_updates_and_nothing_else() -> None:
    graph = random_graph(1, "ssa")
    for node in check(graph, np.zeros_like(random_spikes(1, graph))).nodes:
        busy = {name for name in COUNTS if getattr(node, name)} - {
            "dense_macs",
            "neurons",
            "weights",
            "synapses",
            "axons",
        }
        assert busy <= {"window", "updates_idle", "bytes"} and (node.kind == "neuron" or not node.bytes)


def test_series_must_add_up() -> None:
    with pytest.raises(GraphSimulationError, match="a: spikes of its steps sum to 3, the total is 4"):
        NodeActivity("a", "neuron", spikes=4, per_step={"spikes": (1, 2)})


def test_tallies_of_parts_add_up_to_those_of_the_whole() -> None:
    graph = random_graph(5, "sdsa", window=2)
    inputs = random_spikes(5, graph, samples=5)
    parts = [simulate(graph, inputs[start : start + 2], device="cpu").activity for start in (0, 2, 4)]
    assert added(parts) == simulate(graph, inputs, device="cpu").activity
    one, two = Tallies({"a": np.array([[1, 2]])}), Tallies({"a": np.array([[10, 20]])}, pairs={"b": np.array([7])})
    one.add(two)
    assert one.units["a"].tolist() == [[11, 22]] and one.pairs["b"].tolist() == [7] and one.nonzero == {}
    assert two.units["a"].tolist() == [[10, 20]]
    for other in (np.array([1, 2]), np.array([[1.0, 2.0]])):
        with pytest.raises(GraphSimulationError, match=r"units of a: .* one shape"):
            one.add(Tallies({"a": other}))
