"""Between the grid of the caller, (S, T, C, N), and token rows; sums and windows of rows."""

from __future__ import annotations

from numba import uintp

from simulators.compiled.kernels.jit import kernel


@kernel
def find_active(inputs, active):
    """Set ``active`` (S, N) uint8 where a token has any input spike; inputs are (S, T, C, N) uint8."""
    for s in range(inputs.shape[0]):
        row = active[s]
        for t in range(inputs.shape[1]):
            for c in range(inputs.shape[2]):
                values = inputs[s, t, c]
                for n in range(len(row)):
                    row[n] |= values[n]


@kernel
def load_rows(inputs, sample, token, out, counts):
    """Input spikes of the kept tokens as rows, (R * T, C'), their sum added to ``counts`` (T, C).

    Args:
        inputs: (S, T, C, N) uint8.
        sample, token: (R,) int64, where each kept token lies.
    """
    steps, channels = uintp(counts.shape[0]), uintp(counts.shape[1])
    for r in range(uintp(len(sample))):
        s, n = uintp(sample[r]), uintp(token[r])
        for t in range(steps):
            for c in range(channels):
                spike = inputs[s, t, c, n]
                out[r * steps + t, c] = spike
                counts[t, c] += spike


@kernel
def store_rows(x, sample, token, grid):
    """Rows (R * T, >= C) into the grid (S, T, C, N); tokens that were left out keep what is there."""
    steps, channels = grid.shape[1], grid.shape[2]
    for r in range(len(sample)):
        for t in range(steps):
            row = x[r * steps + t]
            for c in range(channels):
                grid[sample[r], t, c, token[r]] = row[c]


@kernel
def load_window(x, sample, token, channels, size, out):
    """Each token's channels beside those of the next ``size - 1``, zero where there is none or it was left out.

    Args:
        x: (R * T, C') uint8, of ``channels`` channels.
        out: (R * T, >= size * channels) uint8; written.
    """
    steps = len(x) // len(sample) if len(sample) else 1
    for r in range(len(sample)):
        for ahead in range(size):
            other = -1
            for near in range(r, min(r + ahead + 1, len(sample))):
                if sample[near] == sample[r] and token[near] == token[r] + ahead:
                    other = near
            for t in range(steps):
                part = out[r * steps + t, ahead * channels : (ahead + 1) * channels]
                if other < 0:
                    part[:] = 0
                else:
                    part[:] = x[other * steps + t, :channels]


@kernel
def select_into(sums, x, rows, columns, values):
    """``sums[:, rows] += values * x[:, columns]``; sums are int32."""
    for r in range(len(sums)):
        total, row = sums[r], x[r]
        for i in range(len(rows)):
            total[rows[i]] += values[i] * row[columns[i]]


@kernel
def add_slice(sums, x, row, column, value):
    """``sums[:, row:] += value * x[:, column:]`` as far as ``sums`` goes; they are int32."""
    for r in range(len(sums)):
        total = sums[r, row:]
        part = x[r, column : column + len(total)]
        for i in range(len(total)):
            total[i] += value * part[i]


@kernel
def count_messages(x, units, nonzero):
    """Add to ``units`` and ``nonzero`` (T, C) int64 the messages of ``x`` (rows, >= C) and how many are not zero."""
    steps, channels = uintp(units.shape[0]), uintp(units.shape[1])
    for r in range(uintp(len(x))):
        t = r % steps
        for c in range(channels):
            units[t, c] += x[r, c]
            nonzero[t, c] += x[r, c] != 0


@kernel
def count_nonzero(x, nonzero):
    """Add to ``nonzero`` (T, C) uint32 how many messages of ``x`` (rows, >= C) are not zero."""
    steps, channels = uintp(nonzero.shape[0]), uintp(nonzero.shape[1])
    for r in range(uintp(len(x))):
        for c in range(channels):
            nonzero[r % steps, c] += x[r, c] != 0
