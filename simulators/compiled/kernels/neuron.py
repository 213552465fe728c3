"""The neurons of one row of sums, in the two forms that are equal where proved, and the scan over given sums."""

from __future__ import annotations

import numpy as np
from numba import float32, int32, int64, uintp

from simulators.arithmetic import INPUT_SHIFT, STATE_LIMIT
from simulators.compiled.kernels.jit import inlined, kernel

LIMIT = int64(STATE_LIMIT)
SHIFT = int64(INPUT_SHIFT)


@inlined
def fire_exact(sums, row, a, n, state, theta, outs, counts, node, r, t, b):
    """One step of ``v = (v + I) / 2``, spike at ``v >= theta``, reset to 0, in float32.

    Exact where all sums are within ``arithmetic.current_limit``: v is then a multiple of ``2^-T`` below 2^16. Places
    are handed over instead of slices, each of which would be counted in and out; they are unsigned, for a negative one
    would be looked for, and the loop be no vector loop.

    Args:
        sums: ``sums[row, a : a + n]`` are the sums, integers or float32.
        state: ``state[a : a + n]`` are v, float32; updated.
        theta: float32.
        outs: ``outs[node, r, b : b + n]`` become the spikes, uint8.
        counts: to ``counts[node, t, b : b + n]`` they are added.
    """
    half, zero = float32(0.5), float32(0)
    for o in range(n):
        v = (state[a + o] + float32(sums[row, a + o])) * half
        fired = v >= theta
        outs[node, r, b + o] = fired
        state[a + o] = zero if fired else v
    for o in range(n):
        counts[node, t, b + o] += outs[node, r, b + o]


@inlined
def fire_literal(sums, row, a, n, state, level, exponent, outs, counts, node, r, t, b):
    """One step of Lava's ``fixed_pt`` LIF (du = 4095, dv = 2048, no bias): wrap, clip, rounding toward zero.

    As :func:`simulators.arithmetic.lif_loihi2`; the sums wrap at 32 bits as Lava's ports do.

    Args:
        state: ``state[a : a + n]`` are v, int32; updated.
        level: what v must exceed to fire.
        exponent: weight exponent; a negative one shifts right, rounding down.
        sums, outs, counts: as in :func:`fire_exact`.
    """
    for o in range(n):
        total = int64(int32(int64(sums[row, a + o])))
        shifted = int64(int32(total << exponent)) if exponent >= 0 else total >> -exponent
        u = int64(int32(shifted << SHIFT))
        if u > LIMIT:  # one wrap, not modulo
            u -= 2 * LIMIT
        if u <= -LIMIT:
            u += 2 * LIMIT
        v = int64(state[a + o])
        v = ((v + (v < 0)) >> 1) + u
        v = min(max(v, 1 - LIMIT), LIMIT - 1)
        fired = v > level
        outs[node, r, b + o] = fired
        state[a + o] = 0 if fired else v
        counts[node, t, b + o] += fired


@inlined
def extend(extremes, node, sample, sums, row, a, n):
    """Extend the range ``extremes[node, sample]`` by ``sums[row, a : a + n]``."""
    low, high = extremes[node, sample, 0], extremes[node, sample, 1]
    for o in range(n):
        low, high = min(low, float(sums[row, a + o])), max(high, float(sums[row, a + o]))
    extremes[node, sample, 0], extremes[node, sample, 1] = low, high


@kernel
def scan(sums, first, steps, theta, level, exponent, is_literal, outs, counts, sample, extremes):
    """Spikes from sums that lie in memory, of several nodes side by side.

    Args:
        sums: (rows, >= first + nodes * C) integers or float32; those of the nodes begin at column ``first``.
        steps: T.
        theta: (nodes,) float32. level, exponent: (nodes,) int64. is_literal: which of the two forms, for all.
        outs: (nodes, rows, C') uint8; the first C columns are written, C being that of ``counts``.
        counts: (nodes, T, C) uint32; spikes are added.
        sample: (rows / T,) int64, which sample each token belongs to.
        extremes: (nodes, samples, 2) float64, least and largest sum of each, extended; (nodes, 0, 2) where not asked
            for.
    """
    nodes, channels, steps = uintp(outs.shape[0]), uintp(counts.shape[2]), uintp(steps)
    end = uintp(first) + nodes * channels
    exact, literal = np.zeros(end, np.float32), np.zeros(end, np.int32)
    for r in range(uintp(len(sums))):
        t = r % steps
        if t == 0:
            exact[:] = 0
            literal[:] = 0
        for i in range(nodes):
            a = uintp(first) + i * channels
            if extremes.shape[1]:
                extend(extremes, i, sample[r // steps], sums, r, a, channels)
            if is_literal:
                fire_literal(sums, r, a, channels, literal, level[i], exponent[i], outs, counts, i, r, t, uintp(0))
            else:
                fire_exact(sums, r, a, channels, exact, theta[i], outs, counts, i, r, t, uintp(0))
