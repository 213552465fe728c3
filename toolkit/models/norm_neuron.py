"""Batch normalisation and neurons as one training operation, which keeps its input and nothing else.

    z = gamma (y - mean) / sqrt(variance + eps) + beta over all valid tokens and steps;   s = LIF(z)

(Ioffe and Szegedy, arXiv 1502.03167, for the norm and its gradient.) Forward: one pass over ``y`` for the
statistics, one for the spikes. Backward: one pass for the two sums of the norm's gradient, one for the
gradient itself; each computes the membrane again from ``y``. In a group of processes the statistics and
the sums are those of the whole batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.autograd.function import once_differentiable

from toolkit.errors import SpikeportError
from toolkit.models.kernels import kernel
from toolkit.models.neuron import Neuron, current_gradients, membranes

SAMPLE = 32  # the pivot is the mean of a 32nd of the tokens: no channel loses more than 5 of 24 bits to it

_recomputing: ContextVar[bool] = ContextVar("recomputing", default=False)


@dataclass(frozen=True)
class Statistics:
    """Of one batch, over all processes.

    Attributes:
        mean: (C,).
        variance: (C,), divided by the count.
        count: rows, a scalar.
    """

    mean: Tensor
    variance: Tensor
    count: Tensor


def norm_neuron(y: Tensor, norms: Sequence[nn.BatchNorm1d], neuron: Neuron) -> Tensor:
    """Spikes of normalised sums, in training: batch statistics, and running ones updated.

    Args:
        y: outputs of a product, (T, M, C); padded tokens are not among the M.
        norms: normalisations of consecutive groups of channels, C in all, with one eps and one momentum.
        neuron: constants of the neurons, for normalised values.

    Returns:
        0/1 spikes, (T, M, C), in the precision of the norms' gains.

    Raises:
        SpikeportError: a single row, which has no variance.
    """
    statistics = batch_statistics(y.detach())
    if not _recomputing.get():
        update_running(norms, statistics)
    gain, bias = (_joined([getattr(norm, name) for norm in norms]) for name in ("weight", "bias"))
    spikes: Tensor = _NormNeuron.apply(y, gain, bias, statistics, norms[0].eps, neuron)
    return spikes


def batch_statistics(y: Tensor) -> Statistics:
    """Mean and variance of the rows of (T, M, C) in float32 (or wider), by sums shifted by a near mean.

    The shift is the mean of the first M / 32 tokens, so the squares cancel by a factor of 32 at worst
    (Chan, Golub and LeVeque, The American Statistician 37, 1983, on shifted sums).
    """
    rows = y.shape[0] * y.shape[1]
    if rows < 2 and not _in_group():
        raise SpikeportError(f"batch statistics: {rows} row (steps x tokens), need at least 2; use a larger batch")
    sample = y[:, : 1 + y.shape[1] // SAMPLE].flatten(0, 1)
    wide = torch.promote_types(y.dtype, torch.float32)
    pivot, _ = _over_processes(sample.sum(0, dtype=wide), sample.shape[0])
    (first, second), count = _over_processes(torch.stack(_moments(y, pivot)), rows)
    return Statistics(pivot + first, (second - first * first).clamp(min=0.0), count)


def _over_processes(sums: Tensor, rows: int) -> tuple[Tensor, Tensor]:
    """Sums (..., C) over the rows of all processes, divided by their number, and that number."""
    count = sums.new_tensor(float(rows))
    if _in_group():
        packed = torch.cat([sums.flatten(), count.unsqueeze(0)])
        distributed.all_reduce(packed)
        sums, count = packed[:-1].view_as(sums), packed[-1]
    return sums / count.clamp(min=1.0), count


def _in_group() -> bool:
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1


@torch.no_grad()
def update_running(norms: Sequence[nn.BatchNorm1d], statistics: Statistics) -> None:
    """Running statistics, variance without bias: the mean over batches until its weight has fallen to the momentum.

    That is ``nn.BatchNorm1d`` with ``momentum=None`` at first and with its momentum from then on, so that a small
    momentum does not leave the values that a fresh norm begins with in the average of a short run.
    """
    unbiased = statistics.variance * (statistics.count / (statistics.count - 1.0).clamp(min=1.0))
    sizes = [norm.num_features for norm in norms]
    for norm, mean, variance in zip(norms, statistics.mean.split(sizes), unbiased.split(sizes), strict=True):
        kept_mean, kept_variance, seen = norm.running_mean, norm.running_var, norm.num_batches_tracked
        assert kept_mean is not None and kept_variance is not None and seen is not None  # unless told not to
        assert norm.momentum is not None
        seen.add_(1)
        weight = seen.to(kept_mean.dtype).reciprocal().clamp(min=norm.momentum)
        kept_mean.lerp_(mean.to(kept_mean.dtype), weight)
        kept_variance.lerp_(variance.to(kept_variance.dtype), weight)


class _Recomputation:
    """Entered for every backward pass over the same graph, so it holds no state of one entry but the token."""

    def __enter__(self) -> None:
        self.token = _recomputing.set(True)

    def __exit__(self, *raised: object) -> None:
        _recomputing.reset(self.token)


def recompute_contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    """``context_fn`` for ``torch.utils.checkpoint``: running statistics count the first computation only."""
    return nullcontext(), _Recomputation()


def _joined(parts: list[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts)


class _NormNeuron(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, y: Tensor, gain: Tensor, bias: Tensor, statistics: Statistics, eps: float, neuron: Neuron
    ) -> Tensor:
        mean, inverse = statistics.mean, torch.rsqrt(statistics.variance + eps)
        slope = gain * inverse
        shift = bias - mean * slope
        ctx.save_for_backward(y, mean, inverse, slope, shift)
        ctx.neuron = neuron
        return _normed_scan(y, slope, shift, *neuron.constants(slope))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None, None]:
        y, mean, inverse, slope, shift = ctx.saved_tensors
        constants = ctx.neuron.constants(slope)
        grad = grads[0].contiguous()
        sums = torch.stack(_gradient_sums(grad, y, slope, shift, mean, *constants))
        (plain, spread), _ = _over_processes(sums, y.shape[0] * y.shape[1])
        along = spread * inverse * inverse
        found = _gradient(grad, y, slope, shift, mean, plain, along, *constants)
        return found, sums[1] * inverse, sums[0], None, None, None


@kernel
def _moments(y: Tensor, pivot: Tensor) -> tuple[Tensor, Tensor]:
    """Sums over the rows of the distances from the pivot and of their squares, (C,) each."""
    distance = y.flatten(0, 1) - pivot
    return distance.sum(0), (distance * distance).sum(0)


@kernel
def _normed_scan(y: Tensor, slope: Tensor, shift: Tensor, theta: Tensor, tau: Tensor, halving: bool) -> Tensor:
    """Spikes (T, M, C) of the currents ``y * slope + shift``."""
    charged = _charged(y, slope, shift, theta, tau, halving)
    return torch.stack([(m >= theta).to(slope.dtype) for m in charged])


@kernel
def _gradient_sums(
    grad: Tensor, y: Tensor, slope: Tensor, shift: Tensor, mean: Tensor, theta: Tensor, tau: Tensor, halving: bool
) -> tuple[Tensor, Tensor]:
    """Sums over the rows of the currents' gradient, and of it times the distance of y from its mean, (C,) each."""
    charged = _charged(y, slope, shift, theta, tau, halving)
    found = current_gradients(grad.unbind(0), charged, theta, tau, halving)
    plain, spread = torch.zeros_like(charged[0]), torch.zeros_like(charged[0])
    for step, value in zip(found, y.unbind(0), strict=True):
        plain = plain + step
        spread = spread + step * (value - mean)
    return plain.sum(0), spread.sum(0)


@kernel
def _gradient(
    grad: Tensor,
    y: Tensor,
    slope: Tensor,
    shift: Tensor,
    mean: Tensor,
    plain: Tensor,
    along: Tensor,
    theta: Tensor,
    tau: Tensor,
    halving: bool,
) -> Tensor:
    """Gradient of y, (T, M, C), from that of the spikes and the two means over the batch."""
    charged = _charged(y, slope, shift, theta, tau, halving)
    found = current_gradients(grad.unbind(0), charged, theta, tau, halving)
    steps = zip(found, y.unbind(0), strict=True)
    return torch.stack([(slope * (step - plain - (value - mean) * along)).to(y.dtype) for step, value in steps])


def _charged(y: Tensor, slope: Tensor, shift: Tensor, theta: Tensor, tau: Tensor, halving: bool) -> list[Tensor]:
    return membranes([value * slope + shift for value in y.unbind(0)], theta, tau, halving)
