"""Activity by brute force: a graph walked node by node, every message delivered over every weight, one by one.

Knows nothing of plans and engines; fit for small graphs only. Sums must stay where Loihi's registers hold them.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from exporters.nir.graph import Attention, Graph, Input, Neuron, Output, Pool, TokenLinear

Values = NDArray[np.float64]
SAFE_SUM = 8192  # T = 4: neither wrap nor clip, so Loihi's neuron is the plain one


@dataclass
class Counted:
    """Counts of one node, per step where they are series."""

    kind: str
    steps: int
    totals: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    series: dict[str, list[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = ("spikes", "synops", "messages", "updates_active", "updates_idle", "accumulates", "macs", "bytes")
        self.series = {name: [0] * self.steps for name in names}


def inlined(graph: Graph) -> Graph:
    """Attention nodes replaced by their bodies, whose entry and exit become junctions; the exit keeps the name."""
    nodes, edges = {}, []
    for name, node in graph.nodes.items():
        if not isinstance(node, Attention):
            nodes[name] = node
            continue
        assert node.body is not None
        names = {n: name if isinstance(part, Output) else f"{name}/{n}" for n, part in node.body.nodes.items()}
        for n, part in node.body.nodes.items():
            nodes[names[n]] = Pool(1, 0) if isinstance(part, Input | Output) else part
        edges += [(names[a], names[b]) for a, b in node.body.edges]
        entry = names[node.body.input]
        graph = replace(graph, edges=[(a, entry if b == name else b) for a, b in graph.edges])
    return replace(graph, nodes=nodes, edges=edges + graph.edges)


class Reference:
    """Signals and counts of one run; ``per_neuron`` counts active updates neuron by neuron."""

    def __init__(self, graph: Graph, inputs: NDArray[np.bool_], *, per_neuron: bool) -> None:
        self.graph, self.per_neuron = graph, per_neuron
        self.samples, self.steps = inputs.shape[:2]
        self.values: dict[str, Values] = {graph.input: inputs.astype(np.float64)}
        self.low: dict[str, Values] = {graph.input: np.zeros(inputs.shape[2])}
        self.high: dict[str, Values] = {graph.input: np.ones(inputs.shape[2])}
        self.reached: dict[str, NDArray[np.bool_]] = {}  # per linear: outputs that got an event
        self.nodes: dict[str, Counted] = {}
        while len(self.values) < len(graph.nodes):
            for name in graph.nodes:
                if name not in self.values and all(s in self.values for s in graph.sources(name)):
                    self._run(name)

    @cached_property
    def wiring(self) -> set[str]:
        """Nodes that lead to attention only, through other such nodes."""

        def packs(name: str) -> bool:
            targets = self.graph.targets(name)
            return bool(targets) and all(isinstance(self.graph.nodes[t], Attention) or passes(t) for t in targets)

        def passes(name: str) -> bool:
            return isinstance(self.graph.nodes[name], TokenLinear | Pool) and packs(name)

        return {name for name in self.graph.nodes if passes(name)}

    def _run(self, name: str) -> None:
        sources = self.graph.sources(name)
        x = sum(self.values[s] for s in sources)
        self.low[name], self.high[name] = sum(self.low[s] for s in sources), sum(self.high[s] for s in sources)
        assert isinstance(x, np.ndarray)
        match node := self.graph.nodes[name]:
            case TokenLinear():
                assert len(sources) == 1
                self.values[name] = self._linear(name, node, sources[0])
            case Neuron():
                self._neuron(name, node, x)
            case Pool():
                pads = ((0, 0),) * 3 + ((node.padding, node.padding),)
                wide = np.pad(x, pads)
                slots = wide.shape[-1] - node.kernel + 1
                self.values[name] = sum(wide[..., j : j + slots] for j in range(node.kernel)) / node.kernel
            case Attention():
                self.values[name] = self._attention(name, node, x)
            case _:
                self.values[name] = x

    def _linear(self, name: str, node: TokenLinear, source: str) -> Values:
        x, taps = self.values[source], node.taps().astype(np.float64)
        out = np.zeros((self.samples, self.steps, len(node.weight), node.tokens))
        for n, ahead in itertools.product(range(node.tokens), range(node.window)):
            if n + ahead < node.tokens:
                out[..., n] += x[..., n + ahead] @ taps[ahead].T
        low, high = np.tile(self.low[source], node.window), np.tile(self.high[source], node.window)
        plus, minus = np.maximum(node.weight, 0), np.minimum(node.weight, 0)
        self.low[name], self.high[name] = plus @ low + minus @ high, plus @ high + minus @ low
        if name not in self.wiring:
            self._deliver(name, node, source, taps)
        return out

    def _deliver(self, name: str, node: TokenLinear, source: str, taps: Values) -> None:
        """Each message over each weight of each window in which it stands."""
        x, count = self.values[source], Counted("synapse", self.steps)
        self.reached[name] = np.zeros((self.samples, self.steps, len(node.weight), node.tokens), dtype=bool)
        whole = bool((x == np.rint(x)).all())
        units, binary = whole and self.low[source].min() >= 0, whole and self.high[source].max() <= 1
        for s, t, c, m in zip(*np.nonzero(x), strict=True):
            events = 0
            for ahead, o in itertools.product(range(node.window), range(len(node.weight))):
                if m - ahead >= 0 and taps[ahead, o, c]:
                    events += 1
                    self.reached[name][s, t, o, m - ahead] = True
            count.series["synops"][t] += events * (int(x[s, t, c, m]) if units else 1)
            count.series["accumulates" if units and binary else "macs"][t] += events
            count.series["bytes"][t] += events  # 8 bits each
            count.series["messages"][t] += events > 0
        reachable = [
            any(m - a >= 0 and taps[a, o, c] for a, o in itertools.product(range(node.window), range(len(node.weight))))
            for c, m in itertools.product(range(taps.shape[2]), range(node.tokens))
        ]
        count.totals["axons"] = sum(reachable)
        pairs = [(n, a) for n in range(node.tokens) for a in range(node.window) if n + a < node.tokens]
        count.totals["synapses"] = sum(int(np.count_nonzero(taps[a])) for _, a in pairs)
        count.totals["dense_macs"] = len(pairs) * taps[0].size * self.samples * self.steps
        count.totals["weights"], count.totals["window"] = int(np.count_nonzero(node.weight)), node.window
        self.nodes[name] = count

    def _neuron(self, name: str, node: Neuron, x: Values) -> None:
        assert np.abs(x).max() <= SAFE_SUM
        v, spikes = np.zeros_like(x[:, 0]), np.zeros_like(x)
        for t in range(self.steps):
            v = v + (x[:, t] - v) / node.tau_steps
            spikes[:, t] = v > node.v_threshold
            v = np.where(spikes[:, t] > 0, 0.0, v)
        self._fired(name, spikes)
        reached = np.zeros(x.shape, dtype=bool)
        for source in self.graph.sources(name):
            reached |= self.reached[source] if source in self.reached else self.values[source] != 0
        self._updated("neuron", name, reached)

    def _fired(self, name: str, spikes: Values) -> None:
        self.values[name] = spikes
        self.low[name], self.high[name] = np.zeros(spikes.shape[2]), np.ones(spikes.shape[2])

    def _updated(self, kind: str, name: str, reached: NDArray[np.bool_]) -> Counted:
        """Counts of neurons, given which of them got an event."""
        count = self.nodes[name] = Counted(kind, self.steps)
        count.totals["neurons"] = reached[0, 0].size
        for s, t, n in np.ndindex(self.samples, self.steps, reached.shape[3]):
            hit = reached[s, t, :, n]
            active = int(hit.sum()) if self.per_neuron else int(hit.any()) * len(hit)
            sent = int(self.values[name][s, t, :, n].sum())
            for part, value in (("spikes", sent), ("messages", sent), ("updates_active", active)):
                count.series[part][t] += value
            count.series["updates_idle"][t] += len(hit) - active
            count.series["bytes"][t] += len(hit) * 2 * (3 + 3)  # u and v, 3 bytes each, in and out
        return count

    def _attention(self, name: str, node: Attention, packed: Values) -> Values:
        d, n = node.width, node.tokens
        q, k, v = (packed[:, :, i * d : (i + 1) * d].astype(int) for i in range(3))
        if node.kind == "ssa":
            return self._ssa(name, node, q, k, v)
        valid, operations = packed[:, :, 3 * d :].astype(int), [0] * self.steps
        out = np.zeros_like(q)
        for s, t, c in np.ndindex(self.samples, self.steps, d):
            together = [i for i in range(n) if q[s, t, c, i] and k[s, t, c, i]]
            operations[t] += len(together)
            for i in range(n):
                if len(together) >= node.threshold and v[s, t, c, i] and valid[s, t, 0, i]:
                    out[s, t, c, i] = 1
                    operations[t] += 1
        self._fired(name, out.astype(np.float64))
        count = self._updated("attention", name, (q + k + v + valid) > 0)
        count.series["synops"], count.series["accumulates"] = operations, operations
        count.totals["dense_macs"] = 2 * d * n * self.samples * self.steps
        return self.values[name]

    def _ssa(self, name: str, node: Attention, q: Values, k: Values, v: Values) -> Values:
        count = self.nodes[name] = Counted("attention", self.steps)
        size, out = node.width // node.heads, np.zeros_like(q)
        for s, t, h in np.ndindex(self.samples, self.steps, node.heads):
            own = range(h * size, (h + 1) * size)
            for i, j in itertools.product(range(node.tokens), repeat=2):
                score = 0
                for a in own:
                    if q[s, t, a, i] and k[s, t, a, j]:
                        score += 1
                        count.series["synops"][t] += 1
                for e in own:
                    if v[s, t, e, j]:
                        out[s, t, e, i] += score
                        count.series["synops"][t] += score
        count.series["accumulates"] = count.series["synops"]
        for s, t in np.ndindex(self.samples, self.steps):
            count.series["spikes"][t] += int(np.count_nonzero(out[s, t]))
        count.series["messages"] = count.series["spikes"]
        count.totals["dense_macs"] = 2 * node.tokens**2 * node.width * self.samples * self.steps
        self.low[name], self.high[name] = np.zeros(node.width), np.full(node.width, float(node.tokens * size))
        return out.astype(np.float64)
