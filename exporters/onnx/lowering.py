"""Walks a graph and emits its nodes; the neurons are left to the form, all else has no state.

Signals are float32 (rows, N, C): rows are all samples and steps of a batch at once, so that a linear is one
matrix product over all of them. What only packs spikes for an attention is resolved into what it packs.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from exporters.nir.graph import Attention, Graph, Input, Neuron, TokenLinear, integer_threshold
from exporters.onnx.attention import attend
from exporters.onnx.emit import Emitter
from exporters.onnx.form import Form
from exporters.onnx.proof import Proof, spiking
from exporters.onnx.weights import store

CHANNELS, TOKENS = 2, 1  # axes of a signal


def emit_graph(graph: Graph, proof: Proof, emit: Emitter, form: Form, *, spikes: bool) -> None:
    """Emit everything between the model's inputs and outputs; ``spikes`` adds every layer's to the outputs."""
    walk = _Walk(graph, emit, form)
    layers = spiking(graph)
    for name in proof.order:
        node = graph.nodes[name]
        if isinstance(node, Input):
            walk.values[name] = form.enter()
        elif isinstance(node, Neuron):
            theta = integer_threshold(node.v_threshold)
            walk.values[name] = form.neuron(name, layers[name], walk.total(name), node.shape[0], theta)
        elif isinstance(node, Attention):
            walk.values[name] = walk.attention(name, node)
    form.leave_logits(walk.total(graph.output), graph.nodes[graph.output].shape[0])  # type: ignore[union-attr]
    for name in [name for name in proof.order if spikes and name in layers]:
        node = graph.nodes[name]
        width = node.width if isinstance(node, Attention) else node.shape[0]  # type: ignore[union-attr]
        form.leave_spikes(layers[name], walk.values[name], width)


class _Walk:
    def __init__(self, graph: Graph, emit: Emitter, form: Form) -> None:
        self.graph, self.emit, self.form = graph, emit, form
        self.values: dict[str, str] = {}

    def total(self, name: str) -> str:
        """The edges into a node, added up."""
        key = f"{name}/total"
        if key not in self.values:
            self.values[key] = self.emit.sum([self.value(source) for source in self.graph.sources(name)], name)
        return self.values[key]

    def value(self, name: str) -> str:
        """What a node sends; linears and junctions are emitted when first asked for."""
        if name not in self.values:
            node = self.graph.nodes[name]
            linear = isinstance(node, TokenLinear)
            self.values[name] = self._linear(name, node) if linear else self.total(name)  # type: ignore[arg-type]
        return self.values[name]

    def _linear(self, name: str, node: TokenLinear) -> str:
        source = self.total(name)
        return self._product(name, node.weight, self._window(source, node) if node.window > 1 else source)

    def _product(self, at: str, weight: NDArray[np.float32], source: str) -> str:
        """``weight`` (out, in) on a signal; a shifted multiple of the identity is a slice."""
        if (shifted := as_slice(weight)) is None:
            return self.emit.op("MatMul", [source, store(self.emit, at, weight.T)], f"{at}/product")
        first, factor = shifted
        out, inputs = weight.shape
        if out < inputs:
            source = self.emit.slice(source, first, first + out, CHANNELS, f"{at}/channels")
        return source if factor == 1 else self.emit.op("Mul", [source, self.emit.scalar(factor)], f"{at}/times")

    def _window(self, source: str, node: TokenLinear) -> str:
        """Each token's channels beside those of the next ``window - 1``, zero beyond the last slot."""
        key = f"{source}/window_{node.window}"
        if key not in self.values:
            pads = self.emit.integers(0, 0, 0, 0, node.window - 1, 0)
            padded = self.emit.op("Pad", [source, pads], f"{key}/padded", mode="constant")
            ahead = [
                self.emit.slice(padded, i, i + node.tokens, TOKENS, f"{key}/ahead_{i}") for i in range(node.window)
            ]
            self.values[key] = self.emit.op("Concat", ahead, key, axis=CHANNELS)
        return self.values[key]

    def attention(self, name: str, node: Attention) -> str:
        """An attention with its packing resolved."""
        starts = [0, node.width, 2 * node.width]
        cuts = [(start, start + node.width) for start in starts]
        if node.kind == "sdsa":
            cuts.append((3 * node.width, 3 * node.width + 1))
        return attend(self.emit, name, node, [self._part(name, *cut) for cut in cuts])

    def _part(self, name: str, start: int, stop: int) -> str:
        """Channels ``start`` to ``stop`` of what enters an attention."""
        terms = [self._rows(source, start, stop, name) for source in self.graph.sources(name)]
        found = [term for term in terms if term is not None]
        if not found:  # nothing was packed there: zeros, from the packed signal itself
            return self.emit.slice(self.total(name), start, stop, CHANNELS, f"{name}/from_{start}")
        return self.emit.sum(found, f"{name}/from_{start}")

    def _rows(self, name: str, start: int, stop: int, asked_by: str) -> str | None:
        """Channels ``start`` to ``stop`` of what a node sends; None where they are always zero."""
        node = self.graph.nodes[name]
        at = f"{asked_by}/from_{start}/{name}"
        if isinstance(node, TokenLinear) and node.window == 1:
            rows = node.weight[start:stop]
            return self._product(at, rows, self.total(name)) if rows.any() else None
        if isinstance(node, Input | Neuron | Attention | TokenLinear):
            return self.emit.slice(self.value(name), start, stop, CHANNELS, f"{at}/channels")
        terms = [self._rows(source, start, stop, asked_by) for source in self.graph.sources(name)]
        found = [term for term in terms if term is not None]
        return self.emit.sum(found, at) if found else None


def as_slice(weight: NDArray[np.float32]) -> tuple[int, float] | None:
    """(first column, factor) where ``weight`` is a multiple of the identity, shifted; else None."""
    out, inputs = weight.shape
    columns = np.flatnonzero(weight[0])
    if len(columns) != 1 or columns[0] + out > inputs:
        return None
    first, factor = int(columns[0]), float(weight[0, columns[0]])
    return (first, factor) if np.array_equal(weight, factor * np.eye(out, inputs, first)) else None
