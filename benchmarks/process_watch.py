"""What a run leaves in the system: its processes, their memory and their shared segments (Linux)."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from pathlib import Path

SHARED = Path("/dev/shm")
POLL_SECONDS = 0.2


def descendants(root: int) -> list[int]:
    """Living processes below ``root``, in any session."""
    parents = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, IndexError):
            fields = entry.read_text(errors="replace").rpartition(")")[2].split()
            if fields[0] != "Z":
                parents[int(entry.parent.name)] = int(fields[1])
    found: list[int] = []
    level = [root]
    while level:
        level = [child for child, parent in parents.items() if parent in level]
        found += level
    return found


def segments_of(processes: list[int]) -> set[str]:
    """Names in /dev/shm that these processes have mapped."""
    found = set()
    for process in processes:
        with suppress(OSError):
            for line in Path(f"/proc/{process}/maps").read_text(errors="replace").splitlines():
                path = line.partition(f"{SHARED}/")[2]
                if path:
                    found.add(path.split()[0])
    return found


def living(processes: set[int]) -> list[int]:
    """Those of them that still live, whoever their parent is now."""
    alive = []
    for process in processes:
        with suppress(OSError, IndexError):
            stat = Path(f"/proc/{process}/stat").read_text(errors="replace").rpartition(")")[2].split()
            if stat[0] != "Z":
                alive.append(process)
    return alive


def cpu_seconds(processes: list[int]) -> float:
    """User and system time that these processes have had so far."""
    ticks = 0
    for process in processes:
        with suppress(OSError, IndexError):
            fields = Path(f"/proc/{process}/stat").read_text(errors="replace").rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])  # utime and stime
    return ticks / os.sysconf("SC_CLK_TCK")


def _pss(process: int) -> int:
    with suppress(OSError, ValueError):
        for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return 1024 * int(line.split()[1])
    return 0


class Watch(threading.Thread):
    """While it runs, notes every process below this one, what shared memory they map, and their memory.

    Attributes:
        processes, segments: all that were seen.
        peak_bytes: largest sum of proportional set sizes.
        peak_count: largest number at a time.
    """

    def __init__(self, memory: bool) -> None:
        super().__init__(daemon=True)
        self.memory = memory
        self.processes: set[int] = set()
        self.segments: set[str] = set()
        self.peak_bytes = self.peak_count = 0
        self.done = threading.Event()

    def run(self) -> None:
        while not self.done.wait(POLL_SECONDS):
            now = descendants(os.getpid())
            self.processes |= set(now)
            self.segments |= segments_of(now)
            self.peak_count = max(self.peak_count, len(now))
            if self.memory:
                self.peak_bytes = max(self.peak_bytes, sum(map(_pss, now)))

    def __enter__(self) -> Watch:
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.done.set()
        self.join()

    def left(self) -> tuple[int, int]:
        """Processes and shared segments that are still there."""
        return len(living(self.processes)), sum((SHARED / name).exists() for name in self.segments)
