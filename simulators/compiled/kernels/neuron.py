"""The neuron of one row of sums, in the two forms that are equal where proved, and the scan over given sums."""

from __future__ import annotations

import numpy as np
from numba import float32, int32, int64

from simulators.arithmetic import INPUT_SHIFT, STATE_LIMIT
from simulators.compiled.kernels.jit import inlined, kernel

LIMIT = int64(STATE_LIMIT)
SHIFT = int64(INPUT_SHIFT)


@inlined
def fire_exact(sums, state, theta, out, counts):
    """One step of ``v = (v + I) / 2``, spike at ``v >= theta``, reset to 0, in float32.

    Exact where all sums are within ``arithmetic.current_limit``: v is then a multiple of ``2^-T`` below 2^16.

    Args:
        sums: (n,) integers or float32.
        state: (n,) float32, v; updated.
        theta: float32.
        out: (n,) uint8, 0 or 1; written.
        counts: (n,) unsigned; spikes are added.
    """
    half, zero = float32(0.5), float32(0)
    for o in range(len(out)):
        v = (state[o] + float32(sums[o])) * half
        fired = v >= theta
        out[o] = fired
        state[o] = zero if fired else v
    for o in range(len(out)):
        counts[o] += out[o]


@inlined
def fire_literal(sums, state, level, exponent, out, counts):
    """One step of Lava's ``fixed_pt`` LIF (du = 4095, dv = 2048, no bias): wrap, clip, rounding toward zero.

    As :func:`simulators.arithmetic.lif_loihi2`; the sums wrap at 32 bits as Lava's ports do.

    Args:
        sums: (n,) integers or float32, the synaptic sums before the weight exponent.
        state: (n,) int32, v; updated.
        level: what v must exceed to fire.
        exponent: weight exponent; a negative one shifts right, rounding down.
        out, counts: as in :func:`fire_exact`.
    """
    for o in range(len(out)):
        total = int64(int32(int64(sums[o])))
        shifted = int64(int32(total << exponent)) if exponent >= 0 else total >> -exponent
        u = int64(int32(shifted << SHIFT))
        if u > LIMIT:  # one wrap, not modulo
            u -= 2 * LIMIT
        if u <= -LIMIT:
            u += 2 * LIMIT
        v = int64(state[o])
        v = ((v + (v < 0)) >> 1) + u
        v = min(max(v, 1 - LIMIT), LIMIT - 1)
        fired = v > level
        out[o] = fired
        state[o] = 0 if fired else v
        counts[o] += fired


@inlined
def extend(low, high, sums, n):
    """The range of ``low`` to ``high`` and the first ``n`` sums."""
    for o in range(n):
        low, high = min(low, float(sums[o])), max(high, float(sums[o]))
    return low, high


@kernel
def scan(sums, first, steps, theta, level, exponent, is_literal, out, counts, sample, extremes):
    """Spikes from sums that lie in memory.

    Args:
        sums: (rows, >= first + C) integers or float32; the node's begin at column ``first``.
        steps: T.
        theta, level, exponent: of the neuron; ``is_literal`` chooses between the two forms.
        out: (rows, C') uint8; its first C columns are written, C being ``counts.shape[1]``.
        counts: (T, C) uint32; spikes are added.
        sample: (rows / T,) int64, which sample each token belongs to.
        extremes: (samples, 2) float64, least and largest sum of each, extended; of length 0 where not asked for.
    """
    channels = counts.shape[1]
    exact, literal = np.zeros(channels, np.float32), np.zeros(channels, np.int32)
    for r in range(len(sums)):
        t, row = r % steps, sums[r, first : first + channels]
        if len(extremes):
            e = extremes[sample[r // steps]]
            e[0], e[1] = extend(e[0], e[1], row, channels)
        if is_literal:
            if t == 0:
                literal[:] = 0
            fire_literal(row, literal, level, exponent, out[r, :channels], counts[t])
        else:
            if t == 0:
                exact[:] = 0
            fire_exact(row, exact, theta, out[r, :channels], counts[t])
