"""Which share of a run this process has, where a launcher (``accelerate launch``, ``torchrun``) started several.

Only then is accelerate imported. The processes meet on the CPU (gloo), whatever device they compute on, and exchange
nothing but that they are done: their results are files.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from toolkit.errors import MissingComponentError, SpikeportError

PATIENCE = timedelta(days=30)  # that the quickest process waits for the slowest


@dataclass(frozen=True)
class World:
    """Processes of one run.

    Attributes:
        rank: of this process, from 0.
        size: processes in all.
        local_rank: of this process among those of its machine.
        state: accelerate's, where there is more than one process.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    state: Any = None

    @classmethod
    def join(cls) -> World:
        """The processes that a launcher started, once all are there; or this one alone.

        Raises:
            MissingComponentError: accelerate is not installed.
        """
        if not launched():
            return cls()
        try:
            from accelerate import PartialState
        except ModuleNotFoundError:
            raise MissingComponentError("accelerate is missing; pip install 'spikeport[train]'") from None
        state = PartialState(cpu=True, timeout=PATIENCE)
        return cls(state.process_index, state.num_processes, state.local_process_index, state)

    @property
    def main(self) -> bool:
        """Whether this process speaks, and puts the parts together."""
        return self.rank == 0

    def share(self, parts: int) -> range:
        """Parts of this process: every ``size``-th."""
        return range(self.rank, parts, self.size)

    def wait(self) -> None:
        """Until all processes are here."""
        if self.state is not None:
            self.state.wait_for_everyone()

    def leave(self) -> None:
        """End the connection to the other processes."""
        if self.state is not None:
            self.state.destroy_process_group()


def launched() -> bool:
    """Whether a launcher started this process and others."""
    return "RANK" in os.environ and os.environ.get("WORLD_SIZE", "1") != "1"


def device_of(asked: str | None, local_rank: int) -> str:
    """The device to compute on: the one asked for, else CUDA where present; of several GPUs the process's own.

    Raises:
        SpikeportError: there is no such device.
    """
    import torch

    if asked not in (None, "cpu", "cuda"):
        raise SpikeportError(f"device {asked!r:.40}: choose cpu or cuda")
    present = torch.cuda.device_count() if torch.cuda.is_available() else 0
    on_cpu = asked is None and (not present or os.environ.get("ACCELERATE_USE_CPU", "").lower() in ("1", "true", "yes"))
    if asked == "cpu" or on_cpu:
        return "cpu"
    if local_rank >= present:
        raise SpikeportError(
            f"device cuda: process {local_rank} of this machine, which has {present} GPUs; start at most one process "
            "a GPU, or choose --device cpu"
        )
    return f"cuda:{local_rank}" if launched() else "cuda"
