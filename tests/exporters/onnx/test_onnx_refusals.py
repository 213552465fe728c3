"""What cannot be exact is refused in one line: node, value, limit, next step."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from benchmarks.random_graphs import random_graph
from exporters.nir.builder import GraphBuilder
from exporters.nir.graph import Attention, Graph, Input, Neuron, Node, Output, Pool
from exporters.onnx import OnnxExportError, build_model, prove


def line(weight: Any = 2.0, threshold: int = 1, *, channels: int = 1) -> Graph:
    """input -> linear -> neuron -> output, one token."""
    build = GraphBuilder(1)
    matrix = np.broadcast_to(np.asarray(weight, np.float32), (1, channels))
    hidden = build.neuron("hidden", 1, threshold, build.linear("w", matrix, build.input(channels)))
    return build.finish(hidden, {})


def change(graph: Graph, name: str, node: Node) -> Graph:
    return replace(graph, nodes={**graph.nodes, name: node})


def refusal(graph: Graph, **options: Any) -> str:
    with pytest.raises(OnnxExportError) as error:
        build_model(graph, **options)
    message = str(error.value)
    assert "\n" not in message and ("; " in message), message
    return message


def test_the_graph_that_the_others_are_spoilt_from_is_taken() -> None:
    assert build_model(line()).graph.node


def test_weights_and_sums() -> None:
    assert refusal(line(0.5)).startswith("n001_w: weight 0.5 is no integer")
    graph = line()
    biased = replace(graph.nodes["n001_w"], bias=np.array([3.0], np.float32))  # type: ignore[type-var]
    assert refusal(change(graph, "n001_w", biased)).startswith("n001_w: bias 3, exact is 0")
    message = refusal(line(2.0**23, channels=2))
    assert message.startswith("n001_w: sums may reach 16777216, float32 is exact below 16777216")


def test_sums_that_cancel_are_bounded_by_their_parts() -> None:
    """Partial sums count: 2^23 + 2^23 - 2^24 is 0 in the end only."""
    wide = line(np.array([[2.0**23, 2.0**23, -(2.0**23), -(2.0**23)]]), channels=4)
    assert "sums may reach 16777216" in refusal(wide)


def test_more_steps_than_a_membrane_has_bits() -> None:
    """2^20 + 1, odd: 21 bits and 3 halvings are 24."""
    graph = line(2.0**20 + 1)
    assert prove(graph).max_steps == 3
    assert build_model(graph, unroll=3).graph.node
    message = refusal(graph, unroll=4)
    assert message.startswith("n002_hidden: sums reach 1048577: T = 4 steps, exact are at most 3")
    assert "T = 4 steps" in refusal(replace(graph, metadata={"steps": 4}))
    assert "T = 0 steps" in refusal(graph, unroll=0)
    assert prove(line(2.0**20)).max_steps == 5  # even: a place more, and 2^20 * 2^4 is 2^24 itself


def test_more_steps_than_the_stored_threshold_means_the_integer() -> None:
    """theta = 100000 is stored 0.1 below: on a grid of 1/16 NIR's v > v_threshold fires before theta."""
    graph = line(3.0, threshold=100000)
    assert prove(graph).max_steps == 3
    assert refusal(graph, unroll=4).startswith("n002_hidden: threshold 99999.8984 is stored 0.102 below 100000")


@pytest.mark.parametrize("stored", [2.4, 3.0, 0.4, -1.0, 0.0])
def test_thresholds_that_are_no_integers_with_a_margin(stored: float) -> None:
    graph = change(line(), "n002_hidden", Neuron((1, 1, 1), 2.0, stored))
    assert refusal(graph).startswith("n002_hidden: threshold ")


def test_a_half_integer_threshold_means_an_integer_as_long_as_the_grid_is_coarse() -> None:
    """Currents are even: v is an integer after one step, a multiple of 1/2 after two."""
    graph = change(line(), "n002_hidden", Neuron((1, 1, 1), 2.0, 2.5))
    assert prove(graph).max_steps == 2
    assert "T = 3 steps" in refusal(graph, unroll=3)


def test_nodes_that_hold_no_integers() -> None:
    gate = change(line(), "n002_hidden", Neuron((1, 1, 1), 1.00001, 1.5))
    assert refusal(gate).startswith("n002_hidden: a gate of tau 1.00001 steps outside an attention, exact is 2")
    slow = change(line(), "n002_hidden", Neuron((1, 1, 1), 4.0, 1.0))
    assert refusal(slow).startswith("n002_hidden: tau is 4 steps, exact is 2")
    pool = change(line(), "n002_hidden", Pool(3, 1))
    assert refusal(pool).startswith("n002_hidden: a pool of kernel 3 divides")


def attended(node: Attention, weight: float = 1.0) -> Graph:
    build = GraphBuilder(2)
    packed = build.linear("pack", weight * np.ones((7, 3)) * np.eye(7, 3), build.input(3))
    return build.finish(build.attention("attention", node, packed), {})


def test_attentions() -> None:
    assert build_model(attended(Attention("sdsa", 2, 1, 2, 1))).graph.node
    assert "attention 'soft' is not known" in refusal(attended(Attention("soft", 2, 1, 2, 0)))
    assert "2 heads do not divide the width 7" in refusal(attended(Attention("ssa", 7, 2, 2, 0)))
    assert "attention threshold 0, the least is 1" in refusal(attended(Attention("sdsa", 2, 1, 2, 0)))
    assert "7 channels x 2 tokens enter, 6 x 2 are needed" in refusal(attended(Attention("ssa", 2, 1, 2, 0)))
    assert "messages up to 3 enter, attention takes spikes" in refusal(attended(Attention("sdsa", 2, 1, 2, 1), 3))


def test_graphs_that_do_not_hang_together() -> None:
    graph = line()
    assert "node n009_x does not exist" in refusal(replace(graph, edges=[*graph.edges, ("n009_x", "n003_output")]))
    assert "appears 2 times" in refusal(replace(graph, edges=[*graph.edges, graph.edges[0]]))
    message = refusal(replace(graph, edges=[*graph.edges, ("n002_hidden", "n001_w")]))
    assert message.startswith("cycle ") and "a recurrent graph" in message
    assert "n002_hidden: 0 edges lead into it, at least 1 may" in refusal(
        replace(graph, edges=graph.edges[:1] + graph.edges[2:])
    )
    assert "n000_input: 1 edges lead into it, none may" in refusal(
        replace(graph, edges=[*graph.edges, ("n001_w", "n000_input")])
    )
    assert "2 Output nodes, exactly 1" in refusal(change(graph, "n004_output", Output((1, 1, 1))))
    assert "0 Input nodes, exactly 1" in refusal(change(graph, "n000_input", Pool(1, 0)))
    assert "2 channels x 1 tokens enter, 1 x 1 are needed" in refusal(change(graph, "n000_input", Input((2, 1, 1))))


def test_two_layers_of_one_name() -> None:
    graph = random_graph(0, "ssa")
    twin = next(name for name in graph.nodes if name.endswith("_q"))
    renamed = {name: f"{name[:5]}k" if name == twin else name for name in graph.nodes}
    twice = replace(
        graph,
        nodes={renamed[name]: node for name, node in graph.nodes.items()},
        edges=[(renamed[a], renamed[b]) for a, b in graph.edges],
    )
    assert refusal(twice).startswith("k: the name of several layers, outputs need 1 each")


def test_two_forms_at_once() -> None:
    assert refusal(line(), step=True, unroll=2).startswith("step and unroll = 2: two forms")
