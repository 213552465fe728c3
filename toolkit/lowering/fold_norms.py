"""Pass 1: batch normalisation disappears into weights and biases, which take their integer form."""

from __future__ import annotations

import torch

from toolkit.lowering.choose_theta import choose_theta
from toolkit.models.layers import IntegerLinear
from toolkit.models.student import SpikingStudent


@torch.no_grad()
def to_integer_form(student: SpikingStudent) -> SpikingStudent:
    """Replace every normalised layer by its folded integer form, in place.

    Requires: running statistics of a trained student. Ensures: every linear layer is an
    ``IntegerLinear`` whose rounded weights are even and in [-256, 254].

    Raises:
        SpikeportError: the configuration has no integer form (what it asks for, and the way on).
    """
    student.config.require_integer_form()
    for name, layer, largest_message in list(student.linears()):
        if isinstance(layer, IntegerLinear):
            continue
        weight, bias = layer.folded()  # type: ignore[operator]
        theta = choose_theta(weight, bias, largest_message, student.config.steps, fires=name != "readout")
        student.replace(name, IntegerLinear(weight, bias, theta))
    return student
