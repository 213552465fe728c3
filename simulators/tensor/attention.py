"""Attention on spikes, as one kernel instead of its expansion into neurons.

All tensors are (T, B, N, D), 0.0 / 1.0 spikes.
"""

from __future__ import annotations

from torch import Tensor


def ssa(q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
    """Sums Q (K^T V) per head of contiguous channels (Spikformer, arXiv 2209.15425); integers, exact.

    Associated this way the product costs N d^2 per head instead of N^2 d.
    """

    def split(x: Tensor) -> Tensor:
        return x.unflatten(-1, (heads, -1)).transpose(2, 3)

    return (split(q) @ (split(k).transpose(-1, -2) @ split(v))).transpose(2, 3).flatten(-2)


def sdsa(q: Tensor, k: Tensor, v: Tensor, valid: Tensor, threshold: int) -> Tensor:
    """Spikes ``[sum_n q AND k >= threshold] AND v AND valid`` (spike-driven, arXiv 2307.01694).

    Args:
        q, k, v: spikes, (T, B, N, D).
        valid: the valid train, (T, B, N, 1).
        threshold: token count at which a channel opens for all tokens of that step.
    """
    gate = (q * k).sum(dim=2, keepdim=True) >= threshold
    return gate * v * valid


def coincidences(q: Tensor, k: Tensor) -> Tensor:
    """Pairs that ``ssa`` scores add up: sum over i, j, a of q[i, a] k[j, a], (T, B) float64."""
    return (q.sum(dim=2).double() * k.sum(dim=2)).sum(dim=-1)
