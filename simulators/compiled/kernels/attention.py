"""Attention on spikes, token rows of one sample after the other.

q, k, v are (rows, >= D) uint8 spikes; ``first`` (samples + 1,) int64 says which tokens belong to each sample.
Tokens that are left out are silent, and silent tokens add nothing to either kind.
"""

from __future__ import annotations

import numpy as np
from numba import uint64, uintp

from simulators.compiled.kernels.jit import kernel
from simulators.compiled.kernels.listing import COUNTS, GATHER, POSITIONS

EACH_BYTE = uint64(0x0101010101010101)  # times it, the highest byte is the sum of all


@kernel
def ssa(q, k, v, first, heads, scratch, words, steps, out, units, nonzero, pairs, gates):
    """Integer sums Q (K^T V) per head (Spikformer, arXiv 2209.15425): rows added where a spike is, no product.

    Args:
        q, k: (rows, D / 8) uint64 words of spikes; v: (rows, >= D) uint8.
        heads: of D / heads contiguous channels each.
        scratch: (8 D', D / heads) unsigned, wide enough for N; K^T V of one sample and step.
        words: ``scratch`` as uint64 where its entries are bytes that fill them, and fewer than 256 a row; else empty.
        steps: T.
        out: (rows, D') integers; written.
        units: (T, D) int64; the sums are added. nonzero: (T, D) int64; counts of sums that are not zero.
        pairs: (T,) int64; coincidences that scores add up: sum over i, j, a of q[i, a] k[j, a].
        gates: (T, 3 + bits) int64; see `simulators.tallies.Tallies`.
    """
    channels = uintp(units.shape[1])
    depth = channels // uintp(heads)
    q_count, k_count = np.zeros(q.shape[1] * 8, np.int64), np.zeros(k.shape[1] * 8, np.int64)
    for b in range(uintp(len(first) - 1)):
        for t in range(uintp(steps)):
            scratch[:] = 0
            q_count[:] = 0
            k_count[:] = 0
            for n in range(uintp(first[b]), uintp(first[b + uintp(1)])):
                r = n * uintp(steps) + t
                for word in range(uintp(k.shape[1])):
                    bits = uintp((k[r, word] * GATHER) >> uint64(56))
                    for j in range(uintp(COUNTS[bits])):
                        c = uintp(8) * word + uintp(POSITIONS[bits, j])
                        k_count[c] += 1
                        head = c // depth * depth
                        for d in range(depth):
                            scratch[c, d] += v[r, head + d]
            for n in range(uintp(first[b]), uintp(first[b + uintp(1)])):
                r = n * uintp(steps) + t
                for c in range(uintp(out.shape[1])):
                    out[r, c] = 0
                for word in range(uintp(q.shape[1])):
                    bits = uintp((q[r, word] * GATHER) >> uint64(56))
                    for j in range(uintp(COUNTS[bits])):
                        c = uintp(8) * word + uintp(POSITIONS[bits, j])
                        q_count[c] += 1
                        head = c // depth * depth
                        for d in range(depth):
                            out[r, head + d] += scratch[c, d]
                for c in range(channels):
                    units[t, c] += out[r, c]
                    nonzero[t, c] += out[r, c] != 0
            for c in range(channels):
                pairs[t] += q_count[c] * k_count[c]
                if k_count[c] and words.shape[1]:
                    _count_gates_of_words(words[c], q_count[c], gates[t])
                elif k_count[c]:
                    _count_gates(scratch[c], q_count[c], gates[t])


@kernel
def _count_gates(counts, sent, gates):
    """One row of K^T V: its sum and what is not zero; that and its ones at each bit, once for each spike of q."""
    together, entries = np.uint32(0), np.uint32(0)
    for d in range(uintp(len(counts))):
        together += counts[d]
        entries += counts[d] != 0
    gates[0] += together
    gates[1] += entries
    gates[2] += sent * entries
    if not together or not sent:
        return
    for bit in range(uintp(len(gates) - 3)):
        ones = np.uint32(0)
        for d in range(uintp(len(counts))):
            ones += (counts[d] >> bit) & 1
        gates[bit + uintp(3)] += sent * ones


@kernel
def _count_gates_of_words(counts, sent, gates):
    """The same on eight entries at a time, as many bits of each as N has."""
    entries, together = uint64(0), uint64(0)
    for w in range(uintp(len(counts))):
        x = counts[w]
        x |= x >> uint64(4)
        x |= x >> uint64(2)
        x |= x >> uint64(1)
        entries += x & EACH_BYTE
    entries = (entries * EACH_BYTE) >> uint64(56)
    for bit in range(uintp(len(gates) - 3)):
        ones = uint64(0)
        for w in range(uintp(len(counts))):
            ones += (counts[w] >> uint64(bit)) & EACH_BYTE
        ones = (ones * EACH_BYTE) >> uint64(56)
        together += ones << uint64(bit)
        gates[bit + uintp(3)] += sent * np.int64(ones)
    gates[0] += np.int64(together)
    gates[1] += np.int64(entries)
    gates[2] += sent * np.int64(entries)


@kernel
def sdsa(q, k, v, valid, first, threshold, steps, out, counts, pairs, gates):
    """Spikes ``[sum_n q AND k >= threshold] AND v AND valid`` (spike-driven, arXiv 2307.01694).

    Args:
        q, k, v: (rows, >= D) uint8. valid: (rows, >= 1) uint8, its first column is read.
        threshold: token count at which a channel opens for all tokens of that step.
        steps: T.
        out: (rows, D') uint8; its first D columns are written, D being ``counts.shape[1]``.
        counts: (T, D) uint32; spikes are added. pairs: (T,) int64; coincidences of q and k.
        gates: (T, 1) int64; open channels at valid tokens.
    """
    channels = uintp(counts.shape[1])
    gate, is_open = np.zeros(channels, np.uint16), np.zeros(channels, np.uint8)
    for b in range(uintp(len(first) - 1)):
        begin, end = uintp(first[b]), uintp(first[b + uintp(1)])
        for t in range(uintp(steps)):
            gate[:] = 0
            opened, sent = 0, 0
            for n in range(begin, end):
                r = n * uintp(steps) + t
                for c in range(channels):
                    gate[c] += q[r, c] & k[r, c]
            for c in range(channels):
                pairs[t] += gate[c]
                is_open[c] = gate[c] >= threshold
                opened += is_open[c]
            for n in range(begin, end):
                r = n * uintp(steps) + t
                is_valid = valid[r, uintp(0)]
                sent += is_valid
                for c in range(channels):
                    out[r, c] = is_open[c] & v[r, c] & is_valid
                for c in range(channels):
                    counts[t, c] += out[r, c]
            gates[t, 0] += opened * sent
