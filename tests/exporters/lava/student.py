"""A small random student as a graph, and what it must compute, from the published equations.

The reference shares nothing with the code under test: it takes plain matrices, works in exact dyadic
integers (a membrane value is scaled by 2^T) and has no notion of delays, packing or Lava.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from exporters.nir.graph import TIE_MARGIN, Attention, Graph, Input, Neuron, Output, Pool, TokenLinear

Array = NDArray[np.int64]


@dataclass
class Student:
    """Sizes, matrices and thresholds by layer name."""

    kinds: tuple[str, ...]
    width: int
    tokens: int
    steps: int
    heads: int
    expansion: int = 2
    biases: int = 2
    classes: int = 3
    window: int = 1
    opens_at: int = 1
    weight: dict[str, Array] = field(default_factory=dict)
    bias: dict[str, Array] = field(default_factory=dict)
    threshold: dict[str, int] = field(default_factory=dict)


def make_student(rng: np.random.Generator, *kinds: str, **sizes: int) -> Student:
    """Random even weights, thresholds that let roughly a third of the neurons fire; a block per kind."""
    student = Student(kinds, **sizes)
    d = student.width
    for block, kind in enumerate(kinds):
        for layer, out, into in (("q", d, d), ("k", d, d), ("v", d, d), ("o", d, d)):
            _layer(student, rng, f"block{block}.{layer}", out, into * (student.window if layer in "qv" else 1))
        _layer(student, rng, f"block{block}.fc1", student.expansion * d, d)
        _layer(student, rng, f"block{block}.fc2", d, student.expansion * d)
        if kind == "ssa":
            student.threshold[f"block{block}.attention"] = max(1, student.tokens * d // student.heads // 16)
    _layer(student, rng, "readout", student.classes, d)
    return student


def _layer(student: Student, rng: np.random.Generator, name: str, out: int, into: int) -> None:
    high = max(2, min(60, 8192 // into // 4))
    student.weight[name] = 2 * rng.integers(-high // 2, high // 2 + 1, (out, into))
    student.bias[name] = 2 * rng.integers(-3, high // 2 + 3, (out, student.biases))
    student.threshold[name] = int(high * np.sqrt(into) / 4) + 1


def make_inputs(rng: np.random.Generator, student: Student, samples: int) -> NDArray[np.bool_]:
    """bool (S, T, D + 1, N); sample i has N - (i mod N) valid tokens, padded ones are silent."""
    shape = (samples, student.steps, student.width + 1, student.tokens)
    spikes = rng.random(shape) < 0.4
    spikes[:, :, -1] = True
    for sample in range(samples):
        spikes[sample, :, :, student.tokens - sample % student.tokens :] = False
    return spikes


def lif(current: Array, threshold: int) -> Array:
    """v <- v/2 + I/2, spike at v >= threshold, reset to 0; (S, T, C, N) sums to spikes."""
    steps = current.shape[1]
    v = np.zeros_like(current[:, 0])
    spikes = np.zeros_like(current)
    for t in range(steps):
        v = (v + (current[:, t] << steps)) // 2  # exact: after t steps v is a multiple of 2^(T-t)
        spikes[:, t] = v >= threshold << steps
        v[spikes[:, t] == 1] = 0
    return spikes


def reference(student: Student, inputs: NDArray[np.bool_]) -> tuple[Array, dict[str, Array]]:
    """Logits (S, T, K, N) and every layer's spikes (S, T, C, N)."""
    data = inputs.astype(np.int64)
    ones = np.repeat(data[:, :, -1:], student.biases, axis=2)
    seen = {"valid": lif(2 * ones, 1), "code": lif(2 * data[:, :, :-1], 1)}
    residual = seen["code"]

    def current(name: str, signal: Array) -> Array:
        weight, width = student.weight[name], signal.shape[2]
        sums = np.einsum("or,strn->ston", student.bias[name], ones)
        for ahead in range(weight.shape[1] // width):  # token n sees n, n + 1, ...; beyond the last there is nothing
            seen_ahead = np.zeros_like(signal)
            seen_ahead[..., : signal.shape[3] - ahead] = signal[..., ahead:]
            tap = weight[:, ahead * width : (ahead + 1) * width]
            sums = sums + np.einsum("oc,stcn->ston", tap, seen_ahead)
        return sums

    def layer(name: str, signal: Array) -> Array:
        seen[name] = lif(current(name, signal), student.threshold[name])
        return seen[name]

    for block, kind in enumerate(student.kinds):
        q, k, v = (layer(f"block{block}.{x}", residual) for x in "qkv")
        name = f"block{block}.attention"
        if kind == "ssa":
            split = (*q.shape[:2], student.heads, -1, student.tokens)
            q, k, v = (x.reshape(split) for x in (q, k, v))
            scores = np.einsum("sthcn,sthcm->sthnm", q, k)
            sums = np.einsum("sthnm,sthcm->sthcn", scores, v).reshape(residual.shape)
            seen[name] = lif(sums, student.threshold[name])
        else:
            opened = (q & k).sum(axis=3, keepdims=True) >= student.opens_at
            seen[name] = opened & v & ones[:, :, :1]
        residual = residual + layer(f"block{block}.o", seen[name])
        residual = residual + layer(f"block{block}.fc2", layer(f"block{block}.fc1", residual))
    return current("readout", residual), seen


class _Writer:
    def __init__(self, student: Student) -> None:
        self.student, self.nodes, self.edges = student, {}, []

    def add(self, name: str, node: object, *sources: str) -> str:
        full = f"n{len(self.nodes):03d}_{name}"
        self.nodes[full] = node
        self.edges += [(source, full) for source in sources]
        return full

    def linear(self, name: str, matrix: Array, source: str, window: int = 1) -> str:
        weight = np.asarray(matrix, np.float32)
        zeros = np.zeros(len(weight), np.float32)
        return self.add(name, TokenLinear(weight, zeros, self.student.tokens, window), source)

    def neuron(self, name: str, width: int, threshold: int, *sources: str) -> str:
        shape = (width, 1, self.student.tokens)
        return self.add(name, Neuron(shape, 2.0, threshold * (1 - TIE_MARGIN)), *sources)

    def join(self, name: str, *sources: str) -> str:
        return self.add(name, Pool(1, 0), *sources)

    def layer(self, name: str, signal: str, valid: str) -> str:
        student = self.student
        window = student.window if name[-2:] in (".q", ".v") else 1
        a = self.linear(f"{name}.weight", student.weight[name], signal, window)
        b = self.linear(f"{name}.bias", student.bias[name], valid)
        return self.neuron(name, len(student.weight[name]), student.threshold[name], a, b)


def make_graph(student: Student) -> Graph:
    """The graph as lowering lays it out."""
    w, d, r = _Writer(student), student.width, student.biases
    entry = w.add("input", Input((d + 1, 1, student.tokens)))
    cut = np.zeros((r, d + 1), np.int64)
    cut[:, d] = 2
    valid = w.neuron("valid", r, 1, w.linear("valid.cut", cut, entry))
    code = np.eye(d, d + 1, dtype=np.int64) * 2
    residual = w.neuron("code", d, 1, w.linear("code.cut", code, entry))
    for block, kind in enumerate(student.kinds):
        name = f"block{block}"
        q, k, v = (w.layer(f"{name}.{x}", residual, valid) for x in "qkv")
        attention = _attention(w, kind, name, q, k, v, valid)
        residual = w.join(f"{name}.residual1", residual, w.layer(f"{name}.o", attention, valid))
        hidden = w.layer(f"{name}.fc1", residual, valid)
        residual = w.join(f"{name}.residual2", residual, w.layer(f"{name}.fc2", hidden, valid))
    a = w.linear("readout.weight", student.weight["readout"], residual)
    b = w.linear("readout.bias", student.bias["readout"], valid)
    w.add("output", Output((student.classes, 1, student.tokens)), w.join("readout", a, b))
    return Graph(w.nodes, w.edges, {"steps": student.steps})


def _attention(w: _Writer, kind: str, name: str, q: str, k: str, v: str, valid: str) -> str:
    student, d = w.student, w.student.width
    masked = kind == "sdsa"
    packed = 3 * d + masked
    parts = []
    for index, (label, source) in enumerate((("q", q), ("k", k), ("v", v))):
        matrix = np.zeros((packed, d), np.int64)
        matrix[index * d : (index + 1) * d] = np.eye(d, dtype=np.int64)
        parts.append(w.linear(f"{name}.attention.pack_{label}", matrix, source))
    if masked:
        matrix = np.zeros((packed, student.biases), np.int64)
        matrix[-1, 0] = 1
        parts.append(w.linear(f"{name}.attention.pack_valid", matrix, valid))
    joined = parts[0]
    for index, part in enumerate(parts[1:]):
        joined = w.join(f"{name}.attention.join{index}", joined, part)
    heads, threshold = (1, student.opens_at) if masked else (student.heads, 0)
    node = Attention(kind, d, heads, student.tokens, threshold)
    if masked:
        return w.add(f"{name}.attention", node, joined)
    sums = w.add(f"{name}.attention.sum", node, joined)
    return w.neuron(f"{name}.attention", d, student.threshold[f"{name}.attention"], sums)
