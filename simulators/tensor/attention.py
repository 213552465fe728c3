"""Attention on spikes, as one kernel instead of its expansion into neurons.

All tensors are (T, B, N, D), 0.0 / 1.0 spikes.
"""

from __future__ import annotations

import torch
from torch import Tensor


def by_head(x: Tensor, heads: int) -> Tensor:
    """(T, B, N, D) as (T, B, heads, N, D / heads)."""
    return x.unflatten(-1, (heads, -1)).transpose(2, 3)


def token_counts(k: Tensor, v: Tensor, heads: int) -> Tensor:
    """K^T V per head: tokens at which both spike, (T, B, heads, d, d)."""
    return by_head(k, heads).transpose(-1, -2) @ by_head(v, heads)


def ssa(q: Tensor, counts: Tensor) -> Tensor:
    """Sums Q (K^T V) per head of contiguous channels (Spikformer, arXiv 2209.15425); integers, exact.

    Associated this way the product costs N d^2 per head instead of N^2 d. ``counts`` are :func:`token_counts`.
    """
    return (by_head(q, counts.shape[2]) @ counts).transpose(2, 3).flatten(-2)


def ssa_gates(q: Tensor, counts: Tensor, bits: int) -> Tensor:
    """See ``gates`` of `simulators.tallies.Tallies`, (T, 3 + bits) float64."""
    sent = by_head(q, counts.shape[2]).sum(dim=3).double()  # (T, B, heads, d)
    whole = counts.to(torch.int32)
    entries = (whole != 0).sum(dim=-1)
    ones = [((whole >> bit) & 1).sum(dim=-1) for bit in range(bits)]
    both = counts.flatten(1).sum(dim=1, dtype=torch.float64)
    sums = [entries.double(), *(sent * one for one in (entries, *ones))]
    return torch.stack([both, *(x.flatten(1).sum(dim=1) for x in sums)], dim=1)


def sdsa(q: Tensor, k: Tensor, v: Tensor, valid: Tensor, threshold: int) -> Tensor:
    """Spikes ``[sum_n q AND k >= threshold] AND v AND valid`` (spike-driven, arXiv 2307.01694).

    Args:
        q, k, v: spikes, (T, B, N, D).
        valid: the valid train, (T, B, N, 1).
        threshold: token count at which a channel opens for all tokens of that step.
    """
    return is_open(q, k, threshold) * v * valid


def is_open(q: Tensor, k: Tensor, threshold: int) -> Tensor:
    """Whether a channel of ``sdsa`` is open, (T, B, 1, D)."""
    return (q * k).sum(dim=2, keepdim=True) >= threshold


def coincidences(q: Tensor, k: Tensor) -> Tensor:
    """Pairs that ``ssa`` scores add up: sum over i, j, a of q[i, a] k[j, a], (T, B) float64."""
    return (q.sum(dim=2).double() * k.sum(dim=2)).sum(dim=-1)
