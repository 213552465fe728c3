"""Files of somebody else and damaged files: refused in one line that names what is wrong."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np
import pytest

from exporters.nir.errors import GraphError
from exporters.nir.graph import TokenLinear
from exporters.nir.read import read_graph
from exporters.nir.write import write_graph
from tests.exporters.nir.files import edited, first, name_of, put, student_graph


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("nir")
    for kind in ("ssa", "sdsa"):
        write_graph(student_graph(kind), folder / f"{kind}.nir")
    return {kind: folder / f"{kind}.nir" for kind in ("ssa", "sdsa")}


@pytest.fixture
def copy(good: dict[str, Path], tmp_path: Path) -> Callable[[str], Path]:
    return lambda kind: Path(shutil.copy(good[kind], tmp_path / f"{kind}.nir"))


def refusal(path: Path) -> str:
    with pytest.raises(GraphError) as refused:
        read_graph(path)
    message = str(refused.value)
    assert "\n" not in message and str(path) in message and len(message) < 700, message
    return message


def stock_lif(shape: tuple[int, ...]) -> nir.LIF:
    return nir.LIF(*(np.full(shape, value) for value in (2e-4, 1.0, 0.0, 1.0)))


def test_an_affine_network_is_refused_by_node_and_type(tmp_path: Path) -> None:
    affine = nir.Affine(weight=np.ones((3, 4)), bias=np.zeros(3))
    nir.write(tmp_path / "m.nir", nir.NIRGraph.from_list(affine, stock_lif((3,))))
    message = refusal(tmp_path / "m.nir")
    assert "'affine'" in message and "Affine" in message and "supported" in message


def test_a_conv1d_network_is_refused_by_node_and_type(tmp_path: Path) -> None:
    conv = nir.Conv1d(
        input_shape=8, weight=np.ones((3, 2, 1)), stride=1, padding=0, dilation=1, groups=1, bias=np.zeros(3)
    )
    nir.write(tmp_path / "m.nir", nir.NIRGraph.from_list(conv, stock_lif((3, 8))))
    message = refusal(tmp_path / "m.nir")
    assert "'conv1d'" in message and "Conv1d" in message


def conv2d(**changes: Any) -> nir.NIRGraph:
    options: dict[str, Any] = {
        "input_shape": (1, 8), "weight": np.ones((4, 4, 1, 1)), "stride": (1, 1), "padding": (0, 0),
        "dilation": (1, 1), "groups": 1, "bias": np.zeros(4),
    }  # fmt: skip
    return nir.NIRGraph.from_list(nir.Conv2d(**(options | changes)))


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"groups": 2, "weight": np.ones((4, 2, 1, 1))}, "groups 2"),
        ({"weight": np.ones((4, 4, 1, 3))}, "(4, 4, 1, 3)"),
        ({"stride": (1, 2)}, "stride"),
        ({"padding": (0, 1)}, "padding"),
        ({"padding": "same"}, "padding"),
        ({"input_shape": (2, 8)}, "input"),
    ],
)
def test_a_convolution_that_is_no_token_wise_map_is_refused(changes: dict[str, Any], word: str, tmp_path: Path) -> None:
    nir.write(tmp_path / "m.nir", conv2d(**changes))
    assert word in refusal(tmp_path / "m.nir")


def test_a_stock_token_wise_convolution_is_read(tmp_path: Path) -> None:
    conv = conv2d(bias=np.array([0.5, 0, -1, 2])).nodes["conv2d"]
    size = np.array([4, 1, 8])
    nodes = {"a": nir.Input({"input": size}), "b": conv, "c": nir.Output({"output": size})}
    nir.write(tmp_path / "m.nir", nir.NIRGraph(nodes, [("a", "b"), ("b", "c")]))
    linear = read_graph(tmp_path / "m.nir").nodes["b"]
    assert isinstance(linear, TokenLinear)
    assert linear.bias.tolist() == [0.5, 0, -1, 2] and linear.tokens == 8


def test_names_out_of_topological_order_are_refused(tmp_path: Path) -> None:
    """``from_list`` names its nodes conv2d, input, output."""
    nir.write(tmp_path / "m.nir", conv2d())
    assert "topological order" in refusal(tmp_path / "m.nir")


def change_neuron(key: str, value: float) -> Callable[[Any], None]:
    return lambda g: put(first(g, "LIF", "block0.q"), key, np.full((4, 1, 4), value, np.float32))


def per_neuron(key: str) -> Callable[[Any], None]:
    def edit(group: Any) -> None:
        node = first(group, "LIF", "block0.q")
        values = node[key][()]
        values[2, 0, 1] += 1e-4
        put(node, key, values)

    return edit


def edge(source: str, target: str) -> Callable[[Any], None]:
    def edit(group: Any) -> None:
        edges = [(a.decode(), b.decode()) for a, b in group["edges"][()]]
        put(group, "edges", np.array([*edges, (source, target)], dtype=object).astype(h5py.string_dtype()))

    return edit


def repeat_an_edge(group: Any) -> None:
    a, b = group["edges"][0]
    edge(a.decode(), b.decode())(group)


FAULTS: dict[str, tuple[Callable[[Any], None], list[str]]] = {
    "thresholds per neuron": (per_neuron("v_threshold"), ["block0.q", "v_threshold", "2 values"]),
    "taus per neuron": (per_neuron("tau"), ["block0.q", "tau", "2 values"]),
    "another tau": (change_neuron("tau", 3e-4), ["block0.q", "tau", "3"]),
    "a tau of one step": (change_neuron("tau", 1e-4), ["block0.q", "tau", "1"]),
    "a gain": (change_neuron("r", 2.0), ["block0.q", "r is 2"]),
    "a leak": (change_neuron("v_leak", 0.5), ["block0.q", "v_leak", "0.5"]),
    "a reset": (change_neuron("v_reset", -1.0), ["block0.q", "v_reset", "-1"]),
    "no number for a threshold": (change_neuron("v_threshold", np.nan), ["block0.q", "v_threshold", "nan"]),
    "an edge to nowhere": (edge("n000_input", "n999_ghost"), ["n999_ghost"]),
    "an edge from nowhere": (edge("n999_ghost", "n001_valid.cut"), ["n999_ghost"]),
    "a loop": (edge("n004_code", "n001_valid.cut"), ["n004_code", "recurrent"]),
    "an edge twice": (repeat_an_edge, ["twice"]),
    "no type": (lambda g: first(g, "LIF").pop("type", None), []),
    "a numeric type": (lambda g: put(first(g, "LIF"), "type", 7), []),
    "no weight": (lambda g: first(g, "Conv2d").pop("weight", None), []),
    "a flat weight": (lambda g: put(first(g, "Conv2d"), "weight", np.ones(4)), ["(4,)"]),
    "a weight of text": (lambda g: put(first(g, "Conv2d"), "weight", "text"), []),
    "a weight that float32 does not hold": (
        lambda g: put(first(g, "Conv2d", "block0.q"), "weight", np.full((4, 4, 1, 1), 0.1)),
        ["block0.q", "weight", "float32"],
    ),
    "a weight that is no number": (
        lambda g: put(first(g, "Conv2d", "block0.q"), "weight", np.full((4, 4, 1, 1), np.inf)),
        ["block0.q", "weight"],
    ),
    "a bias of another length": (
        lambda g: put(first(g, "Conv2d", "block0.q"), "bias", np.zeros(3, np.float32)),
        ["block0.q", "bias"],
    ),
    "a shape of two": (lambda g: put(first(g, "Input"), "shape", np.array([5, 4])), ["(5, 4)"]),
    "an image": (lambda g: put(first(g, "Output"), "shape", np.array([3, 2, 4])), ["(3, 2, 4)"]),
    "a true average": (lambda g: put(first(g, "AvgPool2d"), "kernel_size", np.array([1, 2])), ["AvgPool2d"]),
    "a strided pool": (lambda g: put(first(g, "AvgPool2d"), "stride", np.array([1, 2])), ["AvgPool2d"]),
    "an empty pool": (lambda g: put(first(g, "AvgPool2d"), "kernel_size", np.zeros(0, int)), []),
    "no edges": (lambda g: g.pop("edges", None), []),
    "edges of numbers": (lambda g: put(g, "edges", np.arange(6).reshape(3, 2)), []),
    "edges of three": (lambda g: put(g, "edges", [["a", "b", "c"]]), []),
    "no nodes": (lambda g: g.pop("nodes", None), []),
    "nodes in a dataset": (lambda g: put(g, "nodes", 3), []),
    "a second input": (lambda g: g["nodes"].copy(first(g, "Input"), "n998_input"), ["2 Input"]),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_refused_by_name(fault: str, copy: Callable[[str], Path]) -> None:
    edit, words = FAULTS[fault]
    message = refusal(edited(copy("sdsa"), edit))
    assert all(word in message for word in words), message


def body(group: Any) -> Any:
    return first(group, "NIRGraph")


def gate_threshold(group: Any) -> None:
    node = first(body(group), "LIF", "open")
    put(node, "v_threshold", node["v_threshold"][()] * np.float32(0.99))


def body_weight(group: Any) -> None:
    node = first(body(group), "Conv2d", "_v")
    weight = node["weight"][()]
    weight[0, 0] = 1.0
    put(node, "weight", weight)


def drop_body_edge(group: Any) -> None:
    put(body(group), "edges", body(group)["edges"][()][1:])


def repeat_body_edge(group: Any) -> None:
    repeat_an_edge(body(group))


def claim(**changes: Any) -> Callable[[Any], None]:
    def edit(group: Any) -> None:
        metadata = body(group)["metadata"]
        facts = json.loads(metadata["spikeport"][()])
        put(metadata, "spikeport", json.dumps({**facts, **changes}))

    return edit


TAMPERING: dict[str, Callable[[Any], None]] = {
    "another gate threshold": gate_threshold,
    "another weight": body_weight,
    "one edge less": drop_body_edge,
    "an edge twice": repeat_body_edge,
    "another threshold claimed": claim(threshold=1),
    "another width claimed": claim(width=5),
    "an absurd width claimed": claim(width=10**7),
    "no width claimed": claim(width=None),
    "a width of text": claim(width="many"),
    "another operation": claim(op="softmax"),
    "no metadata": lambda g: body(g).pop("metadata", None),
    "metadata of another kind": lambda g: put(body(g)["metadata"], "spikeport", "[1, 2]"),
    "metadata that is no JSON": lambda g: put(body(g)["metadata"], "spikeport", "{"),
}


@pytest.mark.parametrize("tampering", TAMPERING)
def test_a_body_that_is_not_the_attention_it_claims_is_refused(tampering: str, copy: Callable[[str], Path]) -> None:
    path = copy("sdsa")
    with h5py.File(path) as file:
        name = name_of(body(file["node"]))
    assert name in refusal(edited(path, TAMPERING[tampering]))


@pytest.mark.parametrize(("key", "value"), [("heads", 3), ("heads", 0), ("width", -4), ("tokens", 0), ("width", "x")])
def test_impossible_sizes_of_an_attention_are_refused(key: str, value: Any, copy: Callable[[str], Path]) -> None:
    path = edited(copy("ssa"), lambda g: put(first(g, "SpikingSelfAttention"), key, value))
    refusal(path)


def test_an_absent_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    assert "no such file" in refusal(tmp_path / "absent.nir")
    assert "no such file" in refusal(tmp_path)


@pytest.mark.parametrize("content", [b"", b"not HDF5 at all", b"\x89HDF\r\n\x1a\n", bytes(4096)])
def test_a_file_that_is_no_hdf5_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "m.nir").write_bytes(content)
    refusal(tmp_path / "m.nir")


def test_an_hdf5_file_of_something_else_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "m.nir", "w") as file:
        file["measurements"] = np.arange(3)
    refusal(tmp_path / "m.nir")


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9, 0.999])
def test_a_truncated_file_is_refused(share: float, copy: Callable[[str], Path]) -> None:
    path = copy("sdsa")
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    refusal(path)


def test_flipped_bytes_are_read_or_refused_never_a_crash(copy: Callable[[str], Path]) -> None:
    path = copy("ssa")
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(60):
        damaged = bytearray(content)
        for place in rng.integers(0, len(content), size=20):
            damaged[place] ^= int(rng.integers(1, 256))
        path.write_bytes(bytes(damaged))
        try:
            read_graph(path)
        except GraphError as error:
            assert "\n" not in str(error)
            refused += 1
    assert refused > 5
