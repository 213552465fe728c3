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
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from exporters.nir.builder import GraphBuilder
from exporters.nir.errors import GraphError
from exporters.nir.graph import Graph
from exporters.nir.size import BodySize

Indices = NDArray[np.intp]

# Half a count is 1 / (4N - 2) of a gate's input. Its memory and float32 rounding take less than that up to
# N = 14451 (docs/attention.md); this is the power of two below.
MAX_TOKENS = 2**13
FLOAT32_EXACT = 2**24  # the sums N * d must be exact in float32
# Channels of one block. Taking a bit off is a square matrix on them, for a stock convolution knows no diagonal:
# larger blocks hold more zeros, smaller ones take more nodes.
BLOCK = 256


def ssa_body(width: int, heads: int, tokens: int) -> Graph:
    """The body over packed channels [q | k | v], (3D, 1, N) -> integer sums (D, 1, N).

    Raises:
        GraphError: sizes that are none, or beyond what is proved exact.
    """
    if fault := ssa_fault(width, heads, tokens):
        raise GraphError(fault)
    digits = max(3, len(str(ssa_size(width, heads, tokens).nodes - 1)))
    build = GraphBuilder(tokens, digits)
    packed, own, total = build.input(3 * width), "", ""
    for block in _blocks(width // heads, heads):
        if block.first == 0:
            own = build.linear(f"{block.name}_qkv", _own(block, width), packed)
        part = build.linear(f"{block.name}_place", _place(block, width), _sums(build, block, own))
        total = build.junction(f"{block.name}_join", total, part) if total else part
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
    bits = tokens.bit_length()
    gates = width * (width // heads) * tokens * (1 + bits)
    weights, nodes = 0, 1  # input and output, and one join less than blocks
    for block in _blocks(width // heads, heads):
        if block.first == 0:
            weights, nodes = weights + 3 * block.inputs * 3 * width, nodes + 1
        weights += 2 * block.channels * 3 * block.inputs
        weights += bits * block.sums * block.channels + (bits - 1) * block.channels**2 + width * block.sums
        nodes += 5 * bits + 3  # four up to the counts; bits, values, sums, what is left; place and join
    return BodySize(gates, weights, nodes)


def bit_threshold(tokens: int, bit: int) -> float:
    """Level between 2^bit - 1 and 2^bit counts for a gate that q has opened."""
    return 1.0 + (2**bit - 0.5) / (2 * tokens - 1)


@dataclass(frozen=True)
class _Block:
    """``outputs`` channels from ``first`` on, of each of ``heads`` heads from ``head`` on."""

    head_width: int
    head: int
    heads: int
    first: int
    outputs: int

    @property
    def name(self) -> str:
        return f"h{self.head}_e{self.first}"

    @property
    def inputs(self) -> int:
        """Channels of q, as of k and of v."""
        return self.heads * self.head_width

    @property
    def sums(self) -> int:
        """Channels of the result."""
        return self.heads * self.outputs

    @property
    def channels(self) -> int:
        """Gates per token and bit: (head, c, e), in this order."""
        return self.inputs * self.outputs

    def places(self) -> tuple[Indices, Indices, Indices]:
        """Of each channel: c among the inputs, e among the inputs, e among the sums."""
        head, c, e = np.indices((self.heads, self.head_width, self.outputs)).reshape(3, -1)
        start = head * self.head_width
        return start + c, start + self.first + e, head * self.outputs + e


def _blocks(head_width: int, heads: int) -> Iterator[_Block]:
    """Several heads a block where they are small, several blocks a head where they are large."""
    together = max(1, BLOCK // head_width**2)
    step = max(1, min(head_width, BLOCK // head_width))
    for head in range(0, heads, together):
        for first in range(0, head_width, step):
            outputs = min(step, head_width - first)
            yield _Block(head_width, head, min(together, heads - head), first, outputs)


def _own(block: _Block, width: int) -> NDArray[np.float32]:
    """q, k and v of a block's heads out of the packed ones; the blocks of one head share them."""
    own = np.zeros((3, block.inputs, 3, width), np.float32)
    places = np.arange(block.inputs)
    for part in range(3):
        own[part, places, part, block.head * block.head_width + places] = 1.0
    return own.reshape(3 * block.inputs, 3 * width)


def _place(block: _Block, width: int) -> NDArray[np.float32]:
    """Where a block's sums lie among all."""
    place = np.zeros((width, block.sums), np.float32)
    head, e = np.divmod(np.arange(block.sums), block.outputs)
    place[(block.head + head) * block.head_width + block.first + e, np.arange(block.sums)] = 1.0
    return place


def _sums(build: GraphBuilder, block: _Block, own: str) -> str:
    """The integer sums of a block from its q, k and v."""
    name, channels, scale = block.name, block.channels, 2 * build.tokens - 1
    rows, (inner, outer, result) = np.arange(channels), block.places()
    k_plus_v, q_only = np.zeros((2, channels, 3 * block.inputs), np.float32)
    k_plus_v[rows, block.inputs + inner] = 1.0
    k_plus_v[rows, 2 * block.inputs + outer] = 1.0
    q_only[rows, inner] = 1.0
    gather = np.zeros((block.sums, channels), np.float32)
    gather[result, rows] = 1.0
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
