"""The two attentions, on 0/1 spikes laid out (T, B, N, D)."""

from __future__ import annotations

from torch import Tensor

from toolkit.models.neuron import threshold


def ssa(q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
    """Spiking self-attention sums Q (K^T V) per head (Spikformer, arXiv 2209.15425).

    Returns:
        Integer-valued sums, (T, B, N, D), from 0 to N * D / heads. A silent query row gives 0.
    """

    def split(x: Tensor) -> Tensor:
        return x.unflatten(-1, (heads, -1)).transpose(2, 3)

    summary = split(k).transpose(-1, -2) @ split(v)
    return (split(q) @ summary).transpose(2, 3).flatten(-2)


def sdsa(q: Tensor, k: Tensor, v: Tensor, theta: int) -> Tensor:
    """Spike-driven self-attention: AND, sum over tokens, threshold, AND (arXiv 2307.01694).

    Channel c of every token is let through where at least ``theta`` tokens have both q and k set.

    Args:
        q, k, v: spikes, (T, B, N, D), zero where padded (which silences the output there too).
        theta: integer threshold of the token count.

    Returns:
        0/1 spikes, (T, B, N, D).
    """
    count = (q * k).sum(dim=2, keepdim=True)
    return threshold(count, float(theta)) * v
