"""Input spikes from the file that ``spikeport encode`` writes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import SpikeportError


def read_spikes(path: Path) -> NDArray[np.bool_]:
    """The array ``spikes``, bool (S, T, C, N).

    Raises:
        SpikeportError: no such file, or no such array in it.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as data:  # numpy leaks it on an error
            spikes: NDArray[np.bool_] = data["spikes"]
    except (OSError, ValueError, KeyError, EOFError) as error:
        reason = " ".join(str(error).split())[:200]
        raise SpikeportError(f"{path}: no NPZ file with spikes ({reason}); write one with `spikeport encode`") from None
    if spikes.dtype != np.bool_ or spikes.ndim != 4:
        raise SpikeportError(
            f"{path}: spikes {spikes.dtype} {spikes.shape}, needs bool (S, T, C, N); encode them again"
        )
    return spikes
