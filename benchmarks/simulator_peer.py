"""One reader of `benchmarks/peer_readers.py` as a process that runs a batch whenever it is told to.

    .venv-peers/bin/python -m benchmarks.simulator_peer READER CASE.nir THREADS GIGABYTES

Runs under .venv-peers and is started by `benchmarks/simulator_peers.py`, which sends a line ``time`` or ``check`` and
reads a line of JSON. The first line, unasked, says which version reads the file, what reading took and how large a
batch it runs: all sentences of the case, or half as many until they fit the memory allowed.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.one_reader import LOGITS, SPIKES, Arrays, Runner, chunks, difference
from benchmarks.stopwatch import peak_bytes

NO_MEMORY = ("can't allocate memory", "not enough memory", "bad_alloc", "Cannot allocate memory")


def largest_batch(run: Runner, inputs: np.ndarray) -> int:
    """As many sentences as memory holds at a time, all or a halving of them; the run is the warm-up too.

    Raises:
        MemoryError: not even one fits.
    """
    batch = len(inputs)
    while batch:
        try:
            run({"inputs": inputs[:batch]}, [LOGITS])
            return batch
        except (MemoryError, RuntimeError) as error:
            if isinstance(error, RuntimeError) and not any(text in str(error) for text in NO_MEMORY):
                raise
        batch //= 2
    raise MemoryError("one sentence does not fit the memory allowed; allow more with --memory")


def timed(run: Runner, inputs: np.ndarray) -> dict[str, Any]:
    """Seconds from spikes to logits."""
    start = time.perf_counter()
    run({"inputs": inputs}, [LOGITS])
    return {"seconds": time.perf_counter() - start}


def checked(run: Runner, chunk: Arrays, batch: int) -> dict[str, Any]:
    """Values compared and different, over all layers of all sentences."""
    names = [name for name in chunk if name == LOGITS or name.startswith(SPIKES)]
    compared = wrong = 0
    for start in range(0, len(chunk["inputs"]), batch):
        part = {name: value[start : start + batch] for name, value in chunk.items()}
        seen = run(part, [name.removeprefix(SPIKES) for name in names])
        for name in names:
            differs = difference(name, part[name], seen)
            compared, wrong = compared + differs.size, wrong + int(differs.sum())
    return {"compared": compared, "mismatches": wrong}


def serve(run: Runner, chunk: Arrays, facts: dict[str, Any]) -> None:
    """Say what is there, then do what each line of standard input asks for."""
    batch = largest_batch(run, chunk["inputs"])
    print(json.dumps({**facts, "batch": batch}), flush=True)
    for line in sys.stdin:
        check = line.strip() == "check"
        answer = checked(run, chunk, batch) if check else timed(run, chunk["inputs"][:batch])
        print(json.dumps({**answer, "peak_bytes": peak_bytes()}), flush=True)


def main() -> None:
    from importlib.metadata import version

    from benchmarks.peer_readers import READERS, opener

    reader, case, threads, gigabytes = sys.argv[1:]
    torch.set_num_threads(int(threads))
    limit = int(float(gigabytes) * 1e9)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    load, package = READERS[reader]
    try:
        start = time.perf_counter()
        run = opener(load)(Path(case))
        facts = {"version": version(package), "load_seconds": time.perf_counter() - start}
        serve(run, next(chunks(Path(case))), facts)
    except Exception as error:  # whatever a reader raises is what its row reports
        print(json.dumps({"error": f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]}), flush=True)


if __name__ == "__main__":
    main()
