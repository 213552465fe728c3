"""The layers once more in plain numpy: a walk over the nodes, nothing shared with the simulator.

``loihi2`` is Lava 0.10's ``fixed_pt`` Sparse and LIF (read in its source) with du = 4095, dv = 2048, no bias and

    a = int32(W s) << e,   u = a << 6,   vth = 2^(1 + e) theta - 1,   e = T - 1, or T - 2 where all sums are even.

Messages and sums before the shift are kept exact in int64: int32 wraps are a ring homomorphism, so one wrap where the
neuron reads gives what a wrap after each addition gives. At T = 1 with even sums e is -1, a right shift.

Spikes of a legal layer do not show all of it. Whoever is clipped at the top fires, for any threshold lies below. A clip
at the bottom and the halvings toward zero after it add 0 or 1 to multiples of 128, and ``vth << 6`` is an odd multiple
of 64: no spike depends on that 1. The test against Lava's own models compares u and v themselves.

``real`` is NIR's LIF by forward Euler, ``v = v + (I - v) / tau`` in this order, each operation rounded to float64,
spike at ``v > v_threshold``, then ``v = 0``; a pool is the sum of its window divided by the kernel, one rounding.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exporters.nir.graph import Attention, Graph, Input, Neuron, Output, Pool, TokenLinear, layer_name

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Values = NDArray[Any]

TOP = 2**23  # half the range of Loihi's 24-bit registers


@dataclass
class Outcome:
    """What must come out.

    Attributes:
        spikes: per neuron and sdsa layer, (S, T, C, N).
        logits: (S, T, K, N), int64 or float64, exact: never wrapped.
        currents: per neuron layer the least and the largest sum of each sample, (S, 2); 0 at the most and the least.
        sums: what enters each neuron layer, (S, T, C, N).
        seen: what of the arithmetic these layers used, in words.
    """

    spikes: dict[str, Bools] = field(default_factory=dict)
    logits: Values = field(default_factory=lambda: np.zeros(0))
    currents: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    sums: dict[str, Values] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)


def run(graph: Graph, inputs: Bools, arithmetic: str) -> Outcome:
    """Both arithmetics; names of nodes must be in topological order.

    Args:
        inputs: (S, T, C, N).
        arithmetic: ``loihi2`` or ``real``.
    """
    integer = arithmetic == "loihi2"
    dtype = np.int64 if integer else np.float64
    out, even = Outcome(), evenness(graph)
    values: dict[str, Values] = {}
    for name in sorted(graph.nodes):
        node, label = graph.nodes[name], layer_name(name)
        if isinstance(node, Input):
            values[name] = inputs.astype(dtype)
            continue
        x = total([values[source] for source in graph.sources(name)])
        if isinstance(node, Neuron):
            note_sums(out, label, x)
            if integer:
                theta = stored_theta(node.v_threshold)
                fired = lava_lif(x.astype(np.int64), theta, exponent(x.shape[1], even[name]), out.seen)
            else:
                fired = nir_lif(x.astype(np.float64), node.tau_steps, node.v_threshold)
            out.spikes[label], values[name] = fired, fired.astype(dtype)
        else:
            values[name] = through(node, x)
            if isinstance(node, Attention) and node.kind == "sdsa":
                out.spikes[label] = values[name] != 0
            if isinstance(node, Output):
                out.logits = x
    return out


def total(values: list[Values]) -> Values:
    """Sum of the edges into a node."""
    whole = values[0]
    for other in values[1:]:
        whole = whole + other
    return whole


def note_sums(out: Outcome, label: str, x: Values) -> None:
    """Keep what enters a neuron and its extremes."""
    flat = x.astype(np.float64).reshape(len(x), -1)
    out.sums[label] = x
    out.currents[label] = np.stack([flat.min(1).clip(max=0), flat.max(1).clip(min=0)], axis=1)


def exponent(steps: int, even: bool) -> int:
    """Weight exponent e: every v of a window of T steps is then a multiple of 64."""
    return steps - 1 - int(even)


def stored_theta(v_threshold: float) -> int:
    """The integer threshold meant: it is stored a millionth below."""
    return round(v_threshold / (1 - 1e-6))


def evenness(graph: Graph) -> dict[str, bool]:
    """Whether all sums into a node are even by its structure: even weights, or even messages."""
    sent: dict[str, bool] = {}
    entering: dict[str, bool] = {}
    for name in sorted(graph.nodes):
        node = graph.nodes[name]
        entering[name] = not isinstance(node, Input) and all(sent[source] for source in graph.sources(name))
        if isinstance(node, TokenLinear):
            sent[name] = entering[name] or not np.any(node.weight % 2)
        else:
            sent[name] = entering[name] and isinstance(node, Pool | Output)
    return entering


def through(node: object, x: Values) -> Values:
    """What leaves a node without a membrane that ``x`` enters."""
    match node:
        case TokenLinear():
            return linear(node, x)
        case Pool():
            return pool(node, x)
        case Attention(kind="ssa"):
            return ssa(x, node.width, node.heads)
        case Attention():
            return sdsa(x, node.width, node.threshold)
        case _:
            return x


def linear(node: TokenLinear, x: Values) -> Values:
    """``out[o, n] = b[o] + sum over a, c of W[o, a C + c] x[c, n + a]``, silence beyond the last token."""
    channels, tokens = x.shape[2:]
    weight = node.weight.astype(x.dtype)
    out = np.zeros((*x.shape[:2], len(weight), tokens), x.dtype) + node.bias.astype(x.dtype)[:, None]
    for ahead in range(min(node.window, tokens)):
        tap = weight[:, ahead * channels : (ahead + 1) * channels]
        out[..., : tokens - ahead] += tap @ x[..., ahead:]
    return out


def pool(node: Pool, x: Values) -> Values:
    """Average over (1, kernel) tokens with zeros at both ends, which count."""
    if node.kernel == 1:
        return x
    padded = np.pad(x, ((0, 0), (0, 0), (0, 0), (node.padding, node.padding)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, node.kernel, axis=-1)
    return windows.sum(axis=-1) / node.kernel


def ssa(x: Values, width: int, heads: int) -> Values:
    """Q (K^T V) of each head, scores first: ``sum over m of (sum over c of q[c, n] k[c, m]) v[d, m]``."""
    samples, steps, _, tokens = x.shape
    q, k, v = (x[:, :, i * width : (i + 1) * width] for i in range(3))
    split = (samples, steps, heads, width // heads, tokens)
    q, k, v = q.reshape(split), k.reshape(split), v.reshape(split)
    scores = np.einsum("sthcn,sthcm->sthnm", q, k)
    return np.einsum("sthnm,sthdm->sthdn", scores, v).reshape(samples, steps, width, tokens)


def sdsa(x: Values, width: int, threshold: int) -> Values:
    """``valid AND (count of tokens with q AND k >= threshold) AND v``."""
    q, k, v = (x[:, :, i * width : (i + 1) * width] != 0 for i in range(3))
    valid = x[:, :, 3 * width : 3 * width + 1] != 0
    opened = (q & k).sum(axis=-1, keepdims=True) >= threshold
    return (valid & opened & v).astype(x.dtype)


def nir_lif(current: NDArray[np.float64], tau: float, threshold: float) -> Bools:
    """NIR's LIF with r = 1, v_leak = v_reset = 0 and dt the unit of ``tau``; (S, T, C, N)."""
    v = np.zeros_like(current[:, 0])
    fired = np.zeros(current.shape, bool)
    for t in range(current.shape[1]):
        v = v + (current[:, t] - v) / tau
        fired[:, t] = v > threshold
        v[fired[:, t]] = 0.0
    return fired


def lava_lif(
    sums: Ints, theta: int, e: int, seen: set[str] | None = None, states: list[NDArray[np.int32]] | None = None
) -> Bools:
    """Lava's fixed-point neuron on exact sums, (S, T, C, N).

    Args:
        seen: gains what happened, in words.
        states: gains u and v at the end of each step, (2, S, C, N).
    """
    seen = set() if seen is None else seen
    a = sums.astype(np.int32)  # keeps the low 32 bits
    shifted = np.left_shift(a, e) if e > 0 else np.right_shift(a, -e)
    activation = np.left_shift(shifted, 6)
    _note_wraps(seen, sums, a, shifted, activation, e)
    vth = 2 ** (1 + e) * theta - 1
    u, v = (np.zeros(sums[:, 0].shape, np.int32) for _ in range(2))
    fired = np.zeros(sums.shape, bool)
    for t in range(sums.shape[1]):
        u = _toward_zero(u, 4096 - (4095 + 1)) + activation[:, t]
        wrapped = np.where(u > TOP, u - 2 * TOP, u)
        u = np.where(wrapped <= -TOP, u + 2 * TOP, wrapped)
        _note_if(seen, "a negative odd v is halved", (v < 0) & (v % 2 != 0))
        free = _toward_zero(v, 4096 - 2048) + u
        v = np.clip(free, -(TOP - 1), TOP - 1)
        fired[:, t] = v > vth << 6
        _note_membrane(seen, free, v, u, (vth << 6, theta << (7 + e)))
        v[fired[:, t]] = 0
        if states is not None:
            states.append(np.stack([u, v]))
    return fired


def _toward_zero(x: NDArray[np.int32], factor: int) -> NDArray[np.int32]:
    """``x * factor / 4096`` in int64, the magnitude shifted, so that negative values round up."""
    product = x.astype(np.int64) * factor
    return (np.sign(product) * (np.abs(product) >> 12)).astype(np.int32)


def _note_if(seen: set[str], what: str, where: Bools) -> None:
    if where.any():
        seen.add(what)


def _note_wraps(seen: set[str], sums: Ints, a: NDArray[np.int32], shifted: Values, activation: Values, e: int) -> None:
    _note_if(seen, "int32 wraps: sum", sums != a)
    _note_if(seen, "int32 wraps: weight exponent", (a.astype(np.int64) << max(e, 0)) >> max(-e, 0) != shifted)
    _note_if(seen, "int32 wraps: alignment to 24 bits", shifted.astype(np.int64) << 6 != activation)
    _note_if(seen, "a sum at 2^(16-e), the end of the proved range", np.abs(sums) == 1 << (16 - e))
    _note_if(seen, "a sum just beyond 2^(16-e)", (np.abs(sums) > 1 << (16 - e)) & (np.abs(sums) <= (1 << (16 - e)) + 2))
    for power in (15, 24, 31):
        _note_if(seen, f"a sum within 2 of 2^{power}", np.abs(np.abs(sums) - (1 << power)) <= 2)
    _note_if(seen, "u wraps", np.abs(activation.astype(np.int64)) > TOP)
    _note_if(seen, "u leaves 24 bits by more than one wrap", np.abs(activation.astype(np.int64)) > 3 * TOP)
    _note_if(seen, "u at exactly +2^23", activation == TOP)
    _note_if(seen, "u at exactly -2^23", activation == -TOP)


def _note_membrane(
    seen: set[str], free: NDArray[np.int32], v: NDArray[np.int32], u: NDArray[np.int32], marks: tuple[int, int]
) -> None:
    _note_if(seen, "v clips at the top", free > TOP - 1)
    _note_if(seen, "v clips at the bottom", free < -(TOP - 1))
    _note_if(seen, "v at vth, which does not fire", v == marks[0])
    _note_if(seen, "v at theta, which fires", v == marks[1])
