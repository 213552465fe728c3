"""Progress in lines, one every few seconds."""

from __future__ import annotations

import time
from collections.abc import Callable

SECONDS = 5.0


class Progress:
    """Says how many samples are done; at most one line in ``SECONDS``, and one when all are."""

    def __init__(self, total: int, report: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self.total, self.report, self.clock = total, report, clock
        self.done, self.simulated = 0, 0
        self.began = self.spoken = clock()

    def skip(self, samples: int) -> None:
        """Samples that were done before this start."""
        self.done += samples

    def add(self, samples: int) -> None:
        """Samples that were simulated."""
        self.done, self.simulated = self.done + samples, self.simulated + samples
        now = self.clock()
        if self.done < self.total and now - self.spoken < SECONDS:
            return
        self.spoken = now
        rate = self.simulated / max(now - self.began, 1e-9)
        self.report(f"{self.done}/{self.total} samples, {rate:.0f} a second")
