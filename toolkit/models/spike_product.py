"""The product of a linear layer with spikes or sums of spikes: kept in a byte each for the backward pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

LARGEST = 255
"""Of a spike sum: what a byte holds."""


def spike_product(x: Tensor, *weights: Tensor) -> Tensor:
    """``functional.linear`` of all weights at once, with a quarter of the memory between the two passes.

    Args:
        x: (..., in), integers from 0 to 255 in any floating type; others give a wrong gradient of the weight.
        weights: (out, in) each.

    Returns:
        (..., sum of out), in the order of the weights.
    """
    y: Tensor = _SpikeProduct.apply(x, *weights)
    return y


def stacked(weights: Sequence[Tensor]) -> Tensor:
    """(sum of out, in) from (out, in) each."""
    return weights[0] if len(weights) == 1 else torch.cat(tuple(weights))


class _SpikeProduct(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, *weights: Tensor) -> Tensor:
        ctx.save_for_backward(x.to(torch.uint8), *weights)  # the parameters themselves, not a stacked copy
        ctx.dtype = x.dtype
        return functional.linear(x, stacked(weights))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        counts, *weights = ctx.saved_tensors
        (grad,) = grads  # in the precision of the product, which autocast may have lowered
        to_x = None
        if ctx.needs_input_grad[0]:
            to_x = torch.matmul(grad, stacked(weights).to(grad.dtype)).to(ctx.dtype)
        if not any(ctx.needs_input_grad[1:]):
            return to_x, *[None] * len(weights)
        rows = counts.flatten(0, -2).to(grad.dtype)
        to_all = torch.mm(grad.flatten(0, -2).t(), rows).to(weights[0].dtype)
        return to_x, *to_all.split([len(w) for w in weights])
