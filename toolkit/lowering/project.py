"""During stage 3: hold every row of the integer form inside the range that can be proved for it."""

from __future__ import annotations

import torch
from torch import Tensor

from toolkit.lowering.bounds import bound_rows, current_limit
from toolkit.lowering.choose_theta import SLACK
from toolkit.models.layers import IntegerLinear
from toolkit.models.student import SpikingStudent


@torch.no_grad()
def project(student: SpikingStudent) -> None:
    """Scale down the rows whose proved bound has left the range, in place; run after each update."""
    limit = current_limit(student.config.steps, even=True)
    for name, layer, largest_message in student.linears():
        if name == "readout" or not isinstance(layer, IntegerLinear):
            continue
        high, low = bound_rows(layer.weight, layer.bias, largest_message)
        reach = torch.maximum(high, -low) * layer.theta
        _scale_rows(layer, (SLACK * limit / reach).clamp_max(1.0))
        while (over := _rows_over(layer, largest_message, limit)).any():
            _scale_rows(layer, torch.where(over, SLACK, 1.0))


def _scale_rows(layer: IntegerLinear, factor: Tensor) -> None:
    layer.weight.mul_(factor.unsqueeze(1))
    layer.bias.mul_(factor)


def _rows_over(layer: IntegerLinear, largest_message: int, limit: int) -> Tensor:
    """Rows that rounding takes beyond the limit all the same, (out,) bool."""
    high, low = bound_rows(*layer.rounded(), largest_message)
    return torch.maximum(high, -low) > limit
