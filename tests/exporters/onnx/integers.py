"""A typed graph in plain integers, node by node, and ONNX Runtime on the three forms of its model.

A membrane is held times 2^T, so that T halvings leave no fraction; attention takes the scores first.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import ModelProto

from exporters.nir.graph import TIE_MARGIN, Attention, Graph, Input, Neuron, TokenLinear
from exporters.onnx import build_model, to_bytes

Array = NDArray[np.int64]
FORMS = ("scan", "unrolled", "step")


def expected(graph: Graph, spikes: NDArray[np.bool_]) -> tuple[Array, dict[str, NDArray[np.bool_]]]:
    """Logits and every layer's spikes, (S, T, C, N)."""
    values: dict[str, Array] = {}
    layers = {}
    for name, node in sorted(graph.nodes.items()):
        if isinstance(node, Input):
            values[name] = spikes.astype(np.int64)
            continue
        total = sum(values[a] for a, b in graph.edges if b == name)
        assert isinstance(total, np.ndarray)
        if isinstance(node, TokenLinear):
            values[name] = linear(node, total)
        elif isinstance(node, Neuron):
            values[name] = lif(total, round(node.v_threshold / (1 - TIE_MARGIN)))
        elif isinstance(node, Attention):
            values[name] = attention(node, total)
        else:
            values[name] = total
        if isinstance(node, Neuron) or (isinstance(node, Attention) and node.kind == "sdsa"):
            layers[name.split("_", 1)[1]] = values[name] > 0
    return values[graph.output], layers


def linear(node: TokenLinear, x: Array) -> Array:
    weight = node.weight.astype(np.int64)
    inputs = weight.shape[1] // node.window
    out = np.zeros((*x.shape[:2], len(weight), x.shape[3]), np.int64)
    for n in range(x.shape[3]):
        for ahead in range(min(node.window, x.shape[3] - n)):
            out[..., n] += x[..., n + ahead] @ weight[:, ahead * inputs : (ahead + 1) * inputs].T
    return out


def lif(current: Array, theta: int) -> Array:
    steps = current.shape[1]
    v, spikes = np.zeros_like(current[:, 0]), np.zeros_like(current)
    for t in range(steps):
        v = (v + current[:, t] * 2**steps) // 2
        spikes[:, t] = v >= theta * 2**steps
        v[spikes[:, t] == 1] = 0
    return spikes


def attention(node: Attention, packed: Array) -> Array:
    d = node.width
    q, k, v = packed[:, :, :d], packed[:, :, d : 2 * d], packed[:, :, 2 * d : 3 * d]
    if node.kind == "sdsa":
        opened = (q & k).sum(axis=3, keepdims=True) >= node.threshold
        return (opened & (v > 0) & (packed[:, :, 3 * d : 3 * d + 1] > 0)).astype(np.int64)
    q, k, v = (part.reshape(*part.shape[:2], node.heads, -1, part.shape[3]) for part in (q, k, v))
    scores = np.einsum("sthci,sthcj->sthij", q, k)
    return np.einsum("sthij,sthcj->sthci", scores, v).reshape(*packed.shape[:2], d, -1)


def session(model: ModelProto) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    return onnxruntime.InferenceSession(to_bytes(model), options, providers=["CPUExecutionProvider"])


def run_form(graph: Graph, spikes: NDArray[np.bool_], form: str) -> tuple[NDArray[Any], dict[str, NDArray[Any]]]:
    """Logits and layers by ONNX Runtime, the model of ``form`` built for these spikes."""
    steps = spikes.shape[1]
    if form == "step":
        return run_steps(graph, spikes)
    model = build_model(graph, unroll=steps if form == "unrolled" else None, spikes=True)
    return named(session(model), {"spikes": spikes})


def run_steps(graph: Graph, spikes: NDArray[np.bool_]) -> tuple[NDArray[Any], dict[str, NDArray[Any]]]:
    """The one-step model, fed by hand as its documentation says."""
    model = build_model(graph, step=True, spikes=True)
    running = session(model)
    sizes = {value.name: value.shape[1:] for value in running.get_inputs() if value.name.startswith("state/")}
    state = {name: np.zeros((len(spikes), *size), np.float32) for name, size in sizes.items()}
    count = np.zeros(1, np.int64)
    seen = []
    for t in range(spikes.shape[1]):
        names = [value.name for value in running.get_outputs()]
        found = dict(zip(names, running.run(None, {"spikes": spikes[:, t], "step": count, **state}), strict=True))
        state, count = {name: found[f"next_{name}"] for name in state}, found["next_step"]
        assert count.tolist() == [t + 1]
        seen.append({name: value for name, value in found.items() if not name.startswith("next_")})
    joined = {name: np.stack([step[name] for step in seen], axis=1) for name in seen[0]}
    return joined.pop("logits"), {name.removeprefix("spikes/"): value for name, value in joined.items()}


def named(running: onnxruntime.InferenceSession, feed: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    names = [value.name for value in running.get_outputs()]
    found = dict(zip(names, running.run(None, feed), strict=True))
    return found.pop("logits"), {name.removeprefix("spikes/"): value for name, value in found.items()}


def assert_equal(found: tuple[NDArray[Any], dict[str, Any]], wanted: tuple[Array, dict[str, Any]]) -> None:
    assert set(found[1]) == set(wanted[1])
    assert all(value.dtype == np.bool_ for value in found[1].values())
    mismatches = {name: int((found[1][name] != value).sum()) for name, value in wanted[1].items()}
    assert not any(mismatches.values()), mismatches
    np.testing.assert_array_equal(found[0], wanted[0])
