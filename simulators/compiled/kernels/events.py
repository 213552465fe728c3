"""Event-driven products: the weight rows that a list names, added up; the neuron's scan right behind it."""

from __future__ import annotations

import numpy as np
from numba import uintp

from simulators.compiled.kernels.jit import inlined, kernel
from simulators.compiled.kernels.neuron import extend, fire_exact, fire_literal


@inlined
def gather(weight, index, begin, end, acc):
    """``acc = sum of weight[index[i]] for i in begin .. end``, wrapping at the width of ``acc``.

    Eight rows at a time: the accumulators, which lie in memory, are then read and written once for eight.
    """
    i = uintp(begin)
    end = uintp(end)
    acc[:] = 0
    while i + uintp(8) <= end:
        a, b, c, d = (
            weight[index[i]],
            weight[index[i + uintp(1)]],
            weight[index[i + uintp(2)]],
            weight[index[i + uintp(3)]],
        )
        e, f, g, h = (
            weight[index[i + uintp(4)]],
            weight[index[i + uintp(5)]],
            weight[index[i + uintp(6)]],
            weight[index[i + uintp(7)]],
        )
        for o in range(len(acc)):
            acc[o] += a[o] + b[o] + c[o] + d[o] + e[o] + f[o] + g[o] + h[o]
        i += uintp(8)
    if i + uintp(4) <= end:
        a, b, c, d = (
            weight[index[i]],
            weight[index[i + uintp(1)]],
            weight[index[i + uintp(2)]],
            weight[index[i + uintp(3)]],
        )
        for o in range(len(acc)):
            acc[o] += a[o] + b[o] + c[o] + d[o]
        i += uintp(4)
    if i + uintp(2) <= end:
        a, b = weight[index[i]], weight[index[i + uintp(1)]]
        for o in range(len(acc)):
            acc[o] += a[o] + b[o]
        i += uintp(2)
    if i < end:
        a = weight[index[i]]
        for o in range(len(acc)):
            acc[o] += a[o]


@kernel
def add_events(weight, index, start, sums):
    """``sums += W s``.

    Args:
        weight: (tiles, K, width) integers, :class:`simulators.compiled.weights.EventWeights`.
        index, start: of ``list_events``.
        sums: (rows, C) int32.
    """
    acc = np.zeros(weight.shape[2], weight.dtype)
    for tile in range(weight.shape[0]):
        first = tile * weight.shape[2]
        for r in range(len(sums)):
            gather(weight[tile], index, start[r], start[r + 1], acc)
            out = sums[r, first : first + weight.shape[2]]
            for o in range(len(out)):
                out[o] += acc[o]


@kernel
def fire_events(weight, index, start, steps, first, theta, level, exponent, is_literal, outs, counts, sample, extremes):
    """Spikes of neurons that such a product alone drives: sums, state and spikes of a row never leave the cache.

    Args:
        weight, index, start: as in :func:`add_events`; the outputs of several nodes may lie side by side.
        steps: T.
        first: (nodes,) int64, where each node's outputs begin.
        theta: (nodes,) float32. level, exponent: (nodes,) int64. is_literal: which of the two forms, for all.
        outs: a tuple, per node (rows, C') uint8; the first C columns are written, C being that of ``counts``.
        counts: a tuple, per node (T, C) uint32; spikes are added.
        sample: (rows / T,) int64, which sample each token belongs to.
        extremes: a tuple, per node (samples, 2) float64, extended; of length 0 where not asked for.
    """
    width = weight.shape[2]
    acc, exact, literal = np.zeros(width, weight.dtype), np.zeros(width, np.float32), np.zeros(width, np.int32)
    for tile in range(weight.shape[0]):
        begin = tile * width
        for r in range(len(start) - 1):
            t = r % steps
            gather(weight[tile], index, start[r], start[r + 1], acc)
            if t == 0:
                exact[:] = 0
                literal[:] = 0
            for node in range(len(outs)):
                shift = begin - first[node]  # from a place in the tile to one of the node's outputs
                low, high = max(0, -shift), min(width, counts[node].shape[1] - shift)
                if low >= high:
                    continue
                sums, spikes = acc[low:high], outs[node][r, low + shift : high + shift]
                count = counts[node][t, low + shift : high + shift]
                if len(extremes[node]):
                    e = extremes[node][sample[r // steps]]
                    e[0], e[1] = extend(e[0], e[1], sums, len(sums))
                if is_literal:
                    fire_literal(sums, literal[low:high], level[node], exponent[node], spikes, count)
                else:
                    fire_exact(sums, exact[low:high], theta[node], spikes, count)
