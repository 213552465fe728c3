"""What a stock reader would trip over is not written: one trap a graph, and the refusal names node, value and limit."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np
import pytest

from exporters.nir.builder import GATE_TAU_STEPS, GraphBuilder
from exporters.nir.errors import GraphError
from exporters.nir.graph import TIE_MARGIN, Attention, Graph, Input, Neuron, Node, Output, Pool, TokenLinear
from exporters.nir.sdsa import sdsa_body
from exporters.nir.write import to_nir, write_graph
from tests.exporters.nir.files import student_graph

SHAPE = (2, 1, 3)
EYE = np.eye(2, dtype=np.float32)


def good() -> Graph:
    """a -> b -> c -> d: input, linear, neuron, output."""
    neuron = Neuron(SHAPE, 2.0, 3 * (1 - TIE_MARGIN))
    first = TokenLinear(2 * EYE, np.zeros(2, np.float32), 3)
    nodes: dict[str, Node] = {"a": Input(SHAPE), "b": first, "c": neuron, "d": Output(SHAPE)}
    return Graph(nodes, [("a", "b"), ("b", "c"), ("c", "d")], {"steps": 4})


def nodes(**changes: Any) -> Callable[[Graph], Graph]:
    return lambda graph: replace(graph, nodes=graph.nodes | changes)


def edges(*more: tuple[str, str], **new: Node) -> Callable[[Graph], Graph]:
    return lambda g: replace(g, nodes=g.nodes | new, edges=[*g.edges, *more])


def linear(weight: Any = EYE, bias: Any = np.zeros(2, np.float32)) -> TokenLinear:  # noqa: B008
    return TokenLinear(weight, bias, 3)


def threshold(theta: int, steps: object) -> Callable[[Graph], Graph]:
    neuron = Neuron(SHAPE, 2.0, theta * (1 - TIE_MARGIN))
    return lambda g: replace(g, nodes=g.nodes | {"c": neuron}, metadata={"steps": steps} if steps else {})


TRAPS: dict[str, tuple[Callable[[Graph], Graph], str]] = {
    "a slash": (edges(("a", "c/x"), **{"c/x": linear()}), "node 'c/x': .*'/' in it"),
    "one name": (edges(("a", "b.x"), ("b.x", "b_x"), **{"b.x": linear(), "b_x": linear()}), "node 'b_x': nirtorch"),
    "two inputs": (nodes(aa=Input(SHAPE)), "2 Input nodes, readers run exactly 1"),
    "two outputs": (edges(("c", "e"), e=Output(SHAPE)), "2 Output nodes"),
    "no output": (lambda g: Graph({"a": g.nodes["a"]}, [], {}), "0 Output nodes"),
    "an edge to nowhere": (edges(("c", "ghost")), "edge 'c' -> 'ghost': node 'ghost' does not exist"),
    "an edge twice": (edges(("a", "b")), "edge 'a' -> 'b': written 2 times"),
    "names out of order": (edges(("a", "zz"), ("zz", "c"), zz=linear()), "edge 'zz' -> 'c': names are not in topol"),
    "a loop": (edges(("c", "b")), "edge 'c' -> 'b': names are not in topological order"),
    "three edges": (edges(("a", "c"), ("ab", "c"), ("a", "ab"), ab=linear()), "node 'c': 3 edges into it, needs 1 to"),
    "two edges into the output": (edges(("b", "d")), "node 'd': 2 edges into it, needs 1 to 1"),
    "a constant source": (edges(("ab", "c"), ab=linear()), "node 'ab': 0 edges into it, needs 1 to 2"),
    "a dead end": (edges(("a", "ab"), ab=linear()), "node 'ab': no edge out of it"),
    "no bias": (nodes(b=linear(bias=None)), "node 'b': bias is NoneType, .* give zeros"),
    "a bias of one number": (nodes(b=linear(bias=np.zeros((), np.float32))), r"node 'b': bias of shape \(\), needs"),
    "a weight that float32 does not hold": (nodes(b=linear(EYE.astype(float) / 10)), "node 'b': weight holds a value"),
    "an integer beyond float32": (nodes(b=linear(np.full((2, 2), 2**24 + 1))), "node 'b': weight holds a value"),
    "an endless bias": (nodes(b=linear(bias=np.array([0, np.inf], np.float32))), "node 'b': bias holds a value"),
    "tau of one step": (nodes(c=Neuron(SHAPE, 1.0, 0.5)), "node 'c': tau is 1 steps, .* SpikingJelly refuses 1"),
    "another tau": (nodes(c=Neuron(SHAPE, 3.0, 0.5)), "node 'c': tau is 3 steps"),
    "a whole threshold": (nodes(c=Neuron(SHAPE, 2.0, 3.0)), "node 'c': v_threshold is 3: readers differ"),
    "a whole gate": (nodes(c=Neuron(SHAPE, GATE_TAU_STEPS, 1.0)), "node 'c': v_threshold is 1: readers differ"),
    "no number": (nodes(c=Neuron(SHAPE, 2.0, float("nan"))), "node 'c': v_threshold is nan"),
    "a margin as wide as the grid": (threshold(31250, 4), "node 'c': threshold 31250 at T = 4: its tie margin 0.0312"),
    "a margin at T = 8": (threshold(4096, 8), "node 'c': threshold 4096 at T = 8: .* the membrane's grid, 0.00195"),
    "a mean over tokens": (nodes(b=Pool(3, 0)), "node 'b': a mean over 3 tokens with 0 padded"),
    "metadata that is no JSON": (lambda g: replace(g, metadata={"steps": np.int64(4)}), "metadata: cannot be written"),
    "metadata that is no number": (lambda g: replace(g, metadata={"x": float("nan")}), "metadata: cannot be written"),
}  # fmt: skip


@pytest.mark.parametrize("trap", TRAPS)
def test_a_trap_is_not_written(trap: str, tmp_path: Path) -> None:
    change, reason = TRAPS[trap]
    with pytest.raises(GraphError, match=reason) as refused:
        write_graph(change(good()), tmp_path / "m.nir")
    assert "\n" not in str(refused.value) and not (tmp_path / "m.nir").exists()


def test_a_trap_inside_a_body_is_not_written_either(tmp_path: Path) -> None:
    graph = student_graph("sdsa")
    name, node = next((n, x) for n, x in graph.nodes.items() if isinstance(x, Attention))
    assert node.body
    body = replace(node.body, edges=[*node.body.edges, node.body.edges[0]])
    broken = replace(graph, nodes=graph.nodes | {name: replace(node, body=body)})
    with pytest.raises(GraphError, match="written 2 times"):
        write_graph(broken, tmp_path / "m.nir")


@pytest.mark.parametrize(("theta", "steps"), [(3, 4), (16384, 4), (31249, None), (1952, 8)])
def test_what_is_within_the_limits_is_written(theta: int, steps: int | None, tmp_path: Path) -> None:
    write_graph(threshold(theta, steps)(good()), tmp_path / "m.nir")
    assert nir.read(tmp_path / "m.nir").nodes["c"].v_threshold[0, 0, 0] == np.float32(theta * (1 - 1e-6))


def test_the_margin_that_is_refused_does_fail_in_a_strict_reader() -> None:
    """NIR's equation in float32 at T = 8 and 4,096: a membrane one grid step below the threshold fires."""
    step_below = np.float32(4096 - 2.0**-8)
    assert step_below > np.float32(4096 * (1 - 1e-6))
    assert not np.float32(16384 - 2.0**-4) > np.float32(16384 * (1 - 1e-6))


@pytest.mark.parametrize("kind", ["sdsa", "ssa"])
def test_every_parameter_is_written_as_the_profile_says(kind: str) -> None:
    """float32, no number without axes, neurons of the full shape and uniform, one group, explicit biases and sizes."""
    levels = [to_nir(student_graph(kind))]
    for graph in levels:
        levels += [node for node in graph.nodes.values() if isinstance(node, nir.NIRGraph)]
        for node in graph.nodes.values():
            values = {key: value for key, value in vars(node).items() if isinstance(value, np.ndarray)}
            assert all(value.ndim for value in values.values())
            if isinstance(node, nir.LIF):
                assert {value.shape for value in values.values()} == {tuple(node.input_type["input"])}
                assert all(value.dtype == np.float32 and np.unique(value).size == 1 for value in values.values())
                assert not node.v_leak.any() and not node.v_reset.any() and (node.r == 1).all()
                steps = node.tau.max() / 1e-4
                assert np.isclose(steps, 2) or 1 < steps < 1.001
            elif isinstance(node, nir.Conv2d):
                assert node.weight.dtype == node.bias.dtype == np.float32 and node.bias.shape == node.weight.shape[:1]
                assert node.groups == 1 and node.weight.shape[2:] == (1, 1) and node.input_shape[0] == 1
            else:
                assert isinstance(node, nir.Input | nir.Output | nir.AvgPool2d | nir.NIRGraph) or kind == "ssa"


def test_metadata_keeps_what_nir_would_lose(tmp_path: Path) -> None:
    facts: dict[str, object] = {
        "none": None,
        "a/b": 1,
        "mixed": [1, "x", None],
        "nul": "a\0b",
        "empty": [],
        "deep": {"x": {}},
        "steps": 4,
    }
    write_graph(replace(good(), metadata=facts), tmp_path / "m.nir")
    with h5py.File(tmp_path / "m.nir") as file:
        assert list(file["node/metadata"]) == ["spikeport"]
        assert json.loads(file["node/metadata/spikeport"][()]) == facts
    assert json.loads(nir.read(tmp_path / "m.nir").metadata["spikeport"]) == facts


def test_the_builder_refuses_what_a_join_cannot_hold() -> None:
    build = GraphBuilder(3)
    entry = build.input(2)
    for sources in ((entry, entry), (entry, "x", "y")):
        with pytest.raises(
            GraphError, match=r"l: edges from .* a join takes at most 2 different ones; chain junctions"
        ):
            build.neuron("l", 2, 1, *sources)


def test_too_few_digits_for_the_names_are_refused(tmp_path: Path) -> None:
    """Eleven nodes numbered with one digit: n10 comes before n2."""
    build = GraphBuilder(3, digits=1)
    source = build.input(2)
    for _ in range(10):
        source = build.linear("x", EYE, source)
    with pytest.raises(GraphError, match=r"edge 'n9_x' -> 'n10_x': names are not in .*number the nodes with enough"):
        write_graph(build.finish(source, {}), tmp_path / "m.nir")


@pytest.mark.parametrize("tokens", [0, 2**13 + 1])
def test_an_sdsa_body_beyond_what_is_proved_is_refused(tokens: int) -> None:
    """At N the level stands 1 / (4N - 2) clear; the gate's memory of a membrane below 2 takes up to 2e-5 of it."""
    assert 2 * (GATE_TAU_STEPS - 1) < 1 / (4 * 2**13 - 2)
    with pytest.raises(GraphError, match=f"sdsa body over {tokens} tokens: gates are proved exact from 1 to 8192"):
        sdsa_body(1, tokens, 1)
