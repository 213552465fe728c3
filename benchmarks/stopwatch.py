"""How the simulator's benchmarks time, describe the machine and write: arms taken in turn, medians, JSON."""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Callable, Mapping
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

Arms = Mapping[str, Callable[[], object]]
ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
COPY_BYTES = 2**28  # of the array copied to measure bandwidth: far beyond any cache


def seconds(call: Callable[[], object]) -> float:
    """Wall-clock seconds of one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def interleaved(arms: Arms, rounds: int, warm_up: int = 1) -> dict[str, list[float]]:
    """Seconds of every call of every arm, the arms taken in turn; the first ``warm_up`` rounds are left out."""
    return in_turn({name: partial(seconds, call) for name, call in arms.items()}, rounds, warm_up)


def in_turn(clocks: Mapping[str, Callable[[], float]], rounds: int, warm_up: int = 1) -> dict[str, list[float]]:
    """As :func:`interleaved`, of calls that say themselves how many seconds they took."""
    times: dict[str, list[float]] = {name: [] for name in clocks}
    for turn in range(warm_up + rounds):
        for name, clock in clocks.items():
            took = clock()
            if turn >= warm_up:
                times[name].append(took)
    return times


def medians(times: Mapping[str, list[float]]) -> dict[str, float]:
    """The median of each arm."""
    return {name: statistics.median(values) for name, values in times.items()}


def spread(values: list[float]) -> float:
    """Largest over smallest: how quiet the machine was."""
    return max(values) / min(values)


def copy_arm(dtype: torch.dtype, nbytes: int = COPY_BYTES) -> tuple[Callable[[], object], int]:
    """A call that reads an array and writes it elsewhere, and the bytes that it moves (read and written)."""
    source = torch.ones(nbytes // dtype.itemsize, dtype=dtype)
    target = torch.empty_like(source)
    return lambda: target.copy_(source), 2 * source.numel() * dtype.itemsize


def peak_bytes() -> int:
    """Most resident memory that this process has had (Linux).

    Not ``ru_maxrss``: a process that is started inherits its parent's.
    """
    return _status("VmHWM")


def resident_bytes() -> int:
    """Resident memory of this process now (Linux)."""
    return _status("VmRSS")


def forget_peak() -> None:
    """Let :func:`peak_bytes` begin again from what is resident now (Linux, proc(5): clear_refs)."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def _status(field: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))


def machine() -> dict[str, Any]:
    """What figures depend on besides the code."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "load_average": os.getloadavg()[0],
        "torch": version("torch"),
        "numpy": version("numpy"),
    }


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    found = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return found[0] if found else os.uname().machine


def write_report(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON, its folder too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def verdict(what: str, value: float, limit: float, *, at_most: bool) -> tuple[bool, str]:
    """Whether a target is met, and a line that says so."""
    met = value <= limit if at_most else value >= limit
    words = "at most" if at_most else "at least"
    return met, f"{what}: {value:.3g} of {words} {limit:g}: {'met' if met else 'MISSED'}"
