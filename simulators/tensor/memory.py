"""Buffers lent to signals and taken back: fresh memory costs more than the arithmetic on it."""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor


class Lender:
    """Lends tensors of recurring sizes."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.free: dict[tuple[int, torch.dtype], list[Tensor]] = {}
        self.lent: dict[int, tuple[tuple[int, torch.dtype], Tensor]] = {}

    def take(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """An uninitialised contiguous tensor; the last axis is what sizes recur by."""
        size, key = prod(shape), (shape[-1], dtype)
        shelf = self.free.setdefault(key, [])
        fits = [i for i, flat in enumerate(shelf) if flat.numel() >= size]
        flat = shelf.pop(fits[0]) if fits else torch.empty(size, dtype=dtype, device=self.device)
        view = flat[:size].view(shape)
        if size:
            self.lent[view.data_ptr()] = key, flat
        return view

    def give(self, tensor: Tensor) -> None:
        """Take back a tensor that nobody reads any more; one that was not lent is left alone."""
        if tensor.numel() and (found := self.lent.pop(tensor.data_ptr(), None)):
            key, flat = found
            self.free[key].append(flat)
