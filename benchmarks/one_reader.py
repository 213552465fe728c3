"""One reader on one NIR file: does it load, does it run, and in which values does it differ.

A case is ``NAME.nir`` with chunks of sentences beside it, ``NAME.0000.npz`` and so on: ``inputs`` bool (S, T, C, N),
``logits`` (S, T, K, N) and, per spiking layer by its name in torch.fx, ``spikes/<layer>`` bool (S, T, C, N). A chunk
is read, run, compared and dropped before the next one. Only numpy is needed: this file also runs in the environment
of the other readers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]
Runner = Callable[[Arrays, list[str]], Mapping[str, NDArray[Any]]]
Opener = Callable[[Path], Runner]
Row = dict[str, Any]
LOGITS, SPIKES = "logits", "spikes/"


def write_chunk(case: Path, number: int, inputs: NDArray[np.bool_], expected: Arrays, **more: NDArray[Any]) -> None:
    """Beside the file ``case``: what goes in, and what must come out."""
    arrays: dict[str, Any] = {"inputs": inputs, **expected, **more}
    np.savez_compressed(case.with_suffix(f".{number:04d}.npz"), **arrays)


def chunks(case: Path) -> Iterator[Arrays]:
    """The chunks of a case in order, one in memory at a time."""
    for path in sorted(case.parent.glob(f"{case.stem}.*.npz")):
        with np.load(path, allow_pickle=False) as data:
            yield {name: data[name] for name in data.files}


def judge(case: Path, reader: str, version: str, load: Opener) -> Row:
    """Run all chunks of ``case``; whatever a reader raises is what the row reports.

    Args:
        load: opens a file; what it returns takes a chunk and the names wanted and gives an array for each of them.

    Returns:
        ``{case, reader, version, loads, runs, sentences, compared, mismatches, error, seconds}``; ``mismatches`` is
        None unless every layer of every chunk was compared.
    """
    start = time.perf_counter()
    row: Row = {
        "case": case.stem, "reader": reader, "version": version, "loads": False, "runs": False, "sentences": 0,
        "compared": 0, "mismatches": None, "error": None,
    }  # fmt: skip
    try:
        run = load(case)
        row["loads"] = True
        compared, wrong, sentences, first = 0, 0, 0, None
        for chunk in chunks(case):
            names = [name for name in chunk if name == LOGITS or name.startswith(SPIKES)]
            seen = run(chunk, [name.removeprefix(SPIKES) for name in names])
            for name in names:
                differs = difference(name, chunk[name], seen)
                compared, wrong = compared + differs.size, wrong + int(differs.sum())
                if first is None and differs.any():
                    place = np.argwhere(differs)[0]
                    first = f"first in {name} at sentence {sentences + place[0]}, step {place[1]}, channel {place[2]}"
            sentences += len(chunk["inputs"])
        if not compared:
            raise LookupError("no chunk to compare")
        row |= {"runs": True, "compared": compared, "mismatches": wrong, "sentences": sentences, "error": first}
    except Exception as error:
        row["error"] = f"{type(error).__name__}: {' '.join(str(error).split())}"[:300].replace(f"{case.parent}/", "")
    return row | {"seconds": round(time.perf_counter() - start, 2)}


def difference(name: str, wanted: NDArray[Any], seen: Mapping[str, NDArray[Any]]) -> NDArray[np.bool_]:
    """Where a layer differs.

    Raises:
        LookupError: the reader gives no such layer.
        ValueError: it gives another shape, which numpy might stretch.
    """
    if (key := name.removeprefix(SPIKES)) not in seen:
        raise LookupError(f"no layer {key} among {len(seen)}")
    if seen[key].shape != wanted.shape:
        raise ValueError(f"layer {key} has shape {seen[key].shape}, expected {wanted.shape}")
    return np.asarray(seen[key] != wanted)
