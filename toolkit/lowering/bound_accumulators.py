"""Every accumulator within the chip's range: proved for every input, or measured where that is asked for."""

from __future__ import annotations

from dataclasses import dataclass, replace

from toolkit.errors import SpikeportError
from toolkit.lowering.bounds import Bound, bound_layer, current_limit
from toolkit.lowering.passes import READOUT, State, refuse_unless_same
from toolkit.models.configuration import StudentConfig
from toolkit.models.layers import Integers

FLOAT32_EXACT = 2**24


@dataclass(frozen=True)
class BoundAccumulators:
    """A bound for every layer: proved, or, if ``calibrated`` and no proof holds, measured with a margin.

    Requires: integers for every layer; if ``calibrated``, measured currents. Ensures: no bound, its margin
    included, beyond its limit.
    """

    calibrated: bool = False
    name = "bound_accumulators"

    def requires(self, state: State) -> None:
        refuse_unless_same("integer form", set(state.integers), set(state.affine))
        if self.calibrated and state.measured is None:
            raise SpikeportError("measured currents: 0 layers, a calibrated bound needs all; run the pass calibrate")

    def run(self, state: State) -> State:
        bounds, limits = proved_bounds(state, state.integers)
        if self.calibrated and (measured := state.measured):
            for name, bound in bounds.items():
                if bound.magnitude > limits[name] and name in measured.currents:
                    bounds[name] = Bound(*measured.currents[name], measured.margin, measured.samples)
        return replace(state, bounds=bounds, limits=limits)

    def ensures(self, state: State) -> None:
        refuse_unless_same("bound", set(state.bounds) & set(state.affine), set(state.affine))
        way = "" if self.calibrated else ", or export with --calibrated"
        for name, bound in state.bounds.items():
            limit = state.limits[name]
            if bound.reach > limit:
                how = "may reach" if bound.margin is None else f"times the margin of {bound.margin:g} reaches"
                raise SpikeportError(
                    f"layer {name}: current {how} {bound.reach}, the limit at T = {state.config.steps} is {limit}; "
                    f"lower its threshold or shorten the sentence (tokens = {state.tokens}){way}"
                )


def proved_bounds(state: State, integers: dict[str, Integers]) -> tuple[dict[str, Bound], dict[str, int]]:
    """What the weights alone allow, in every linear layer and ``ssa`` attention, and the limit of each."""
    steps = state.config.steps
    bounds, limits = {}, {}
    for name, layer in integers.items():
        bounds[name] = bound_layer(layer.weight, layer.bias, state.affine[name].message)
        limits[name] = FLOAT32_EXACT if name == READOUT else current_limit(steps, even=True)
    if state.config.attention == "ssa":
        for i in range(state.config.layers):
            name = f"block{i}.attention"
            bounds[name] = attention_bound(state.config, state.tokens)
            limits[name] = current_limit(steps, even=False)
    return bounds, limits


def attention_bound(config: StudentConfig, tokens: int) -> Bound:
    """``ssa`` sums count at most one unit per token and channel of a head."""
    return Bound(0, tokens * config.width // config.heads)
