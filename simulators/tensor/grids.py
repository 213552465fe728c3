"""Reductions over whole grids, (T, B, N, C)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from exporters.nir.graph import Pool


def extremes(grid: Tensor) -> Tensor:
    """Least (at most 0) and largest (at least 0) sum of each sample, (T, B, N, C) -> (B, 2)."""
    low, high = grid.amin(dim=(0, 2, 3)).clamp_max(0), grid.amax(dim=(0, 2, 3)).clamp_min(0)
    return torch.stack([low, high], dim=1).double()


def average(node: Pool, grid: Tensor) -> Tensor:
    """Average over (1, kernel) tokens, zeros of the padding counted, (T, B, N, C) -> (T, B * N', C)."""
    if node.kernel == 2 * grid.shape[2] - 1 and node.padding == grid.shape[2] - 1:
        kernel = torch.full((), node.kernel, dtype=grid.dtype, device=grid.device)  # see lif_real
        mean = grid.sum(dim=2, keepdim=True) / kernel  # each window covers all tokens
        return mean.expand_as(grid).flatten(1, 2)
    steps = grid.shape[0]
    tokens_last = grid.flatten(0, 1).transpose(1, 2)
    pooled = functional.avg_pool1d(tokens_last, node.kernel, stride=1, padding=node.padding)
    return pooled.transpose(1, 2).unflatten(0, (steps, -1)).flatten(1, 2)
