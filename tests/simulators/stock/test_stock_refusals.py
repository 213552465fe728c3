"""Whatever cannot be run as written is refused in one line that names it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest
import torch

from exporters.nir.write import to_nir
from simulators import StockGraphError, simulate_nir
from tests.exporters.nir.files import edited, put, student_graph
from tests.simulators.stock.reference import alone, graph, image_net, images, leaky


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dt": 0.0}, r"dt 0\.0: seconds per step"),
        ({"dt": float("nan")}, r"dt nan"),
        ({"integrate": "ms"}, r"integrate 'ms': choose one of seconds, steps"),
        ({"current": "old"}, r"current 'old': choose one of new, previous"),
        ({"start": "rest"}, r"start 'rest': choose one of zero, leak"),
        ({"duplicate_edges": "twice"}, r"duplicate_edges 'twice': choose"),
        ({"dtype": torch.float16}, r"dtype torch\.float16: choose"),
        ({"batch_size": 0}, r"batch_size 0"),
        ({"dt": 3e-4}, r"node 'node': tau is 0\.0002 s, below the step of 0\.0003 s"),
    ],
)
def test_options(change: dict[str, Any], message: str) -> None:
    with pytest.raises(StockGraphError, match=message) as caught:
        simulate_nir(alone(leaky(2), (2,)), np.ones((1, 1, 2)), **change)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.ones((1, 2, 3)), r"input: inputs of shape \(1, 2, 3\), needs \(samples, steps, 2\)"),
        (np.ones((1, 2)), r"inputs of shape \(1, 2\)"),
        (np.ones((0, 2, 2)), r"at least one sample and step"),
        (np.ones((1, 0, 2)), r"at least one sample and step"),
        (np.full((1, 1, 2), np.nan), r"no finite real numbers"),
        (np.full((1, 1, 2), 1j), r"no finite real numbers"),
        (np.full((1, 1, 2), "a"), r"inputs of type <U1, needs numbers or bool"),
    ],
)
def test_inputs(x: np.ndarray, message: str) -> None:
    with pytest.raises(StockGraphError, match=message):
        simulate_nir(alone(leaky(2), (2,)), x)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda n: put(n["nodes"]["lif"], "type", "Izhikevich"), r"node 'lif': type Izhikevich is none of nir 1\.0\.8"),
        (lambda n: n["nodes"]["lif"].pop("tau"), r"node 'lif': cannot be read"),
        (lambda n: put(n["nodes"]["lif"], "tau", "soon"), r"node 'lif': tau is no number"),
        (lambda n: n["nodes"].move("lif", "a/b"), r"node 'a': has no type; a '/' in a node's name does this"),
        (lambda n: n.pop("edges"), r"the graph: has no readable nodes and edges"),
        (lambda n: n["nodes"].move("lif", "cell"), r"node 'lif' does not exist; without any edge is 'cell': rename"),
        (lambda n: put(n["nodes"]["lif"], "tau", np.full((4, 3, 3), np.nan)), r"tau holds a value that is not finite"),
        (lambda n: put(n["nodes"]["lif"], "tau", np.full((4, 3, 3), 1e-9)), r"below the step"),
        (lambda n: put(n["nodes"]["conv"], "weight", 3.0), r"node 'conv': cannot be read"),
        (lambda n: put(n["nodes"]["flat"], "start_dim", 5), r"node 'flat': start_dim 5 and end_dim -1"),
    ],
)
def test_damaged_files(edit: Callable[[Any], object], message: str, tmp_path: Path) -> None:
    nir.write(tmp_path / "m.nir", image_net())
    edited(tmp_path / "m.nir", edit)  # type: ignore[arg-type]
    with pytest.raises(StockGraphError, match=message) as caught:
        simulate_nir(tmp_path / "m.nir", images(1))
    assert "\n" not in str(caught.value)


def test_what_is_no_nir_file(tmp_path: Path) -> None:
    with pytest.raises(StockGraphError, match="no such file"):
        simulate_nir(tmp_path / "none.nir", images(1))
    (tmp_path / "text.nir").write_text("no HDF5")
    with pytest.raises(StockGraphError, match="not a readable NIR file"):
        simulate_nir(tmp_path / "text.nir", images(1))
    with pytest.raises(StockGraphError, match=r"type SpikingSelfAttention is none of nir 1\.0\.8"):
        simulate_nir(to_nir(student_graph("ssa")), images(1))


def conv(**change: Any) -> nir.NIRGraph:
    facts = {"input_shape": None, "weight": np.ones((4, 2, 3, 3)), "stride": 1, "padding": 0, "dilation": 1}
    return alone(nir.Conv2d(**{**facts, "groups": 1, "bias": np.zeros(4), **change}), (2, 5, 5))


def pool(*sizes: Any) -> nir.NIRGraph:
    return alone(nir.AvgPool2d(*map(np.array, sizes)), (2, 5, 5))


def two(first: nir.NIRNode, second: nir.NIRNode, size: int) -> nir.NIRGraph:
    edges = [("input", "a"), ("input", "b"), ("a", "output"), ("b", "output")]
    return graph({"a": first, "b": second}, edges, size, size)


def nested(*kinds: type) -> nir.NIRGraph:
    ends = {f"{kind.__name__}{i}": kind(np.array([2])) for i, kind in enumerate(kinds)}
    inner = nir.NIRGraph({**ends, "s": nir.Scale(np.ones(2))}, [
        *((name, "s") for name in ends if name.startswith("Input")),
        *(("s", name) for name in ends if name.startswith("Output")),
    ], type_check=False)  # fmt: skip
    return alone(inner, (2,))


@pytest.mark.parametrize(
    ("g", "message"),
    [
        (conv(weight=np.ones((4, 3, 3, 3))), r"node 'node': weight of shape \(4, 3, 3, 3\) in 1 groups takes 3"),
        (conv(groups=3), r"node 'node': weight of shape \(4, 2, 3, 3\) in 3 groups"),
        (conv(bias=np.zeros(3)), r"node 'node': bias of shape \(3,\), needs \(4,\)"),
        (conv(input_shape=(6, 5)), r"node 'node': input_shape \(6, 5\), \(5, 5\) arrives"),
        (conv(padding="same", stride=2), r"node 'node': padding 'same' with stride"),
        (conv(weight=np.ones((4, 2, 9, 3))), r"node 'node': its kernel is larger than the \(2, 5, 5\)"),
        (conv(stride=(1, 0)), r"node 'node': stride .* at least 1"),
        (conv(padding=(-1, 0)), r"node 'node': padding .* at least 0"),
        (pool([2, 2, 2], [1], [0]), r"node 'node': kernel_size .*, needs 2 whole numbers"),
        (pool([9, 9], [1, 1], [0, 0]), r"node 'node': its kernel is larger"),
        (alone(nir.AvgPool2d(*np.ones((3, 2), int)), (4,)), r"node 'node': pools \(channels, height, width\), \(4,\)"),
        (alone(nir.Linear(np.ones((2, 3))), (4,)), r"node 'node': weight of shape \(2, 3\) takes \(3,\), \(4,\)"),
        (alone(nir.Linear(np.ones((2, 3))), (5, 3)), r"takes \(3,\), \(5, 3\) arrives; flatten it first"),
        (alone(nir.Affine(np.ones((2, 3)), np.ones(3)), (3,)), r"node 'node': bias of shape \(3,\), needs \(2,\)"),
        (alone(leaky(3), (4,)), r"node 'node': tau of shape \(3,\), \(4,\) arrives"),
        (alone(leaky(3), (2, 3)), r"node 'node': tau of shape \(3,\), \(2, 3\) arrives"),
        (alone(nir.Delay(np.array([-1e-4])), (1,)), r"node 'node': delay is -0\.0001 s"),
        (alone(nir.Scale(np.array([np.inf])), (1,)), r"node 'node': scale holds a value that is not finite"),
        (two(nir.Linear(np.ones((3, 2))), nir.Scale(np.ones(2)), 2), r"edge 'b' -> 'output': brings \(2,\)"),
        (nested(nir.Input, nir.Input, nir.Output), r"node 'node': a nested graph with 2 Input nodes, needs exactly 1"),
        (nested(nir.Input, nir.Output, nir.Output), r"node 'node': a nested graph with 2 Output nodes"),
        (graph({}, [("output", "input")], 2, 2), r"edge 'output' -> 'input': leads into an Input"),
        (nir.NIRGraph({}, [], type_check=False), r"graph: holds no nodes"),
        (alone(nir.Scale(np.ones(2)), (0,)), r"a signal of shape \(0,\)"),
    ],
)  # fmt: skip
def test_graphs(g: nir.NIRGraph, message: str) -> None:
    with pytest.raises(StockGraphError, match=message) as caught:
        simulate_nir(g, np.ones((1, 1, 2)))
    assert "\n" not in str(caught.value)


def test_two_nodes_of_one_flat_name() -> None:
    inner = graph({"s": nir.Scale(np.ones(2))}, [("input", "s"), ("s", "output")], 2, 2)
    edges = [("input", "a"), ("a", "a/s"), ("a/s", "output")]
    with pytest.raises(StockGraphError, match="node 'a/s': two nodes have this name"):
        simulate_nir(graph({"a": inner, "a/s": nir.Scale(np.ones(2))}, edges, 2, 2), np.ones((1, 1, 2)))


def test_a_cycle_through_an_empty_nested_graph() -> None:
    empty = graph({}, [("input", "output")], 2, 2)
    edges = [("input", "a"), ("a", "a"), ("a", "output")]
    with pytest.raises(StockGraphError, match=r"cycle 'a/\w+': leads from a nested graph's Output to its Input"):
        simulate_nir(graph({"a": empty}, edges, 2, 2), np.ones((1, 1, 2)))


def test_a_graph_without_an_input() -> None:
    nodes = {"lif": leaky(2), "v": nir.Linear(np.eye(2))}
    with pytest.raises(StockGraphError, match="graph: has no Input"):
        simulate_nir(nir.NIRGraph(nodes, [("lif", "v"), ("v", "lif")], type_check=False), np.ones((1, 1, 2)))


def test_an_input_of_unknown_shape() -> None:
    nodes = {"pool": nir.AvgPool2d(*np.ones((3, 2), int)), "lif": leaky(2)}
    with pytest.raises(StockGraphError, match="node 'input_pool': nothing tells the shape of its input"):
        simulate_nir(nir.NIRGraph(nodes, [("pool", "lif")], type_check=False), np.ones((1, 1, 2)))
