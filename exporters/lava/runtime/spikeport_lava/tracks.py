"""Files of rows that a sink fills.

Reading a Var costs about 40 us a value, minutes for every layer's spikes; a memory-mapped file costs nothing. The
files are shared between the sink's process and the one that started Lava.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Track:
    """What is written to one file.

    Attributes:
        size: number of signals of a sample.
        path: an existing file of rows, one a time step.
        delay: time steps to skip, the signals' delay behind the input.
        is_packed: eight spikes a byte, ceil(size / 8) bytes a row, first spike in the highest bit; else int32.
    """

    size: int
    path: str
    delay: int
    is_packed: bool

    def encode(self, data: np.ndarray) -> np.ndarray:
        """One row of the file from int32 (size,)."""
        return np.packbits(data != 0) if self.is_packed else data.astype(np.int32)

    def open_rows(self, rows: range) -> np.ndarray:
        """These rows of the file, as an array."""
        row = self.encode(np.zeros(self.size, np.int32))
        shape = (len(rows), row.size)
        return np.memmap(self.path, row.dtype, mode="r+", offset=rows.start * row.nbytes, shape=shape)

    def write(self, rows: np.ndarray, data: np.ndarray, step: int, lane_steps: int) -> None:
        """One time step of all samples that run side by side.

        Args:
            rows: from :meth:`open_rows`; the samples of a lane are ``lane_steps`` rows, the last lane may have fewer.
            data: int32 (lanes * size,), one lane after the other.
            step: 0 is the first of the input.
        """
        row = step - self.delay
        if 0 <= row < lane_steps:
            for index, lane in zip(range(row, len(rows), lane_steps), data.reshape(-1, self.size), strict=False):
                rows[index] = self.encode(lane)
