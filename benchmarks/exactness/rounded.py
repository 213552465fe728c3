"""The ``real`` reference where sums round: 80-bit sums with a bound on what float64 may make of them.

A sum of n products in any order is off by at most n 2^-53 times the sum of their magnitudes; the membrane keeps
``1 - 1 / tau`` of what it is off and adds three roundings a step. A spike whose membrane lies within that bound of the
threshold is undecided: the simulator's own is taken, so that what follows stays comparable. All others are compared.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from benchmarks.exactness.reference import Bools, Outcome, through, total
from exporters.nir.graph import Attention, Graph, Input, Neuron, Output, Pool, TokenLinear, layer_name

Wide = NDArray[np.longdouble]
EPSILON = 2.0**-53


@dataclass
class Slack:
    """How far float64 may be off."""

    currents: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    logits: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    undecided: int = 0


def run_rounded(graph: Graph, inputs: Bools, given: dict[str, Bools]) -> tuple[Outcome, Slack]:
    """NIR's equations in 80 bits; ``given`` decides the ties."""
    out, slack = Outcome(), Slack()
    values: dict[str, Wide] = {}
    sizes: dict[str, Wide] = {}  # sums of magnitudes
    terms: dict[str, int] = {}  # roundings on the longest path from spikes
    for name in sorted(graph.nodes):
        node, label = graph.nodes[name], layer_name(name)
        if isinstance(node, Input):
            values[name] = sizes[name] = inputs.astype(np.longdouble)
            terms[name] = 0
            continue
        sources = graph.sources(name)
        x, size = (total([kept[s] for s in sources]).astype(np.longdouble) for kept in (values, sizes))
        count = max(terms[s] for s in sources) + len(sources)
        error = count * EPSILON * size
        match node:
            case Neuron():
                slack.currents[label] = _room(out, label, x, error)
                fired, unsure = _lif(x, error, node.tau_steps, node.v_threshold, given[label])
                slack.undecided += unsure
                out.spikes[label] = fired
                values[name] = sizes[name] = fired.astype(np.longdouble)
                terms[name] = 0
            case TokenLinear():
                absolute = TokenLinear(np.abs(node.weight), np.abs(node.bias), node.tokens, node.window)
                values[name], sizes[name] = (through(n, v) for n, v in ((node, x), (absolute, size)))
                terms[name] = count + node.weight.shape[1] + 2
            case _:
                values[name], sizes[name] = (through(node, v) for v in (x, size))
                terms[name] = count + (node.kernel + 1 if isinstance(node, Pool) else 0)
                if isinstance(node, Attention) and node.kind == "sdsa":
                    out.spikes[label] = values[name] != 0
                if isinstance(node, Output):
                    out.logits, slack.logits = x.astype(np.float64), (2 * error).astype(np.float64)
    return out, slack


def _room(out: Outcome, label: str, x: Wide, error: Wide) -> NDArray[np.float64]:
    flat = x.astype(np.float64).reshape(len(x), -1)
    out.sums[label] = x
    out.currents[label] = np.stack([flat.min(1).clip(max=0), flat.max(1).clip(min=0)], axis=1)
    worst = 2 * error.reshape(len(x), -1).max(1).astype(np.float64)
    return np.stack([worst, worst], axis=1)


def _lif(x: Wide, error: Wide, tau: float, threshold: float, given: Bools) -> tuple[Bools, int]:
    """NIR's LIF, and how many spikes are undecided; ``error`` is what float64 may make of ``x``."""
    v, off = np.zeros_like(x[:, 0]), np.zeros_like(x[:, 0])
    fired, unsure = np.zeros(x.shape, bool), 0
    for t in range(x.shape[1]):
        # A difference, a quotient and a sum round; their exact values lie within |x| + |v|.
        kept = off * (1 - 1 / tau) + error[:, t] / tau
        off = (kept + 4 * EPSILON * (np.abs(x[:, t]) + np.abs(v))).astype(np.longdouble)
        v = v + (x[:, t] - v) / np.longdouble(tau)
        near = np.abs(v - np.longdouble(threshold)) <= 2 * off
        near &= off > 0  # 0 is 0 in any arithmetic
        fired[:, t] = np.where(near, given[:, t], v > threshold)
        unsure += int(near.sum())
        v[fired[:, t]] = off[fired[:, t]] = 0
    return fired, unsure
