"""A small integer graph to write, ways to damage its file, and equality of graphs, field by field."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from exporters.nir.graph import Attention, Graph, Input, Neuron, Node, Output, Pool, TokenLinear
from exporters.nir.sdsa import sdsa_body
from tests.simulators.small_student import graph_of, random_student


def student_graph(kind: str, seed: int = 0) -> Graph:
    s = random_student(np.random.default_rng(seed), kind, width=4, hidden=6, tokens=4, blocks=1)
    return graph_of(s, sdsa_body(s.width, s.tokens, s.attention_threshold) if kind == "sdsa" else None)


def assert_same_graph(a: Graph, b: Graph) -> None:
    """Nodes, edges and metadata; the time constant of a gate to float32, everything else exactly."""
    assert list(a.nodes) == sorted(b.nodes)
    assert sorted(a.edges) == sorted(b.edges)
    assert a.metadata == b.metadata
    for name in a.nodes:
        assert_same_node(a.nodes[name], b.nodes[name], name)


def assert_same_node(a: Node, b: Node, name: str) -> None:
    assert type(a) is type(b), name
    match a, b:
        case (TokenLinear(), TokenLinear()):
            assert a.weight.dtype == b.weight.dtype == np.float32
            np.testing.assert_array_equal(a.weight, b.weight, err_msg=name)
            np.testing.assert_array_equal(a.bias, b.bias, err_msg=name)
            assert a.tokens == b.tokens
        case (Neuron(), Neuron()):
            assert a.shape == b.shape
            assert (a.tau_steps == 2) == (b.tau_steps == 2)
            assert math.isclose(a.tau_steps, b.tau_steps, rel_tol=1e-6)
            assert np.float32(a.v_threshold) == np.float32(b.v_threshold)
        case (Attention(), Attention()):
            assert (a.kind, a.width, a.heads, a.tokens) == (b.kind, b.width, b.heads, b.tokens)
            assert a.threshold == b.threshold
            assert (a.body is None) == (b.body is None)
            if a.body and b.body:
                for inner in a.body.nodes:
                    assert_same_node(a.body.nodes[inner], b.body.nodes[inner], f"{name}/{inner}")
                assert sorted(a.body.edges) == sorted(b.body.edges)
        case (Input() | Output() | Pool(), _):
            assert a == b


def edited(path: Path, edit: Callable[[Any], None]) -> Path:
    """The file at ``path``, changed in place by ``edit`` on its ``node`` group."""
    with h5py.File(path, "r+") as file:
        edit(file["node"])
    return path


def put(group: Any, key: str, value: Any) -> None:
    """Replace a dataset, type and shape included."""
    if key in group:
        del group[key]
    group[key] = value


def first(group: Any, kind: str, part: str = "") -> Any:
    """The first node of a type whose name holds ``part``."""
    nodes = group["nodes"]
    return next(nodes[n] for n in sorted(nodes) if nodes[n]["type"][()].decode() == kind and part in n)


def name_of(group: Any) -> str:
    return str(group.name.rsplit("/", 1)[1])
