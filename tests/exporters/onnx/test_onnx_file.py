"""The file: checked by ONNX itself, the same bytes each time, small, and saying what it is."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, checker, numpy_helper

from benchmarks.random_graphs import random_graph
from exporters.onnx import build_model, facts_of, to_bytes, write_model
from exporters.onnx.errors import OnnxExportError
from exporters.onnx.weights import compact
from tests.exporters.onnx.integers import session

OPTIONS: dict[str, dict[str, object]] = {"scan": {}, "unrolled": {"unroll": 3}, "step": {"step": True}}
SCRIPT = """
import hashlib
from exporters.onnx import build_model, to_bytes
from benchmarks.random_graphs import random_graph
print(hashlib.sha256(to_bytes(build_model(random_graph(0, "ssa", window=2), spikes=True))).hexdigest())
"""


@pytest.mark.parametrize("spikes", [False, True])
@pytest.mark.parametrize("kind", ["ssa", "sdsa"])
@pytest.mark.parametrize("form", list(OPTIONS))
def test_onnx_checks_what_was_written(form: str, kind: str, spikes: bool, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    graph = random_graph(0, kind, window=2)
    write_model(graph, path, spikes=spikes, **OPTIONS[form])  # type: ignore[arg-type]
    model = onnx.load(path)
    checker.check_model(model, full_check=True)
    facts = facts_of({entry.key: entry.value for entry in model.metadata_props}, "it")
    layers = sorted(value.name for value in model.graph.output if value.name.startswith("spikes/"))
    assert facts["form"] == form and [f"spikes/{layer}" for layer in facts["layers"]] == layers
    assert bool(layers) == spikes


def test_the_same_graph_gives_the_same_bytes_in_any_order_and_process(repository: Path) -> None:
    graph = random_graph(0, "ssa", window=2)
    turned = replace(graph, nodes=dict(reversed(graph.nodes.items())), edges=graph.edges[::-1])
    content = to_bytes(build_model(graph, spikes=True))
    assert to_bytes(build_model(turned, spikes=True)) == content
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=repository, capture_output=True, text=True, check=True
    )  # another process: another seed of the hashes of strings
    assert done.stdout.strip() == hashlib.sha256(content).hexdigest()
    assert to_bytes(build_model(random_graph(1, "ssa", window=2), spikes=True)) != content


def test_it_says_who_wrote_it_and_carries_the_graphs_metadata() -> None:
    graph = random_graph(0, "sdsa")
    model = build_model(graph, unroll=2)
    properties = {entry.key: entry.value for entry in model.metadata_props}
    assert model.producer_name == "spikeport" and model.producer_version
    assert json.loads(properties["spikeport"]) == graph.metadata
    assert facts_of(properties, "it")["steps"] == 2


@pytest.mark.parametrize("form", list(OPTIONS))
def test_even_weights_take_a_byte_each_and_are_stored_once(form: str) -> None:
    graph = random_graph(0, "ssa", width=32)
    model = build_model(graph, **OPTIONS[form])  # type: ignore[arg-type]
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    floats = [tensor for tensor in stored.values() if tensor.data_type == TensorProto.FLOAT]
    assert all(numpy_helper.to_array(tensor).size == 1 for tensor in floats)
    large = [name for name, tensor in stored.items() if numpy_helper.to_array(tensor).size >= 32 * 32]
    weights = [
        name for name in graph.nodes if name.endswith(("local.weight", "q.weight", "k.weight", "v.weight", "o.weight"))
    ]
    assert large == sorted(f"{name}/stored" for name in weights)  # the one-hot packing takes nothing
    assert all(stored[name].data_type == TensorProto.INT8 for name in large)


@pytest.mark.parametrize(
    ("values", "kind", "factor"),
    [
        ([-256, 254], np.int8, 2),
        ([-127, 127], np.int8, 1),
        ([-256, 253], np.int16, 1),
        ([256, 0], np.int16, 1),
        ([40000, 1], np.float32, 1),
    ],
)
def test_each_weight_comes_back_from_the_smallest_form(values: list[int], kind: type, factor: int) -> None:
    matrix = np.array([values], np.float32)
    stored, times = compact(matrix)
    assert stored.dtype == kind and times == factor
    np.testing.assert_array_equal(stored.astype(np.float32) * times, matrix)


def test_the_unrolled_form_has_no_subgraph_and_the_scan_form_nothing_else_that_loops() -> None:
    def kinds(model: ModelProto) -> tuple[set[str], int]:
        inner = sum(a.HasField("g") for node in model.graph.node for a in node.attribute)
        return {node.op_type for node in model.graph.node}, inner

    graph = random_graph(0, "ssa")
    unrolled, none = kinds(build_model(graph, unroll=4))
    scanned, some = kinds(build_model(graph))
    assert none == 0 and not unrolled & {"Scan", "Loop", "If"}
    assert some == 8 and "Scan" in scanned and "Loop" not in scanned  # one a neuron


def test_more_steps_than_are_exact_fail_in_the_file_itself() -> None:
    graph = random_graph(0, "ssa")
    model = build_model(graph)
    most = facts_of({entry.key: entry.value for entry in model.metadata_props}, "it")["max_steps"]
    running = session(model)
    running.run(None, {"spikes": np.zeros((1, most, 5, 5), bool)})
    with pytest.raises(Exception, match="out of data bounds"):
        running.run(None, {"spikes": np.zeros((1, most + 1, 5, 5), bool)})
    step = session(build_model(graph, step=True))
    state = {v.name: np.zeros((1, *v.shape[1:]), np.float32) for v in step.get_inputs() if v.name.startswith("state/")}
    feed = {"spikes": np.zeros((1, 5, 5), bool), **state}
    step.run(None, {**feed, "step": np.array([most - 1])})
    with pytest.raises(Exception, match="out of data bounds"):
        step.run(None, {**feed, "step": np.array([most])})


@pytest.mark.parametrize(
    ("properties", "said"),
    [
        ({}, "not written by spikeport"),
        ({"spikeport.onnx": "no JSON"}, "not written by spikeport"),
        ({"spikeport.onnx": "[1]"}, "not written by spikeport"),
        ({"spikeport.onnx": '{"format": "spikeport.onnx/2"}'}, "this version reads 'spikeport.onnx/1'"),
        ({"spikeport.onnx": '{"format": "spikeport.onnx/1", "form": "scan"}'}, "max_steps is None, needs a int"),
    ],
)
def test_a_model_of_somebody_else_is_told_apart(properties: dict[str, str], said: str) -> None:
    with pytest.raises(OnnxExportError) as error:
        facts_of(properties, "theirs.onnx")
    assert said in str(error.value) and str(error.value).startswith("theirs.onnx: ")
