"""Nodes without a memory, over any number of samples and steps at once: (M, *entering) -> (M, *leaving)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import nir
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from exporters.nir.stock.shapes import Shape, conv_padding, flattened, per_axis, pool_sizes

Transform = Callable[[Tensor], Tensor]


def transform(node: nir.NIRNode, name: str, shape: Shape, dtype: torch.dtype) -> Transform:
    """The function of a node that ``shape`` enters."""
    match node:
        case nir.Affine() | nir.Linear():
            return _linear(node, dtype)
        case nir.Conv1d() | nir.Conv2d():
            return _convolution(node, name, dtype)
        case nir.AvgPool2d() | nir.SumPool2d():
            return _pool(node, name)
        case nir.Scale():
            scale = spread(node.scale, shape, dtype)
            return lambda x: x * scale
        case nir.Threshold():
            threshold = spread(node.threshold, shape, dtype)
            return lambda x: (x > threshold).to(dtype)
        case nir.Flatten():
            leaving = flattened(node, name, shape)
            return lambda x: x.reshape(len(x), *leaving)
    assert isinstance(node, nir.Input | nir.Output), node
    return lambda x: x


def spread(value: Any, shape: Shape, dtype: torch.dtype) -> Tensor:
    """A parameter over the shape of its node."""
    held = tensor(value, dtype)
    return (held.reshape(()) if held.numel() == 1 else held).expand(shape)


def tensor(value: Any, dtype: torch.dtype) -> Tensor:
    """A copy: nodes may hold views that torch warns of, and integers of any width."""
    return torch.from_numpy(np.array(value, np.float64)).to(dtype)


def _linear(node: Any, dtype: torch.dtype) -> Transform:
    """``y = W x + b``; leading axes of W are matrices of their own, one for each such element."""
    weight = tensor(node.weight, dtype)
    bias = tensor(node.bias, dtype) if isinstance(node, nir.Affine) else None
    if weight.ndim == 2:
        return lambda x: functional.linear(x, weight, bias)

    def apply(x: Tensor) -> Tensor:
        y = torch.matmul(weight, x.unsqueeze(-1)).squeeze(-1)
        return y if bias is None else y + bias

    return apply


def _convolution(node: Any, name: str, dtype: torch.dtype) -> Transform:
    axes = node.weight.ndim - 2
    weight, bias = tensor(node.weight, dtype), tensor(node.bias, dtype)
    stride, dilation = (per_axis(getattr(node, key), axes, name, key) for key in ("stride", "dilation"))
    groups, margins = int(per_axis(node.groups, 1, name, "groups")[0]), padding_of(node, name)
    convolve: Any = functional.conv1d if axes == 1 else functional.conv2d
    return lambda x: convolve(functional.pad(x, margins), weight, bias, stride, 0, dilation, groups)


def padding_of(node: Any, name: str) -> list[int]:
    """A convolution's zeros as torch's ``pad`` takes them: last axis first."""
    return [zeros for pair in reversed(conv_padding(node, name)) for zeros in pair]


def _pool(node: Any, name: str) -> Transform:
    """Sum, or sum over kernel size: the zeros of the padding count, as nir defines AvgPool2d."""
    kernel, stride, (rows, columns) = pool_sizes(node, name)
    divisor = 1 if isinstance(node, nir.SumPool2d) else kernel[0] * kernel[1]
    margins = [columns, columns, rows, rows]  # torch's own padding ends at half a kernel
    return lambda x: functional.avg_pool2d(functional.pad(x, margins), kernel, stride, divisor_override=divisor)
