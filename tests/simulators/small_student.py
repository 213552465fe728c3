"""A small integer student as a graph, written by hand, and the same student in plain numpy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from exporters.nir.graph import TIE_MARGIN, Attention, Graph, Input, Neuron, Node, Output, Pool, TokenLinear

Array = NDArray[np.int64]
LAYERS = ("q", "k", "v", "o", "fc1", "fc2")


@dataclass
class Student:
    """Weights (out, in), biases (out, R) and thresholds by layer name."""

    kind: str
    width: int
    tokens: int
    steps: int
    heads: int
    hidden: int
    labels: int
    blocks: int
    columns: int
    weight: dict[str, Array]
    bias: dict[str, Array]
    theta: dict[str, int]
    attention_threshold: int


def even(rng: np.random.Generator, shape: tuple[int, ...], low: int, high: int) -> Array:
    return 2 * rng.integers(low // 2, high // 2 + 1, size=shape)


def random_student(
    rng: np.random.Generator,
    kind: str = "ssa",
    width: int = 8,
    tokens: int = 5,
    heads: int = 2,
    hidden: int = 12,
    blocks: int = 2,
    span: int = 60,
    threshold: int = 2,
) -> Student:
    weight, bias, theta = {}, {}, {}
    for i in range(blocks):
        for name in LAYERS:
            inputs = hidden if name == "fc2" else width
            outputs = hidden if name == "fc1" else width
            weight[f"block{i}.{name}"] = even(rng, (outputs, inputs), -span, span)
            weight[f"block{i}.{name}"][rng.random((outputs, inputs)) < 0.2] = 0
            bias[f"block{i}.{name}"] = even(rng, (outputs, 2), -span // 2, span)
            theta[f"block{i}.{name}"] = int(rng.integers(span // 4, span))
    weight["readout"], bias["readout"] = even(rng, (3, width), -256, 254), even(rng, (3, 2), -256, 254)
    return Student(kind, width, tokens, 4, heads, hidden, 3, blocks, 2, weight, bias, theta, threshold)


def stored(theta: int) -> float:
    return theta * (1.0 - TIE_MARGIN)


class _Writer:
    def __init__(self, tokens: int) -> None:
        self.nodes: dict[str, Node] = {}
        self.edges: list[tuple[str, str]] = []
        self.tokens = tokens

    def add(self, name: str, node: Node, *sources: str) -> str:
        full = f"n{len(self.nodes):03d}_{name}"
        self.nodes[full] = node
        self.edges += [(s, full) for s in sources]
        return full

    def linear(self, name: str, weight: NDArray[np.generic], source: str) -> str:
        matrix = weight.astype(np.float32)
        return self.add(name, TokenLinear(matrix, np.zeros(len(matrix), np.float32), self.tokens), source)

    def neuron(self, name: str, channels: int, theta: int, *sources: str) -> str:
        return self.add(name, Neuron((channels, 1, self.tokens), 2.0, stored(theta)), *sources)

    def sum(self, name: str, *sources: str) -> str:
        return self.add(name, Pool(1, 0), *sources)

    def pack(self, name: str, parts: dict[str, tuple[str, int]], total: int) -> str:
        """One-hot linears into one chain of junctions, two edges at a join."""
        start, joined = 0, ""
        for part, (source, channels) in parts.items():
            rows = np.zeros((total, channels))
            rows[start + np.arange(channels), np.arange(channels)] = 1
            start += channels
            packed = self.linear(f"{name}.pack_{part}", rows, source)
            joined = self.sum(f"{name}.join_{part}", joined, packed) if joined else packed
        return joined


def graph_of(s: Student, body: Graph | None = None) -> Graph:
    """The student's graph in the layout of the exporter."""
    w = _Writer(s.tokens)
    d, r = s.width, s.columns
    x = w.add("input", Input((d + 1, 1, s.tokens)))
    cut = np.zeros((r, d + 1))
    cut[:, d] = 2
    valid = w.neuron("valid", r, 1, w.linear("valid.cut", cut, x))
    x = w.neuron("code", d, 1, w.linear("code.cut", 2 * np.eye(d, d + 1), x))

    def layer(name: str, source: str) -> str:
        edges = [
            w.linear(f"{name}.weight", s.weight[name], source),
            w.linear(f"{name}.bias", s.bias[name], valid),
        ]
        return w.neuron(name, len(s.weight[name]), s.theta[name], *edges)

    for i in range(s.blocks):
        b = f"block{i}"
        parts = {name: (layer(f"{b}.{name}", x), d) for name in ("q", "k", "v")}
        if s.kind == "ssa":
            node = Attention("ssa", d, s.heads, s.tokens, 0)
            sums = w.add(f"{b}.attention.sum", node, w.pack(f"{b}.attention", parts, 3 * d))
            a = w.neuron(f"{b}.attention", d, s.attention_threshold, sums)
        else:
            valid_one = w.linear(f"{b}.attention.valid", np.eye(1, r), valid)
            packed = w.pack(f"{b}.attention", parts | {"valid": (valid_one, 1)}, 3 * d + 1)
            a = w.add(f"{b}.attention", Attention("sdsa", d, 1, s.tokens, s.attention_threshold, body), packed)
        x = w.sum(f"{b}.residual1", x, layer(f"{b}.o", a))
        x = w.sum(f"{b}.residual2", x, layer(f"{b}.fc2", layer(f"{b}.fc1", x)))
    edges = [
        w.linear("readout.weight", s.weight["readout"], x),
        w.linear("readout.bias", s.bias["readout"], valid),
    ]
    w.add("output", Output((s.labels, 1, s.tokens)), w.sum("readout", *edges))
    return Graph(w.nodes, w.edges, {"steps": s.steps})


def sdsa_body(width: int, tokens: int, threshold: int) -> Graph:
    """``sdsa`` in stock primitives: gates of tau 1.00001, token sum by a pool of kernel 2N - 1.

    The output gate takes v, the broadcast count / (2N - 1) and the valid train; it fires at
    ``[count >= theta] AND v AND valid`` because the count's share stays below 1.
    """
    w = _Writer(tokens)
    span = 2 * tokens - 1

    def cut(name: str, start: int, source: str) -> str:
        rows = np.zeros((width, 3 * width + 1))
        rows[np.arange(width), start + (np.arange(width) if start < 3 * width else 0)] = 1
        return w.linear(name, rows, source)

    def gate(name: str, level: float, *sources: str) -> str:
        return w.add(name, Neuron((width, 1, tokens), 1.00001, level), *sources)

    x = w.add("input", Input((3 * width + 1, 1, tokens)))
    both = gate("and_qk", 1.5, cut("q", 0, x), cut("k", width, x))
    count = w.add("count", Pool(span, tokens - 1), both)
    opened = gate("open", 1 + (threshold - 0.5) / span, count, cut("valid", 3 * width, x))
    out = gate("and_v", 1.5, opened, cut("v", 2 * width, x))
    w.add("output", Output((width, 1, tokens)), out)
    return Graph(w.nodes, w.edges)


def random_inputs(
    rng: np.random.Generator, s: Student, samples: int, rate: float = 0.4
) -> tuple[NDArray[np.bool_], Array]:
    """Spikes (S, T, D + 1, N) with trailing padding, and the number of valid tokens of each sample."""
    lengths = rng.integers(1, s.tokens + 1, size=samples)
    valid = np.arange(s.tokens) < lengths[:, None]
    spikes = rng.random((samples, s.steps, s.width + 1, s.tokens)) < rate
    spikes[:, :, -1] = True
    return spikes & valid[:, None, None, :], lengths


def lif(current: Array, theta: int) -> NDArray[np.bool_]:
    """``v = (v + I) / 2``, fire at ``v >= theta``, hard reset, in exact float64; axis 1 is time."""
    v = np.zeros(current[:, 0].shape)
    spikes = np.zeros(current.shape, dtype=bool)
    for t in range(current.shape[1]):
        v = (v + current[:, t]) / 2
        spikes[:, t] = v >= theta
        v = np.where(spikes[:, t], 0.0, v)
    return spikes


def run_numpy(s: Student, inputs: NDArray[np.bool_]) -> tuple[Array, dict[str, NDArray[np.bool_]]]:
    """Logits (S, T, K, N) and spikes (S, T, C, N) of every layer, without the graph."""
    x = inputs.astype(np.int64)
    valid, x = x[:, :, -1:], x[:, :, :-1]
    out: dict[str, NDArray[np.bool_]] = {
        "valid": np.repeat(valid > 0, s.columns, axis=2),
        "code": x > 0,
    }

    def current(name: str, source: Array) -> Array:
        bias = s.bias[name].sum(axis=1)[:, None] * valid
        return np.einsum("oc,stcn->ston", s.weight[name], source) + bias

    def layer(name: str, source: Array) -> Array:
        out[name] = lif(current(name, source), s.theta[name])
        return out[name].astype(np.int64)

    for i in range(s.blocks):
        q, k, v = (layer(f"block{i}.{name}", x) for name in ("q", "k", "v"))
        if s.kind == "ssa":
            a = lif(ssa_sums(q, k, v, s.heads), s.attention_threshold)
        else:
            opened = (q * k).sum(axis=3, keepdims=True) >= s.attention_threshold
            a = opened & (v > 0) & (valid > 0)
        out[f"block{i}.attention"] = a
        x = x + layer(f"block{i}.o", a.astype(np.int64))
        x = x + layer(f"block{i}.fc2", layer(f"block{i}.fc1", x))
    return current("readout", x), out


def ssa_sums(q: Array, k: Array, v: Array, heads: int) -> Array:
    """(Q K^T) V per head by explicit scores; (S, T, D, N)."""
    split = [a.reshape(*a.shape[:2], heads, -1, a.shape[3]) for a in (q, k, v)]
    scores = np.einsum("sthai,sthaj->sthij", split[0], split[1])
    return np.einsum("sthij,sthaj->sthai", scores, split[2]).reshape(q.shape)
