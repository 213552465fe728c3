"""Pass 1: batch normalisation disappears into weights and biases."""

from __future__ import annotations

from dataclasses import replace

import torch

from toolkit.errors import SpikeportError
from toolkit.lowering.choose_theta import choose_theta
from toolkit.lowering.passes import Affine, State, refuse_unless_same
from toolkit.models.layers import IntegerLinear, NormedLinear
from toolkit.models.student import SpikingStudent


class FoldNorms:
    """A normalised layer becomes the affine map that its running statistics give.

    Requires: a student that has an integer form, with running statistics of training. Ensures: a finite
    ``Affine`` for every linear layer, of the layer's shape; layers in integer form keep weights and threshold.
    """

    name = "fold_norms"

    def requires(self, state: State) -> None:
        state.config.require_integer_form()
        for name, layer, _ in state.student.linears():
            if isinstance(layer, NormedLinear) and not int(layer.norm.num_batches_tracked or 0):
                raise SpikeportError(
                    f"layer {name}: running statistics of 0 batches, needs at least 1; train the student first"
                )

    @torch.no_grad()
    def run(self, state: State) -> State:
        return replace(state, affine={name: _affine(layer, m) for name, layer, m in state.student.linears()})

    def ensures(self, state: State) -> None:
        layers = {name: layer for name, layer, _ in state.student.linears()}
        refuse_unless_same("affine map", set(state.affine), set(layers))
        for name, affine in state.affine.items():
            wanted = tuple(layers[name].get_parameter("weight").shape)
            if tuple(affine.weight.shape) != wanted or tuple(affine.bias.shape) != wanted[:1]:
                raise SpikeportError(f"layer {name}: folded to {list(affine.weight.shape)}, needs {wanted}; again")
            if not (torch.isfinite(affine.weight).all() and torch.isfinite(affine.bias).all()):
                raise SpikeportError(f"layer {name}: a value is not finite; train again from the last good checkpoint")


def _affine(layer: torch.nn.Module, message: int) -> Affine:
    if isinstance(layer, IntegerLinear):
        return Affine(layer.weight.detach(), layer.bias.detach(), message, layer.theta)
    weight, bias = layer.folded()  # type: ignore[operator]
    return Affine(weight, bias, message)


@torch.no_grad()
def to_integer_form(student: SpikingStudent) -> SpikingStudent:
    """Replace every normalised layer by its folded integer form, in place: how stage 3 of training begins.

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
