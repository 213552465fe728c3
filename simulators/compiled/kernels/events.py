"""Event-driven products: the weight rows that a list names, added up; the neuron's scan right behind it."""

from __future__ import annotations

import numpy as np
from numba import uintp

from simulators.compiled.kernels.jit import inlined, kernel
from simulators.compiled.kernels.neuron import extend, fire_exact, fire_literal
from simulators.compiled.kernels.vector import add_rows_1, add_rows_2, add_rows_4, add_rows_8

SHORT = 256  # outputs


@inlined
def gather(weight, tile, index, begin, end, acc):
    """``acc[0] = sum of weight[tile, index[i]] for i in begin .. end``, wrapping at the width of ``acc``.

    Short rows, a multiple of 32 bytes, are added up in registers. Long ones are read whole, for the sake of what the
    processor fetches ahead, eight at a time: accumulators in memory are then read and written once for eight.
    """
    zero = uintp(0)
    i, end, width = uintp(begin), uintp(end), uintp(acc.shape[1])
    if width <= SHORT:
        lanes, place = uintp(32 // acc.itemsize), zero
        while place + uintp(8) * lanes <= width:
            add_rows_8(weight, tile, index, i, end, acc, place)
            place += uintp(8) * lanes
        if place + uintp(4) * lanes <= width:
            add_rows_4(weight, tile, index, i, end, acc, place)
            place += uintp(4) * lanes
        if place + uintp(2) * lanes <= width:
            add_rows_2(weight, tile, index, i, end, acc, place)
            place += uintp(2) * lanes
        if place + lanes <= width:
            add_rows_1(weight, tile, index, i, end, acc, place)
        return
    for o in range(width):
        acc[zero, o] = 0
    while i + uintp(8) <= end:
        a, b, c, d = index[i], index[i + uintp(1)], index[i + uintp(2)], index[i + uintp(3)]
        e, f, g, h = index[i + uintp(4)], index[i + uintp(5)], index[i + uintp(6)], index[i + uintp(7)]
        for o in range(width):
            acc[zero, o] += (
                weight[tile, a, o] + weight[tile, b, o] + weight[tile, c, o] + weight[tile, d, o]
                + weight[tile, e, o] + weight[tile, f, o] + weight[tile, g, o] + weight[tile, h, o]
            )  # fmt: skip
        i += uintp(8)
    if i + uintp(4) <= end:
        a, b, c, d = index[i], index[i + uintp(1)], index[i + uintp(2)], index[i + uintp(3)]
        for o in range(width):
            acc[zero, o] += weight[tile, a, o] + weight[tile, b, o] + weight[tile, c, o] + weight[tile, d, o]
        i += uintp(4)
    if i + uintp(2) <= end:
        a, b = index[i], index[i + uintp(1)]
        for o in range(width):
            acc[zero, o] += weight[tile, a, o] + weight[tile, b, o]
        i += uintp(2)
    if i < end:
        a = index[i]
        for o in range(width):
            acc[zero, o] += weight[tile, a, o]


@kernel
def add_events(weight, index, start, sums):
    """``sums += W s``.

    Args:
        weight: (tiles, K, width) integers, :class:`simulators.compiled.weights.EventWeights`.
        index, start: of ``list_events``.
        sums: (rows, C) int32.
    """
    width, zero = uintp(weight.shape[2]), uintp(0)
    acc = np.zeros((1, width), weight.dtype)
    for tile in range(uintp(weight.shape[0])):
        first = tile * width
        for r in range(uintp(len(sums))):
            gather(weight, tile, index, start[r], start[r + uintp(1)], acc)
            for o in range(min(width, uintp(sums.shape[1]) - first)):
                sums[r, first + o] += acc[zero, o]


@kernel
def fire_events(weight, index, start, steps, theta, level, exponent, is_literal, outs, counts, sample, extremes):
    """Spikes of neurons that such a product alone drives: sums, state and spikes of a row never leave the cache.

    Args:
        weight, index, start: as in :func:`add_events`; the outputs of several nodes lie side by side.
        steps, theta, level, exponent, is_literal, outs, counts, sample, extremes: as in ``neuron.scan``.
    """
    width, nodes, channels = uintp(weight.shape[2]), uintp(outs.shape[0]), uintp(counts.shape[2])
    acc, exact, literal = np.zeros((1, width), weight.dtype), np.zeros(width, np.float32), np.zeros(width, np.int32)
    steps, zero = uintp(steps), uintp(0)
    for tile in range(uintp(weight.shape[0])):
        begin = tile * width
        for r in range(uintp(len(start) - 1)):
            t = r % steps
            gather(weight, tile, index, start[r], start[r + uintp(1)], acc)
            if t == 0:
                exact[:] = 0
                literal[:] = 0
            for i in range(nodes):
                own = i * channels  # where the node's outputs begin; begin is where the tile's do
                low, high = max(own, begin), min(own + channels, begin + width)
                if low >= high:
                    continue
                a, b, n = low - begin, low - own, high - low
                if extremes.shape[1]:
                    extend(extremes, i, sample[r // steps], acc, zero, a, n)
                if is_literal:
                    fire_literal(acc, zero, a, n, literal, level[i], exponent[i], outs, counts, i, r, t, b)
                else:
                    fire_exact(acc, zero, a, n, exact, theta[i], outs, counts, i, r, t, b)
