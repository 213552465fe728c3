"""Spiking self-attention, the integer sums Q (K^T V) of each head, in stock primitives: no product.

For a head of d channels, with k, v, q in {0, 1}:

    kv[c, e, n]   = k[c, n] AND v[e, n]
    M[c, e]       = sum over tokens of kv[c, e, .]              0 to N, broadcast by the same pool
    bit_b[c, e, n] = q[c, n] AND (bit b of M[c, e])             b from the highest down
    out[e, n]     = sum over c and b of 2^b * bit_b[c, e, n]    = sum over c of q[c, n] M[c, e]

The pool gives M divided by 2N - 1. A bit's gate adds q with weight 1 and fires above
``1 + (2^b - 1/2) / (2N - 1)``: without q it sees at most N / (2N - 1) <= 1, so a padded token is silent in
every gate. Where q fires, the bits found so far are taken off before the next gate asks; where it does not,
nothing is taken off and nothing can fire. Proof, margins and sizes: ``docs/attention.md``.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from exporters.nir.builder import GraphBuilder
from exporters.nir.errors import GraphError
from exporters.nir.graph import Graph
from exporters.nir.size import BodySize

# Half a count is 1 / (4N - 2) of a gate's input; its memory and float32 take at most 2.04e-5 of it, which
# allows N <= 12255. The power of two below leaves half as much again.
MAX_TOKENS = 2**13
FLOAT32_EXACT = 2**24  # the sums N * d must be exact in float32
# Channels of one block of outputs. Taking a bit off is a square matrix on them, for a stock convolution knows
# no diagonal: at 256 it costs a CPU about as much as updating the gates that it serves.
BLOCK = 256


def ssa_body(width: int, heads: int, tokens: int) -> Graph:
    """The body over packed channels [q | k | v], (3D, 1, N) -> integer sums (D, 1, N).

    Raises:
        GraphError: sizes that are none, or beyond what is proved exact.
    """
    if fault := ssa_fault(width, heads, tokens):
        raise GraphError(fault)
    head_width = width // heads
    digits = max(3, len(str(ssa_size(width, heads, tokens).nodes - 1)))
    build = GraphBuilder(tokens, digits)
    packed, total = build.input(3 * width), ""
    for head in range(heads):
        own = build.linear(f"h{head}_qkv", _cut(width, head_width, head), packed)
        for first, outputs in _blocks(head_width):
            name = f"h{head}_e{first}"
            sums = _block(build, name, own, head_width, first, outputs)
            place = np.zeros((width, outputs), np.float32)
            place[head * head_width + first + np.arange(outputs), np.arange(outputs)] = 1.0
            part = build.linear(f"{name}_place", place, sums)
            total = build.junction(f"{name}_join", total, part) if total else part
    return build.finish(total, {})


def ssa_fault(width: int, heads: int, tokens: int) -> str | None:
    """Why there is no exact body of these sizes, or None."""
    if min(width, heads, tokens) < 1 or width % heads:
        return (
            f"ssa body of width {width}, {heads} heads and {tokens} tokens: needs positive sizes and heads that "
            "divide the width; choose others"
        )
    if tokens > MAX_TOKENS:
        return (
            f"ssa body over {tokens} tokens: gates are proved exact up to {MAX_TOKENS}; write the native node "
            "(--attention-body native) or fewer tokens"
        )
    if (most := tokens * (width // heads)) >= FLOAT32_EXACT:
        return (
            f"ssa body: a sum may reach {most}, float32 is exact below {FLOAT32_EXACT}; write the native node "
            "(--attention-body native) or take more heads"
        )
    return None


def ssa_size(width: int, heads: int, tokens: int) -> BodySize:
    """Size of :func:`ssa_body` without building it, for any sizes."""
    head_width, bits = width // heads, tokens.bit_length()
    gates = width * head_width * tokens * (1 + bits)
    weights, nodes = 3 * head_width * 3 * width, 1
    for _, outputs in _blocks(head_width):
        channels = head_width * outputs
        weights += 2 * channels * 3 * head_width + bits * outputs * channels
        weights += (bits - 1) * channels**2 + width * outputs
        nodes += 5 * bits + 3  # four to count, bits, values, sums, what is left; place and join
    return BodySize(gates, heads * weights, heads * nodes + 1)  # input and output, and one join less


def bit_threshold(tokens: int, bit: int) -> float:
    """Level between 2^bit - 1 and 2^bit counts for a gate that q has opened."""
    return 1.0 + (2**bit - 0.5) / (2 * tokens - 1)


def _blocks(head_width: int) -> Iterator[tuple[int, int]]:
    """First output and number of outputs of each block of a head."""
    step = max(1, BLOCK // head_width)
    for first in range(0, head_width, step):
        yield first, min(step, head_width - first)


def _cut(width: int, head_width: int, head: int) -> NDArray[np.float32]:
    """q, k and v of one head, (3d, 3D)."""
    own = np.zeros((3, head_width, 3, width), np.float32)
    for part in range(3):
        own[part, np.arange(head_width), part, head * head_width + np.arange(head_width)] = 1.0
    return own.reshape(3 * head_width, 3 * width)


def _block(build: GraphBuilder, name: str, own: str, head_width: int, first: int, outputs: int) -> str:
    """Sums of ``outputs`` channels of one head from ``first`` on, (outputs, 1, N)."""
    channels, scale = head_width * outputs, 2 * build.tokens - 1
    rows = np.arange(channels)
    inner, outer = np.divmod(rows, outputs)  # c and e - first of each channel
    k_plus_v, q_only = np.zeros((2, channels, 3 * head_width), np.float32)
    k_plus_v[rows, head_width + inner] = 1.0
    k_plus_v[rows, 2 * head_width + first + outer] = 1.0
    q_only[rows, inner] = 1.0
    gather = np.zeros((outputs, channels), np.float32)
    gather[outer, rows] = 1.0
    q = build.linear(f"{name}_q", q_only, own)
    both = build.gate(f"{name}_kv", channels, 1.5, build.linear(f"{name}_k_plus_v", k_plus_v, own))
    left, total = build.token_sum(f"{name}_count", both), ""
    for bit in reversed(range(build.tokens.bit_length())):
        fired = build.gate(f"{name}_bit{bit}", channels, bit_threshold(build.tokens, bit), left, q)
        value = build.linear(f"{name}_value{bit}", 2.0**bit * gather, fired)
        total = build.junction(f"{name}_sum{bit}", total, value) if total else value
        if bit:
            taken = np.float32(-(2.0**bit) / scale) * np.eye(channels, dtype=np.float32)
            off = build.linear(f"{name}_off{bit}", taken, fired)
            left = build.junction(f"{name}_left{bit}", left, off)
    return total
