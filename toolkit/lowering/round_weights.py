"""Weights and biases to even integers in units of 1 / theta, and what that changed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from toolkit.errors import SpikeportError
from toolkit.lowering.passes import Affine, Rounding, State, refuse_unless_same
from toolkit.models.layers import WEIGHT_MAX, WEIGHT_MIN, IntegerLinear, Integers

HALF_STEP = 1.0 + 1e-3  # even integers lie 2 apart; the rest is float32's, of theta * W


@dataclass(frozen=True)
class RoundWeights:
    """``W_int = 2 rint(theta W / 2)`` in [-256, 254], biases alike and unclipped.

    Requires: a threshold for every layer. Ensures: even integers, weights within 8 bits, each at most one unit
    from ``theta W`` unless 8 bits clip it.
    """

    name = "round_weights"

    def requires(self, state: State) -> None:
        refuse_unless_same("threshold", set(state.thetas), set(state.affine))

    @torch.no_grad()
    def run(self, state: State) -> State:
        integers = rounded(state)
        changes = {name: _rounding(state.affine[name], layer) for name, layer in integers.items()}
        return replace(state, integers=integers, rounding=changes)

    def ensures(self, state: State) -> None:
        refuse_unless_same("integer form", set(state.integers), set(state.affine))
        for name, layer in state.integers.items():
            check_integers(name, layer)
            affine = state.affine[name]
            wanted = (affine.weight * layer.theta).clamp(WEIGHT_MIN, WEIGHT_MAX)
            for what, got, real in (("weight", layer.weight, wanted), ("bias", layer.bias, affine.bias * layer.theta)):
                tolerance = HALF_STEP + real.abs() * 2.0**-22  # a bias may be large
                if ((got - real).abs() > tolerance).any():
                    far = float((got - real).abs().max())
                    raise SpikeportError(f"layer {name}: {what} {far:g} from its real value, at most 1; round again")


def rounded(state: State) -> dict[str, Integers]:
    """The layers at the state's thresholds, by the rule with which training rounds."""
    return {
        name: IntegerLinear(affine.weight, affine.bias, state.thetas[name].value).integers()
        for name, affine in state.affine.items()
    }


def check_integers(name: str, layer: Integers) -> None:
    """Even integers, weights within 8 bits.

    Raises:
        SpikeportError: the first value that is not.
    """
    for what, values in (("weight", layer.weight), ("bias", layer.bias)):
        odd = values[torch.remainder(values, 2) != 0]
        if odd.numel():
            raise SpikeportError(f"layer {name}: {what} {odd[0].item():g} is not an even integer; quantise again")
    extreme = layer.weight.abs().max().item()
    if layer.weight.min() < WEIGHT_MIN or layer.weight.max() > WEIGHT_MAX:
        raise SpikeportError(
            f"layer {name}: weight magnitude {extreme:g} is outside [{WEIGHT_MIN}, {WEIGHT_MAX}]; quantise again"
        )


def _rounding(affine: Affine, layer: Integers) -> Rounding:
    real = affine.weight.double() * layer.theta
    change = _rms(layer.weight.double() - real)
    size = _rms(real)
    beyond = (2 * torch.round(real / 2) < WEIGHT_MIN) | (2 * torch.round(real / 2) > WEIGHT_MAX)
    return Rounding(int(beyond.sum()), change / size if size else 0.0)


def _rms(values: Tensor) -> float:
    return float(values.square().mean().sqrt())
