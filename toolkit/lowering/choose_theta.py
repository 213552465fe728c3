"""Pass 2: one integer threshold per layer, the largest at which weights fit and currents are proved in range."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from toolkit.errors import SpikeportError
from toolkit.lowering.bounds import bound_layer, bound_rows, current_limit
from toolkit.lowering.passes import READOUT, Affine, State, Theta, refuse_unless_same
from toolkit.models.layers import WEIGHT_MAX, IntegerLinear

SLACK = 0.97  # room for rounding to even integers, which can add one unit per weight and message to a row
THETA_LIMIT = 2**14  # 2^(1+e) * theta - 1 must fit Loihi's 17-bit threshold, and readers' tie margin 2^-5
OUTLIERS = 0.9995  # weights beyond this quantile are clipped rather than taking resolution from the rest

Rule = Literal["keep", "proved", "weights"]


@dataclass(frozen=True)
class ChooseTheta:
    """One threshold a layer, by one of three rules.

    ``proved``: the largest at which 8 bits hold the weights, and no larger than training chose, lowered until
    every current is proved in range. ``weights``: without that proof, for a bound that is measured. ``keep``:
    what training chose, untouched.

    Requires: an affine map for every layer; for ``keep``, a threshold of training in each. Ensures:
    thresholds from 1 to 2^14; by the rule ``proved``, a bound within the chip's range.
    """

    rule: Rule = "proved"
    name = "choose_theta"

    def requires(self, state: State) -> None:
        refuse_unless_same("affine map", set(state.affine), {name for name, _, _ in state.student.linears()})
        if self.rule != "keep":
            return
        for name, affine in state.affine.items():
            if affine.theta is None:
                step = "train its stage 3 first (`spikeport distill`)"
                raise SpikeportError(f"layer {name}: not in integer form; {step}")

    @torch.no_grad()
    def run(self, state: State) -> State:
        limit = current_limit(state.config.steps, even=True)
        thetas = {name: _theta(self.rule, x, limit if name != READOUT else None) for name, x in state.affine.items()}
        return replace(state, thetas=thetas)

    def ensures(self, state: State) -> None:
        limit = current_limit(state.config.steps, even=True)
        refuse_unless_same("threshold", set(state.thetas), set(state.affine))
        for name, theta in state.thetas.items():
            if not 1 <= theta.value <= THETA_LIMIT:
                raise SpikeportError(f"layer {name}: threshold {theta.value}, needs 1 to {THETA_LIMIT}; choose again")
            if self.rule != "proved" or name == READOUT:
                continue
            reach = _bound_at(theta.value, *_parts(state.affine[name]))
            if reach > limit:
                raise SpikeportError(
                    f"layer {name}: current may reach {reach} at theta = {theta.value}, the limit at "
                    f"T = {state.config.steps} is {limit}; train it with smaller weights, or export with --calibrated"
                )


def choose_theta(weight: Tensor, bias: Tensor, largest_message: int, steps: int, fires: bool = True) -> int:
    """The threshold with which stage 3 of training begins: weights fit 8 bits, with room below the proved range.

    Args:
        weight, bias: real-valued, for a threshold of 1.
        largest_message: messages are integers from 0 to this.
        steps: T.
        fires: whether a neuron follows; a readout has only the weight limit.
    """
    if not (torch.isfinite(weight).all() and torch.isfinite(bias).all()):
        raise SpikeportError("weights: a value is not finite; train again from the last good checkpoint")
    if not fires:
        return max(int(min(WEIGHT_MAX / float(weight.abs().max().clamp_min(1e-9)), THETA_LIMIT)), 1)
    limit = current_limit(steps, even=True)
    by_current = SLACK * limit / _reach(weight, bias, largest_message)
    theta = max(math.floor(min(_by_quantile(weight), by_current, THETA_LIMIT)), 1)
    while theta > 1 and _bound_at(theta, weight, bias, largest_message) > limit:
        theta -= max(theta // 50, 1)  # the slack did not cover the rounding of a very wide layer
    return theta


def theta_by_weights(weight: Tensor, fires: bool = True) -> int:
    """The largest threshold at which 8 bits hold the weights: all of a readout's, all but outliers elsewhere."""
    largest = _by_quantile(weight) if fires else WEIGHT_MAX / float(weight.abs().max().clamp_min(1e-9))
    return max(int(min(largest, THETA_LIMIT)), 1)


def theta_by_proof(weight: Tensor, bias: Tensor, largest_message: int, limit: int, start: int = THETA_LIMIT) -> int:
    """The largest threshold, from ``start`` down, at which the layer's bound is at most ``limit``; 1 if none."""
    theta = max(min(start, math.ceil(limit / _reach(weight, bias, largest_message))), 1)
    while theta > 1 and _bound_at(theta, weight, bias, largest_message) > limit:
        theta -= max(theta // 256, 1)
    return theta


def _theta(rule: Rule, affine: Affine, limit: int | None) -> Theta:
    by_weights = theta_by_weights(affine.weight, fires=limit is not None)
    start = by_weights if affine.theta is None else affine.theta
    if limit is None:
        return Theta(start, by_weights, None)
    by_proof = theta_by_proof(*_parts(affine), limit)
    proved = start
    if _bound_at(start, *_parts(affine)) > limit:
        proved = theta_by_proof(*_parts(affine), limit, min(start, by_proof))
    return Theta(proved if rule == "proved" else start, by_weights, max(by_proof, proved))


def _parts(affine: Affine) -> tuple[Tensor, Tensor, int]:
    return affine.weight, affine.bias, affine.message


def _by_quantile(weight: Tensor) -> float:
    return WEIGHT_MAX / float(weight.abs().flatten().quantile(OUTLIERS).clamp_min(1e-9))


def _reach(weight: Tensor, bias: Tensor, largest_message: int) -> float:
    high, low = bound_rows(weight, bias, largest_message)
    return max(float(high.max()), -float(low.min()), 1e-9)


def _bound_at(theta: int, weight: Tensor, bias: Tensor, largest_message: int) -> int:
    integers = IntegerLinear(weight, bias, theta).integers()
    return bound_layer(integers.weight, integers.bias, largest_message).magnitude
