"""Spike-driven self-attention in stock primitives: gates, one token sum, no product.

    and1[c, n]  = q[c, n] AND k[c, n]
    open[c, n]  = valid[n] AND (sum over tokens of and1[c, .] >= threshold)
    out[c, n]   = open[c, n] AND v[c, n]

The sum and its broadcast come from one average pool, so they arrive divided by 2N - 1. The gate adds
the valid train with weight 1 and fires above ``1 + (threshold - 1/2) / (2N - 1)``: a padded token has no
valid spike and can never reach 1, whatever the others send it.
"""

from __future__ import annotations

import numpy as np

from exporters.nir.builder import GraphBuilder
from exporters.nir.errors import GraphError
from exporters.nir.graph import Graph
from exporters.nir.ssa import MAX_TOKENS


def sdsa_body(width: int, tokens: int, threshold: int) -> Graph:
    """The body over packed channels [q | k | v | valid], (3D + 1, 1, N) -> (D, 1, N).

    Raises:
        GraphError: more tokens than half a count of the gate stands clear of its memory and of float32 rounding for:
            the gate is that of ``ssa``, and so is its limit (docs/attention.md).
    """
    if not 1 <= tokens <= MAX_TOKENS:
        raise GraphError(f"sdsa body over {tokens} tokens: gates are proved exact from 1 to {MAX_TOKENS}; take fewer")
    build = GraphBuilder(tokens)
    eye, nothing = np.eye(width, dtype=np.float32), np.zeros((width, width), np.float32)
    silent, all_of = np.zeros((width, 1), np.float32), np.ones((width, 1), np.float32)
    packed = build.input(3 * width + 1)
    q_plus_k = build.linear("q_plus_k", np.hstack([eye, eye, nothing, silent]), packed)
    both = build.gate("q_and_k", width, 1.5, q_plus_k)
    total = build.token_sum("token_sum", both)
    valid = build.linear("valid", np.hstack([nothing, nothing, nothing, all_of]), packed)
    opened = build.gate("open", width, 1.0 + (threshold - 0.5) / (2 * tokens - 1), total, valid)
    v = build.linear("v", np.hstack([nothing, nothing, eye, silent]), packed)
    return build.finish(build.gate("open_and_v", width, 1.5, opened, v), {})
