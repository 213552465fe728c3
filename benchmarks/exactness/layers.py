"""Random small graphs, one after another from a seed: the "layers" on which the simulator is compared."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.exactness.drawing import Drawing
from benchmarks.exactness.sketch import Signal, added
from benchmarks.exactness.thresholds import on_membranes
from exporters.nir.graph import Attention, Graph
from exporters.nir.sdsa import sdsa_body
from exporters.nir.ssa import ssa_body

ARITHMETICS = ("loihi2", "real")


@dataclass
class Case:
    """One graph and what enters it; ``(arithmetic, seed, number)`` give it again.

    Attributes:
        exact: every sum is exact in whatever order it is added.
        options: how ``simulate`` is called.
        precision: torch's ``float32_matmul_precision`` during the call.
        features: what the graph has, in words.
    """

    arithmetic: str
    seed: int
    number: int
    graph: Graph
    inputs: NDArray[np.bool_]
    exact: bool
    options: dict[str, Any]
    precision: str = "highest"
    features: set[str] = field(default_factory=set)


def draw(arithmetic: str, seed: int, number: int) -> Case:
    """The layer ``number`` of the series ``seed``."""
    rng = np.random.default_rng([seed, number, ARITHMETICS.index(arithmetic)])
    steps, tokens = int(rng.integers(1, 9)), int(rng.integers(1, 10))
    return _Layers(arithmetic, rng, steps, tokens).case(seed, number)


class _Layers(Drawing):
    def case(self, seed: int, number: int) -> Case:
        """Some layers, a readout, and inputs."""
        for _ in range(int(self.rng.choice([1, 1, 2, 3]))):
            kind = self.rng.random()
            if kind < 0.12:
                self._attention("ssa")
            elif kind < 0.22:
                self._attention("sdsa")
            else:
                self._layer()
        if not any(type(node).__name__ == "Neuron" for node in self.sketch.nodes.values()):
            self._layer()
        graph = self._readout()
        options: dict[str, Any] = {"batch_size": int(self.rng.choice([64, 64, 1, 2]))}
        if self._may_expand(graph):
            options["expand_attention"] = True
            self.features.add("attention in its body")
        precision = "medium" if self.rng.random() < 0.15 else "highest"
        self.features.add("exact sums" if self.palette.exact else "sums that round")
        self.features |= {"float32 products may be reduced"} if precision == "medium" else set()
        inputs, exact = self._inputs(), self.palette.exact
        if exact:
            graph = on_membranes(graph, inputs, self.arithmetic, self.rng)
        return Case(self.arithmetic, seed, number, graph, inputs, exact, options, precision, self.features)

    def _layer(self) -> None:
        if self.rng.random() < 0.4:
            self.message()
        if not self.integer and self.rng.random() < 0.3:
            self.pool()
        source = self.source()
        same = source.channels
        out = (
            same
            if self.rng.random() < 0.4
            else int(self.rng.choice([self.rng.integers(1, 9), self.rng.integers(1, 41)]))
        )
        parts = [self.linear(source, out)]
        if self.rng.random() < 0.4:
            parts.append(self.bias(out, source.tokens))
        if self.rng.random() < 0.3:
            parts.append(self.linear(self.source(source.tokens), out))
        if self.rng.random() < 0.2:
            parts.append(next((s for s in self.signals if (s.channels, s.tokens) == (out, source.tokens)), None))
        self._neuron("layer", [part for part in parts if part is not None] or [source])

    def _neuron(self, label: str, parts: list[Signal]) -> None:
        while len(parts) > 1 and not self.within(*parts):
            parts = parts[:-1]
        whole = added(parts)
        # Half the largest sum where all inputs fire, a square root of their number where they do not.
        spread = max(whole.bound, 2.0**-40) / self.rng.choice([1.0, 2.0, 5.0, 10.0, 30.0])
        exponent = self.steps - 1 - int(whole.even)
        tau, threshold = self.palette.neuron(spread, exponent)
        self.signals.append(self.sketch.neuron(label, tau, threshold, *parts))
        count = len(parts)
        self.features.add(f"{count} edge{'s' * (count > 1)} into a neuron")
        if self.integer:
            self.features.add(f"e = {exponent}")
        elif tau != 2:
            self.features.add(f"tau = {tau:.6g}")

    def _attention(self, kind: str) -> None:
        """q, k and v cut from spike signals, packed side by side; for ssa, a neuron behind."""
        heads = int(self.rng.choice([1, 2, 3])) if kind == "ssa" else 1
        width, tokens = heads * int(self.rng.integers(1, 9)), self.entry.tokens
        packed = 3 * width + int(kind == "sdsa")
        parts = []
        for place in range(3 + int(kind == "sdsa")):
            taken = self.entry if place == 3 else self.source(tokens, spikes=True)
            rows = np.arange(width if place < 3 else 1)
            columns = self.rng.integers(0, taken.channels, len(rows)) if place < 3 else np.array([self.channels])
            weight = np.zeros((packed, taken.channels), np.float32)
            weight[place * width + rows, columns] = 1.0
            parts.append(self.sketch.linear(taken, weight))
        threshold = int(self.rng.integers(1, tokens + 2)) if kind == "sdsa" else 0
        body = None
        if kind == "sdsa":
            body = sdsa_body(width, tokens, threshold)
        elif self.rng.random() < 0.3:
            body = ssa_body(width, heads, tokens)
        made = self.sketch.attention(Attention(kind, width, heads, tokens, threshold, body), *self._joined(parts))
        self.features.add(kind)
        if kind == "sdsa":
            self.signals.append(made)
            return
        bias = self.bias(width, tokens) if self.rng.random() < 0.3 else None
        self._neuron("attended", [made] if bias is None else [made, bias])
        if self.rng.random() < 0.3:
            self.signals.insert(0, made)

    def _joined(self, parts: list[Signal]) -> list[Signal]:
        """All edges into one node, or a chain of joins of two."""
        if self.rng.random() < 0.3:
            return parts
        whole = parts[0]
        for part in parts[1:]:
            whole = self.sketch.junction(whole, part)
        return [whole]

    def _readout(self) -> Graph:
        source = self.signals[-1]
        labels = int(self.rng.integers(1, 7))
        parts = [self.linear(source, labels)]
        if self.rng.random() < 0.4:
            parts.append(self.bias(labels, source.tokens))
        present = [part for part in parts if part is not None]
        if not present or not self.within(*present):
            present = present[:1] or [source]
        if len(present) == 2 and self.rng.random() < 0.5:
            present = [self.sketch.junction(*present)]
        return self.sketch.finish(*present)

    def _may_expand(self, graph: Graph) -> bool:
        nodes = [node for node in graph.nodes.values() if isinstance(node, Attention)]
        return not self.integer and bool(nodes) and all(node.body for node in nodes) and self.rng.random() < 0.5

    def _inputs(self) -> NDArray[np.bool_]:
        """Every density, all firing and all silent among them; behind a sentence's end silence, or none."""
        samples, tokens = int(self.rng.integers(1, 5)), self.entry.tokens
        densities = self.rng.choice([0.0, 1.0, 0.02, 0.1, self.rng.random(), self.rng.random(), 0.5], samples)
        shape = (samples, self.steps, self.channels + 1, tokens)
        spikes = self.rng.random(shape) < densities[:, None, None, None]
        for sample, density in enumerate(densities):
            self.features |= {name for name, it in (("all silent", 0.0), ("all firing", 1.0)) if density == it}
            if density < 1 and self.rng.random() < 0.6:
                spikes[sample, :, -1] = True
            if density < 1 and self.rng.random() < 0.5:
                spikes[sample, :, :, int(self.rng.integers(0, tokens + 1)) :] = False
                self.features.add("padding")
        return spikes
