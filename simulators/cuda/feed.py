"""Batches of input on their way to a device: the next one is copied while this one runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import torch
from torch import Tensor


class Slot(Protocol):
    """Room for one batch on the device. Each batch is filled, ready, then done, in this order."""

    def fill(self, part: Tensor) -> None:
        """Start copying a batch here, once whoever read the last one is done; returns at once."""

    def ready(self) -> Tensor:
        """The batch on the device: what is launched from now on finds it copied."""

    def done(self) -> None:
        """All that reads the batch has been launched."""


def feed(spikes: Tensor, size: int, device: torch.device) -> Iterator[Tensor]:
    """Batches of ``size`` samples (the last may be smaller) on ``device``, in order.

    On CUDA a batch lies in memory that the next but one takes over: it is valid until the iterator moves on.

    Args:
        spikes: (S, ...) bool, in the CPU's memory or on the device.
        size: samples of a batch.
        device: where to.
    """
    parts = spikes.split(size)
    if device.type != "cuda" or spikes.device.type == "cuda":
        yield from (part.to(device) for part in parts)
        return
    side = torch.cuda.Stream(device)
    slots = [PinnedSlot(parts[0], device, side) for _ in range(min(2, len(parts)))]
    yield from alternate(parts, slots)


def alternate(parts: Sequence[Tensor], slots: Sequence[Slot]) -> Iterator[Tensor]:
    """Parts by way of slots in turn, each filled while the part before it is in use."""
    slots[0].fill(parts[0])
    for i in range(len(parts)):
        if i + 1 < len(parts):
            slots[(i + 1) % len(slots)].fill(parts[i + 1])
        slot = slots[i % len(slots)]
        yield slot.ready()
        slot.done()


class PinnedSlot:
    """A page-locked buffer, from which a stream of its own copies, and its image on the device."""

    def __init__(self, like: Tensor, device: torch.device, side: torch.cuda.Stream) -> None:
        self.device, self.side = device, side
        self.host = torch.empty_like(like, memory_format=torch.contiguous_format, pin_memory=True)
        self.image = torch.empty_like(self.host, device=device)
        self.size = 0
        self.copied, self.read = torch.cuda.Event(), torch.cuda.Event()
        self.read.record(torch.cuda.current_stream(device))  # the image's memory may be in use until here

    def fill(self, part: Tensor) -> None:
        """See :class:`Slot`."""
        self.copied.synchronize()  # the page-locked buffer is free again; at once where never used
        self.size = len(part)
        self.host[: self.size].copy_(part)
        self.side.wait_event(self.read)
        with torch.cuda.stream(self.side):
            self.image[: self.size].copy_(self.host[: self.size], non_blocking=True)
            self.copied.record(self.side)

    def ready(self) -> Tensor:
        """See :class:`Slot`."""
        torch.cuda.current_stream(self.device).wait_event(self.copied)
        return self.image[: self.size]

    def done(self) -> None:
        """See :class:`Slot`."""
        self.read.record(torch.cuda.current_stream(self.device))
