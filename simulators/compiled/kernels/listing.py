"""Spike trains as lists of weight rows to add: what an event-driven product walks."""

from __future__ import annotations

import numpy as np
from numba import uint64, uintp

from simulators.compiled.kernels.jit import inlined, kernel
from simulators.compiled.kernels.vector import store_shifted

WORD = 8  # channels in 64 bits
GATHER = uint64(0x0102040810204080)  # times a word of 0/1 bytes: byte j lands in bit 56 + j
UNITS = uint64(0x0101010101010101)
DIGITS = uint64(0x7F7F7F7F7F7F7F7F)

POSITIONS = np.zeros((256, WORD), np.uint16)  # of the set bits of each byte
COUNTS = np.zeros(256, np.uint8)
for _byte in range(256):
    _set = [bit for bit in range(WORD) if _byte >> bit & 1]
    COUNTS[_byte] = len(_set)
    POSITIONS[_byte, : len(_set)] = _set

PATTERN, SPIKES, GRADED = 0, 1, 2  # what words hold


@inlined
def list_words(words, r, mode, base, positions, index, n):
    """The list of row r of words, from place ``n`` on; the place behind it. See :func:`list_events`."""
    if mode == PATTERN:
        zero = uintp(0)
        if words[r, zero]:
            index[n] = base[zero] + ((words[r, zero] * GATHER) >> uint64(56))
            n += uintp(1)
        return n
    if mode == SPIKES:
        for k in range(uintp(words.shape[1])):  # no question asked: a branch here is wrong too often
            bits = uintp((words[r, k] * GATHER) >> uint64(56))
            store_shifted(positions, bits, base[k], index, n)
            n += uintp(COUNTS[bits])
        return n
    for k in range(uintp(words.shape[1])):
        word, times = words[r, k], 2
        bits = uintp(((word & UNITS) * GATHER) >> uint64(56))
        store_shifted(positions, bits, base[k], index, n)
        n += uintp(COUNTS[bits])
        word = (word >> uint64(1)) & DIGITS
        while word:  # the other binary digits of all eight messages, one after the other
            bits = uintp(((word & UNITS) * GATHER) >> uint64(56))
            for _ in range(times):
                store_shifted(positions, bits, base[k], index, n)
                n += uintp(COUNTS[bits])
            word, times = (word >> uint64(1)) & DIGITS, 2 * times
    return n


@kernel
def list_events(left, left_mode, right, right_mode, base, positions, index, start):
    """The rows of a weight matrix that each row of messages adds up; a message m lists its row m times.

    Args:
        left, right: (rows, W) uint64, eight messages each; the words of both, side by side.
        left_mode, right_mode: ``PATTERN``, one word whose up to eight spikes together choose the weight row
            ``base + bits``, none where silent; ``SPIKES``, a row for each channel that spikes; ``GRADED``, as many
            rows as the message says, 0 to 255.
        base: (W,) unsigned, number of the weight row of each word's first channel.
        positions: ``POSITIONS`` in the type of ``index``.
        index: one-dimensional, unsigned, of room for all of them and eight more; filled.
        start: (rows + 1,) int64; ``index[start[r] : start[r + 1]]`` are the rows of r.
    """
    n, left_base, right_base = uintp(0), base[: left.shape[1]], base[left.shape[1] :]
    for r in range(uintp(len(left))):
        start[r] = n
        n = list_words(left, r, left_mode, left_base, positions, index, n)
        n = list_words(right, r, right_mode, right_base, positions, index, n)
    start[len(left)] = n


@kernel
def mark_listed(index, start, reaches, reached):
    """Set ``reached[r]`` where r lists a weight row that reaches any neuron.

    Args:
        index, start: of :func:`list_events`.
        reaches: bool, per weight row.
        reached: (rows,) uint8, kept where set.
    """
    for r in range(len(reached)):
        if reached[r]:
            continue
        for i in range(start[r], start[r + 1]):
            if reaches[index[i]]:
                reached[r] = 1
                break


@kernel
def mark_any(x, columns, reached):
    """Set ``reached[r]`` where any of ``columns`` of row r of ``x`` is not zero."""
    for r in range(len(reached)):
        if reached[r]:
            continue
        for c in columns:
            if x[r, c] != 0:
                reached[r] = 1
                break
