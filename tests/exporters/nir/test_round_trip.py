"""What is written is read back, by us and by stock ``nir``; the same graph gives the same bytes."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import nir
import numpy as np
import pytest

from exporters.nir.errors import GraphError
from exporters.nir.graph import Attention, Graph, Input, Output
from exporters.nir.read import read_graph
from exporters.nir.write import write_graph
from tests.exporters.nir.files import assert_same_graph, student_graph

KINDS = ("ssa", "sdsa")


@pytest.mark.parametrize("kind", KINDS)
def test_a_graph_comes_back_as_it_was_written(kind: str, tmp_path: Path) -> None:
    graph = student_graph(kind)
    write_graph(graph, tmp_path / "m.nir")
    assert_same_graph(graph, read_graph(tmp_path / "m.nir"))


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_graph_gives_the_same_bytes(kind: str, tmp_path: Path) -> None:
    write_graph(student_graph(kind), tmp_path / "a.nir")
    shuffled = student_graph(kind)
    shuffled.edges.reverse()
    write_graph(shuffled, tmp_path / "b.nir")
    write_graph(read_graph(tmp_path / "a.nir"), tmp_path / "c.nir")
    first = (tmp_path / "a.nir").read_bytes()
    assert first == (tmp_path / "b.nir").read_bytes()
    assert first == (tmp_path / "c.nir").read_bytes()
    write_graph(student_graph(kind, seed=1), tmp_path / "d.nir")
    assert first != (tmp_path / "d.nir").read_bytes()


def test_stock_nir_reads_an_sdsa_file_with_its_type_check_on(tmp_path: Path) -> None:
    graph = student_graph("sdsa")
    write_graph(graph, tmp_path / "m.nir")
    stock = nir.read(tmp_path / "m.nir")
    assert set(stock.nodes) == set(graph.nodes)
    assert sorted(stock.edges) == sorted(graph.edges)
    known = {"Input", "Output", "Conv2d", "LIF", "AvgPool2d", "NIRGraph"}
    assert {type(n).__name__ for n in stock.nodes.values()} <= known
    name = next(n for n in graph.nodes if n.endswith("block0.q.weight"))
    np.testing.assert_array_equal(stock.nodes[name].weight[:, :, 0, 0], graph.nodes[name].weight)  # type: ignore[union-attr]
    neuron = stock.nodes[next(n for n in graph.nodes if n.endswith("block0.q"))]
    assert neuron.tau.shape == (4, 1, 4)
    np.testing.assert_allclose(neuron.tau, 2e-4, rtol=1e-6)
    assert not neuron.v_reset.any() and not neuron.v_leak.any() and (neuron.r == 1).all()


def test_stock_nir_refuses_an_ssa_file(tmp_path: Path) -> None:
    """It must not load a function that it would run wrongly."""
    write_graph(student_graph("ssa"), tmp_path / "m.nir")
    with pytest.raises(AssertionError):
        nir.read(tmp_path / "m.nir")


def test_the_meaning_does_not_hang_on_metadata(tmp_path: Path) -> None:
    graph = student_graph("ssa")
    write_graph(Graph(graph.nodes, graph.edges), tmp_path / "m.nir")
    assert_same_graph(Graph(graph.nodes, graph.edges), read_graph(tmp_path / "m.nir"))


def test_metadata_is_json_text(tmp_path: Path) -> None:
    write_graph(student_graph("sdsa"), tmp_path / "m.nir")
    with h5py.File(tmp_path / "m.nir") as file:
        assert json.loads(file["node/metadata/spikeport"][()]) == {"steps": 4}


def test_an_sdsa_attention_without_a_body_is_not_written(tmp_path: Path) -> None:
    nodes = {
        "n0_input": Input((13, 1, 4)),
        "n1_a": Attention("sdsa", 4, 1, 4, 1),
        "n2_output": Output((4, 1, 4)),
    }
    edges = [("n0_input", "n1_a"), ("n1_a", "n2_output")]
    with pytest.raises(GraphError, match="body"):
        write_graph(Graph(nodes, edges), tmp_path / "m.nir")
