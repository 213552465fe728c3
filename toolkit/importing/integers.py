"""Real-valued weights that come back, to the even integers of a layer; what that changed is counted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from toolkit.errors import SpikeportError
from toolkit.models.layers import WEIGHT_MAX, WEIGHT_MIN, IntegerLinear, Integers


@dataclass(frozen=True)
class LayerChange:
    """How a layer came back.

    Attributes:
        layer: its name.
        values: weights and biases it has.
        changed: of them, those whose integer is another than the student's.
        rounding: largest distance of a value from its even integer, in units of 1 / theta; 0 to 1.
        beyond: share of the weights that round to an integer outside [-256, 254].
        clipped: number of weights that were cut to that range; more than 0 only where it was asked for.
    """

    layer: str
    values: int
    changed: int
    rounding: float
    beyond: float
    clipped: int


def to_integers(
    name: str, weight: NDArray[np.float64], bias: NDArray[np.float64], before: Integers, clip: bool
) -> tuple[IntegerLinear, LayerChange]:
    """The layer with the nearest even integers, halves to the even half as everywhere here.

    Args:
        name: of the layer, for errors.
        weight: (out, in), finite.
        bias: (out,), finite.
        before: the layer that it was.
        clip: cut weights to 8 bits instead of refusing them.

    Raises:
        SpikeportError: a weight beyond 8 bits without ``clip``, or a bias beyond 2^22 (layer and value are named).
    """
    even, even_bias = 2.0 * np.rint(weight / 2.0), 2.0 * np.rint(bias / 2.0)
    distance = max(float(np.abs(even - weight).max()), float(np.abs(even_bias - bias).max()))
    outside = (even < WEIGHT_MIN) | (even > WEIGHT_MAX)
    if outside.any() and not clip:
        worst = float(weight[outside][np.abs(weight[outside]).argmax()])
        raise SpikeportError(
            f"layer {name}: weight {worst:g} and {int(outside.sum())} in all of {weight.size} are outside "
            f"[{WEIGHT_MIN}, {WEIGHT_MAX}]; train with load.py's rounding, which holds them inside, or give --clip"
        )
    integers = Integers(
        torch.from_numpy(even.clip(WEIGHT_MIN, WEIGHT_MAX)).float(), torch.from_numpy(even_bias).float(), before.theta
    )
    module = _exact(name, integers, even_bias)
    changed = int((integers.weight != before.weight).sum()) + int((integers.bias != before.bias).sum())
    return module, LayerChange(
        layer=name,
        values=weight.size + bias.size,
        changed=changed,
        rounding=distance,
        beyond=float(outside.mean()),
        clipped=int(outside.sum()),
    )


def _exact(name: str, wanted: Integers, bias: NDArray[np.float64]) -> IntegerLinear:
    """The module that holds these integers, refused where float32 would hold others."""
    module = IntegerLinear.from_integers(wanted)
    held = module.integers()
    assert torch.equal(held.weight, wanted.weight)  # 8 bits over theta <= 2^14: exact by construction
    wrong = bias[held.bias.double().numpy() != bias]
    if wrong.size:
        raise SpikeportError(
            f"layer {name}: bias {wrong[0]:g} is not held exactly, needs at most 2^22; train with a lower learning rate"
        )
    return module
