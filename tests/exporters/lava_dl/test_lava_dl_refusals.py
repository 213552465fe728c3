"""What netx cannot hold is refused by the name of its first node, with value, limit and next step."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from exporters.lava_dl import LavaDlError, form, net_inputs, select
from exporters.nir.builder import GraphBuilder
from exporters.nir.graph import Graph, Neuron, TokenLinear
from tests.exporters.lava.student import make_graph, make_student
from tests.exporters.lava_dl.graphs import make_sequence, make_spikes


@pytest.fixture(scope="module")
def block() -> Graph:
    return make_graph(make_student(np.random.default_rng(3), "ssa", width=8, tokens=4, steps=4, heads=2))


@pytest.mark.parametrize(
    ("subgraph", "node", "what"),
    [
        (None, "n008_block0.k.weight", "second branch from n004_code"),
        ("block0.q:block0.attention", "n019_block0.attention.sum", "an attention"),
        ("block0.q:block0.o", "n019_block0.attention.sum", "an attention"),
        ("block0.o:block0.fc1", "n024_block0.residual1", "a residual sum"),
        ("block0.fc2:readout", "n031_block0.residual2", "a residual sum"),
        ("block0.attention:block0.attention", "n019_block0.attention.sum", "an attention feeds n020_block0.attention"),
        ("block0.fc2:block0.fc1", "n027_block0.fc1", "does not follow n030_block0.fc2"),
        ("block0.fc3:block0.fc2", "block0.fc3", "no neuron layer"),
        ("block0.fc1", "block0.fc1", "needs FIRST:LAST"),
    ],
)
def test_what_is_no_sequence(block: Graph, subgraph: str | None, node: str, what: str) -> None:
    with pytest.raises(LavaDlError) as refused:
        select(block, subgraph)
    text = str(refused.value)
    assert node in text and what in text and "\n" not in text


def test_a_pool_over_tokens_is_named() -> None:
    build = GraphBuilder(3)
    entry = build.input(2)
    first = build.neuron("a", 2, 3, build.linear("a.weight", 2 * np.eye(2, dtype=np.float32), entry))
    mean = build.token_sum("mean", first)
    build.neuron("b", 2, 3, build.linear("b.weight", 2 * np.eye(2, dtype=np.float32), mean))
    graph = build.finish(max(build.nodes), {"steps": 4})
    with pytest.raises(LavaDlError, match=r"n003_mean: a pool over 5 tokens"):
        select(graph)


def changed(graph: Graph, layer: str, **values: object) -> Graph:
    name = next(n for n in graph.nodes if n.endswith(layer))
    return replace(graph, nodes=graph.nodes | {name: replace(graph.nodes[name], **values)})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("layer", "values", "words"),
    [
        ("layer1.weight", {"weight": np.full((5, 7), 3, np.float32)}, ["layer1.weight", "weight 3", "-256..254"]),
        ("layer1.weight", {"weight": np.full((5, 7), 256, np.float32)}, ["layer1.weight", "weight 256", "-256..254"]),
        ("layer1.weight", {"bias": np.full(5, 2, np.float32)}, ["layer1.weight", "bias current of 2"]),
        ("layer1", {"v_threshold": 20.5}, ["layer1", "threshold 20.5", "integer"]),
        ("layer1", {"tau_steps": 1.00001}, ["layer1", "stateless gate"]),
        ("layer1", {"v_threshold": 20000 * (1 - 1e-6)}, ["layer1", "threshold 20000", "vth 159999", "limit 131071"]),
    ],
)
def test_what_is_out_of_range(layer: str, values: dict[str, object], words: list[str]) -> None:
    graph = changed(make_sequence(5).graph(), layer, **values)
    with pytest.raises(LavaDlError) as refused:
        form(select(graph))
    assert all(word in str(refused.value) for word in words), refused.value


def test_sums_that_would_leave_24_bits() -> None:
    """70 inputs of 254 and a bias of 2: 17,782; four steps leave 16,384."""
    build = GraphBuilder(2)
    entry = build.input(70)
    build.neuron("a", 1, 100, build.linear("a.weight", np.full((1, 70), 254, np.float32), entry))
    graph = build.finish(max(build.nodes), {"steps": 4})
    with pytest.raises(LavaDlError, match=r"n002_a: sums may reach 17780, the limit is 16384"):
        form(select(graph))
    assert form(select(replace(graph, metadata={"steps": 3}))).exponent == 1  # 32,768 hold


def test_a_readout_whose_sums_might_fire_its_neuron() -> None:
    """The largest threshold is 131,071: 130 inputs of 254 reach it in four steps, 520 inputs in one."""

    def readout(inputs: int) -> Graph:
        build = GraphBuilder(1)
        weight = np.full((1, inputs), 254, np.float32)
        return build.finish(build.linear("readout", weight, build.input(inputs)), {"steps": 4})

    assert form(select(readout(129))).readout == "sum over steps"
    assert form(select(readout(130))).readout == "sum of the step"
    with pytest.raises(LavaDlError, match=r"n002_output: sums may reach 132080, the limit is 131071"):
        form(select(readout(520)))


@pytest.mark.parametrize("steps", [None, 0, "four", True])
def test_steps_must_be_known(steps: object) -> None:
    graph = replace(make_sequence(5).graph(), metadata={"steps": steps})
    with pytest.raises(LavaDlError, match="steps"):
        select(graph)
    assert select(graph, steps=3).steps == 3


def test_ten_steps_need_an_exponent_beyond_three_bits() -> None:
    with pytest.raises(LavaDlError, match="T = 10 needs weight exponent 8, limit 7"):
        form(select(make_sequence(5).graph(), steps=10))


def test_inputs_that_do_not_fit(tmp_path: Path) -> None:
    sequence = make_sequence(5)
    net, spikes = form(select(sequence.graph())), make_spikes(6, sequence)
    with pytest.raises(LavaDlError, match="valid train"):
        net_inputs(net, spikes)
    with pytest.raises(LavaDlError, match="needs \\(samples, 4, 7, 3\\)"):
        net_inputs(net, spikes[:, :3], spikes[:, :3, -1])
    with pytest.raises(LavaDlError, match="from 0 to 2"):
        net_inputs(net, 2 * spikes.astype(int), spikes[:, :, -1])


def test_fixtures_are_what_they_say(block: Graph) -> None:
    assert isinstance(block.nodes["n027_block0.fc1"], Neuron)
    assert isinstance(block.nodes["n008_block0.k.weight"], TokenLinear)
