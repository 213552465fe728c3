"""Pass 2: one integer threshold per layer, the largest at which weights fit and currents are proved in range."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from toolkit.errors import SpikeportError
from toolkit.lowering.bounds import bound_layer, bound_rows, current_limit
from toolkit.models.layers import WEIGHT_MAX, IntegerLinear

SLACK = 0.97  # room for rounding to even integers, which can add one unit per weight and message to a row
THETA_LIMIT = 2**14  # 2^(1+e) * theta - 1 must fit Loihi's 17-bit threshold, and readers' tie margin 2^-5
OUTLIERS = 0.9995  # weights beyond this quantile are clipped rather than taking resolution from the rest


def choose_theta(weight: Tensor, bias: Tensor, largest_message: int, steps: int, fires: bool = True) -> int:
    """The largest threshold at which weights fit 8 bits and the current is provably in range.

    Args:
        weight, bias: real-valued, for a threshold of 1.
        largest_message: messages are integers from 0 to this.
        steps: T.
        fires: whether a neuron follows; a readout has only the weight limit.
    """
    if not (torch.isfinite(weight).all() and torch.isfinite(bias).all()):
        raise SpikeportError("weights: a value is not finite; train again from the last good checkpoint")
    by_weight = WEIGHT_MAX / float(weight.abs().flatten().quantile(OUTLIERS).clamp_min(1e-9))
    if not fires:
        return max(int(min(WEIGHT_MAX / float(weight.abs().max().clamp_min(1e-9)), THETA_LIMIT)), 1)
    high, low = bound_rows(weight, bias, largest_message)
    reach = max(float(high.max()), -float(low.min()), 1e-9)
    limit = current_limit(steps, even=True)
    theta = max(math.floor(min(by_weight, SLACK * limit / reach, THETA_LIMIT)), 1)
    while theta > 1 and _bound_at(theta, weight, bias, largest_message) > limit:
        theta -= max(theta // 50, 1)  # the slack did not cover the rounding of a very wide layer
    return theta


def _bound_at(theta: int, weight: Tensor, bias: Tensor, largest_message: int) -> int:
    integers = IntegerLinear(weight, bias, theta).integers()
    return bound_layer(integers.weight, integers.bias, largest_message).magnitude
