"""How Lava is to run a bundle: which processes, and whether each has a process of its own."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LavaOptions:
    """Names as in ``exporters.lava``, which checks them.

    Attributes:
        mode: ``stock``, only processes that Lava ships; or ``fast``, custom ones for linears, attention and delays.
        executor: ``multi-process``, real Lava; or ``one-process``, the same process models called in turn (tests).
    """

    mode: str = "fast"
    executor: str = "multi-process"

    @property
    def told(self) -> str:
        """For reports."""
        custom = " (CPU only)" if self.mode == "fast" else ""
        return f"{self.mode}{custom}, fixed_pt, {self.executor}"
