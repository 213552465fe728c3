"""A graph while it is drawn: nodes, and what is known of every signal, so that sums stay within what is defined."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from exporters.nir.graph import Attention, Graph, Input, Neuron, Node, Output, Pool, TokenLinear

JUNCTION = Pool(1, 0)
ANY_GRID = 10_000  # zeros lie on every grid


@dataclass(frozen=True, eq=False)
class Signal:
    """Messages of a node: (C,) bounds with ``low <= 0 <= high``, all of them multiples of ``2^unit``.

    ``rounded`` marks a pool's fractions: what is added to them has an order.
    """

    name: str
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    tokens: int
    unit: int = 0
    even: bool = False
    rounded: bool = False
    spikes: bool = False

    @property
    def channels(self) -> int:
        return len(self.high)

    @property
    def bound(self) -> float:
        return float(max(self.high.max(), -self.low.min()))


def added(parts: list[Signal]) -> Signal:
    """What several edges into one node sum to."""
    return Signal(
        "",
        np.sum([p.low for p in parts], axis=0),
        np.sum([p.high for p in parts], axis=0),
        parts[0].tokens,
        min(p.unit for p in parts),
        all(p.even for p in parts),
        any(p.rounded for p in parts),
    )


class Sketch:
    """Adds nodes in topological order."""

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self.edges: list[tuple[str, str]] = []

    def add(self, label: str, node: Node, *sources: Signal) -> str:
        name = f"n{len(self.nodes):03d}_{label}{len(self.nodes)}"
        self.nodes[name] = node
        self.edges += [(source.name, name) for source in sources]
        return name

    def input(self, channels: int, tokens: int) -> Signal:
        return self._spikes(self.add("input", Input((channels, 1, tokens))), channels, tokens)

    def neuron(self, label: str, tau: float, threshold: float, *sources: Signal) -> Signal:
        channels, tokens = sources[0].channels, sources[0].tokens
        name = self.add(label, Neuron((channels, 1, tokens), tau, threshold), *sources)
        return self._spikes(name, channels, tokens)

    def linear(
        self, source: Signal, weight: NDArray[np.float32], window: int = 1, bias: NDArray[np.float32] | None = None
    ) -> Signal:
        given = np.zeros(len(weight), np.float32) if bias is None else bias
        name = self.add("linear", TokenLinear(weight, given, source.tokens, window), source)
        wide, shift = weight.astype(np.float64), given.astype(np.float64)
        plus, minus = wide.clip(min=0), wide.clip(max=0)
        low, high = np.tile(source.low, window), np.tile(source.high, window)
        return Signal(
            name,
            plus @ low + minus @ high + shift.clip(max=0),
            plus @ high + minus @ low + shift.clip(min=0),
            source.tokens,
            min(source.unit + grid(wide), grid(shift)),
            source.even or not np.any(wide % 2),
            source.rounded,
        )

    def junction(self, *sources: Signal) -> Signal:
        return replace(added(list(sources)), name=self.add("junction", JUNCTION, *sources))

    def pool(self, source: Signal, kernel: int, padding: int) -> Signal:
        tokens = source.tokens + 2 * padding - kernel + 1
        two = int(kernel).bit_length() - 1
        odd = kernel != 1 << two
        name = self.add("pool", Pool(kernel, padding), source)
        return replace(
            source, name=name, tokens=tokens, unit=source.unit - two, rounded=source.rounded or odd, spikes=False,
            even=False,
        )  # fmt: skip

    def attention(self, node: Attention, *sources: Signal) -> Signal:
        name = self.add(node.kind, node, *sources)
        if node.kind == "sdsa":
            return self._spikes(name, node.width, node.tokens)
        most = np.full(node.width, float(node.tokens * node.width // node.heads))
        return Signal(name, 0 * most, most, node.tokens)

    def finish(self, *sources: Signal) -> Graph:
        self.add("output", Output((sources[0].channels, 1, sources[0].tokens)), *sources)
        return Graph(self.nodes, self.edges, {})

    @staticmethod
    def _spikes(name: str, channels: int, tokens: int) -> Signal:
        return Signal(name, np.zeros(channels), np.ones(channels), tokens, spikes=True)


def grid(values: NDArray[np.float64]) -> int:
    """The largest n for which all values are multiples of ``2^n``."""
    present = values[values != 0]
    if not len(present):
        return ANY_GRID
    fractions, exponents = np.frexp(present)
    whole = np.ldexp(fractions, 53).astype(np.int64)
    lowest = np.array([(int(x) & -int(x)).bit_length() - 1 for x in np.abs(whole).tolist()])
    return int((exponents - 53 + lowest).min())
