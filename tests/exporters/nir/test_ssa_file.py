"""A file with ssa in gates: read back, recognised, stock-readable; one that was changed inside is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np
import pytest

from exporters.nir.errors import GraphError
from exporters.nir.graph import Attention, Graph
from exporters.nir.read import read_graph
from exporters.nir.ssa import ssa_body
from exporters.nir.write import write_graph
from simulators import simulate
from simulators.plan import plan
from tests.exporters.nir.files import assert_same_graph, edited, first, name_of, put
from tests.simulators.small_student import graph_of, random_inputs, random_student, run_numpy

WIDTH, HEADS, TOKENS = 4, 2, 4


def with_body(graph: Graph) -> Graph:
    nodes = {
        name: replace(node, body=ssa_body(node.width, node.heads, node.tokens)) if isinstance(node, Attention) else node
        for name, node in graph.nodes.items()
    }
    return replace(graph, nodes=nodes)


def student_graph() -> Graph:
    student = random_student(np.random.default_rng(0), "ssa", WIDTH, TOKENS, HEADS, hidden=6, blocks=1)
    return with_body(graph_of(student))


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("nir") / "ssa.nir"
    write_graph(student_graph(), path)
    return path


@pytest.fixture
def copy(good: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(good, tmp_path / "ssa.nir"))


def test_a_graph_comes_back_as_it_was_written(good: Path, tmp_path: Path) -> None:
    graph = read_graph(good)
    assert_same_graph(student_graph(), graph)
    write_graph(graph, tmp_path / "again.nir")
    assert (tmp_path / "again.nir").read_bytes() == good.read_bytes()


def test_stock_nir_reads_it_with_its_type_check_on(good: Path) -> None:
    stock = nir.read(good)
    inner = next(node for node in stock.nodes.values() if isinstance(node, nir.NIRGraph))
    kinds = {type(node).__name__ for node in [*stock.nodes.values(), *inner.nodes.values()]}
    assert kinds == {"Input", "Output", "Conv2d", "LIF", "AvgPool2d", "NIRGraph"}
    assert json.loads(inner.metadata["spikeport"]) == {"heads": 2, "op": "spiking_self_attention", "width": 4}


def test_the_simulator_still_runs_the_kernel_and_the_body_on_request(good: Path) -> None:
    student = random_student(np.random.default_rng(0), "ssa", WIDTH, TOKENS, HEADS, hidden=6, blocks=1)
    graph = read_graph(good)
    assert [op.name for op in plan(graph, 4, "loihi2").operations if op.path == "attention"]
    assert not [op for op in plan(graph, 4, "real", expand_attention=True).operations if op.path == "attention"]
    spikes, lengths = random_inputs(np.random.default_rng(1), student, 10)
    logits, layers = run_numpy(student, spikes)
    padding = np.arange(TOKENS) >= lengths[:, None]
    for options in ({}, {"arithmetic": "real", "expand_attention": True}):
        seen = simulate(graph, spikes, record=True, device="cpu", **options)  # type: ignore[arg-type]
        np.testing.assert_array_equal(seen.logits.numpy(), logits)
        for name, expected in layers.items():
            np.testing.assert_array_equal(seen.spikes[name].numpy(), expected, name)
        for name, gate in seen.spikes.items():
            assert not gate.numpy().transpose(0, 3, 1, 2)[padding].any(), name
    inside = [name for name in seen.spikes if "/" in name]
    assert len(inside) == 1 + TOKENS.bit_length()
    assert {name[-3:] for name in inside if seen.spikes[name].any()} >= {"_kv", "it0", "it1"}


def refusal(path: Path) -> str:
    with pytest.raises(GraphError) as refused:
        read_graph(path)
    message = str(refused.value)
    assert "\n" not in message and str(path) in message
    return message


def body(group: Any) -> Any:
    return first(group, "NIRGraph")


def scaled(kind: str, part: str, key: str, factor: float) -> Callable[[Any], None]:
    def edit(group: Any) -> None:
        node = first(body(group), kind, part)
        put(node, key, node[key][()] * np.float32(factor))

    return edit


def one_weight_more(group: Any) -> None:
    node = first(body(group), "Conv2d", "h0_e0_q")
    weight = node["weight"][()]
    weight[0, -1] = 1.0
    put(node, "weight", weight)


def another_edge(group: Any) -> None:
    edges = [(a.decode(), b.decode()) for a, b in body(group)["edges"][()]]
    nodes = sorted(body(group)["nodes"])
    left, count = (next(n for n in nodes if n.endswith(part)) for part in ("_left1", "_count"))
    swapped = [(count, b) if a == left and b.endswith("bit0") else (a, b) for a, b in edges]
    assert swapped != edges
    put(body(group), "edges", np.array(swapped, dtype=object).astype(h5py.string_dtype()))


def claim(**changes: Any) -> Callable[[Any], None]:
    def edit(group: Any) -> None:
        metadata = body(group)["metadata"]
        put(metadata, "spikeport", json.dumps({**json.loads(metadata["spikeport"][()]), **changes}))

    return edit


TAMPERING: dict[str, Callable[[Any], None]] = {
    "another bit threshold": scaled("LIF", "bit1", "v_threshold", 1.01),
    "another kv threshold": scaled("LIF", "_kv", "v_threshold", 0.9),
    "another value of a bit": scaled("Conv2d", "value2", "weight", 2.0),
    "nothing taken off": scaled("Conv2d", "off2", "weight", 0.0),
    "one weight more": one_weight_more,
    "a bit asked of the whole count": another_edge,
    "one edge less": lambda g: put(body(g), "edges", body(g)["edges"][()][:-1]),
    "other heads claimed": claim(heads=1),
    "heads that do not divide": claim(heads=3),
    "no heads": claim(heads=0),
    "another width claimed": claim(width=8),
    "an absurd width claimed": claim(width=10**9),
    "a width of text": claim(width="many"),
    "the other attention claimed": claim(op="spike_driven_self_attention", threshold=1),
    "an op of another kind": claim(op=["spiking_self_attention"]),
    "no metadata": lambda g: body(g).pop("metadata", None),
}


@pytest.mark.parametrize("tampering", TAMPERING)
def test_a_body_that_is_not_the_attention_it_claims_is_refused(tampering: str, copy: Path) -> None:
    with h5py.File(copy) as file:
        name = name_of(body(file["node"]))
    assert name in refusal(edited(copy, TAMPERING[tampering]))


def test_the_untouched_copy_is_read(copy: Path) -> None:
    edited(copy, lambda g: None)
    assert read_graph(copy).nodes


def test_an_attention_without_a_body_is_the_native_node_that_stock_nir_refuses(tmp_path: Path) -> None:
    student = random_student(np.random.default_rng(0), "ssa", WIDTH, TOKENS, HEADS, hidden=6, blocks=1)
    write_graph(graph_of(student), tmp_path / "m.nir")
    with pytest.raises(AssertionError):
        nir.read(tmp_path / "m.nir")
    node = next(n for n in read_graph(tmp_path / "m.nir").nodes.values() if isinstance(n, Attention))
    assert node.body is None
