"""Rows of token ids of different length as one batch."""

from __future__ import annotations

import torch
from torch import Tensor


def pad(rows: list[list[int]]) -> tuple[Tensor, Tensor]:
    """Token ids, zero-padded to the longest row, and the mask of real tokens, both (B, N) int64."""
    width = max(map(len, rows))
    ids = torch.zeros(len(rows), width, dtype=torch.int64)
    mask = torch.zeros_like(ids)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = torch.tensor(row)
        mask[i, : len(row)] = 1
    return ids, mask
