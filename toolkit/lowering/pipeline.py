"""Student in integer form to checked integer graph: bound every accumulator, build, validate."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from exporters.nir.graph import Graph
from toolkit.errors import SpikeportError
from toolkit.lowering.attention_body import AttentionForm, attention_form
from toolkit.lowering.bounds import Bound, bound_layer, current_limit
from toolkit.lowering.build_graph import build_graph
from toolkit.models.configuration import StudentConfig
from toolkit.models.layers import WEIGHT_MAX, WEIGHT_MIN, Integers
from toolkit.models.student import SpikingStudent

FLOAT32_EXACT = 2**24


@dataclass(frozen=True)
class Lowered:
    """The result of lowering: the graph, what was proved about it, and how its attention is written."""

    graph: Graph
    bounds: dict[str, Bound]
    limits: dict[str, int]
    attention: AttentionForm


def lower(student: SpikingStudent, tokens: int | None = None, attention_body: str = "auto") -> Lowered:
    """Lower a student in integer form to a graph.

    Args:
        student: in integer form.
        tokens: slots N of the graph; default: the student's own.
        attention_body: ``"gates"``, ``"native"`` or ``"auto"``, as :func:`attention_form` has it.

    Raises:
        SpikeportError: the student is not in integer form, a weight does not fit, a current could
            leave the chip's range (layer, value and limit are named), or there is no such attention body.
    """
    layers = student.integers()
    sources = {name: largest for name, _, largest in student.linears()}
    if missing := sorted(set(sources) - set(layers)):
        raise SpikeportError(f"layer {missing[0]}: not in integer form; train its stage 3 first (`spikeport distill`)")
    slots = student.config.tokens if tokens is None else tokens
    if slots < 1:
        raise SpikeportError(f"tokens {slots}: a graph needs at least 1 slot; choose a larger number")
    bounds, limits = {}, {}
    for name, layer in layers.items():
        check_integers(name, layer)
        bounds[name] = bound_layer(layer.weight, layer.bias, sources[name])
        fires = name != "readout"
        limits[name] = current_limit(student.config.steps, even=True) if fires else FLOAT32_EXACT
    if student.config.attention == "ssa":
        for i in range(student.config.layers):
            name = f"block{i}.attention"
            bounds[name] = attention_bound(student.config, slots)
            limits[name] = current_limit(student.config.steps, even=False)
    for name, bound in bounds.items():
        if bound.magnitude > limits[name]:
            raise SpikeportError(
                f"layer {name}: current may reach {bound.magnitude}, the limit at T = {student.config.steps} is "
                f"{limits[name]}; lower its threshold or shorten the sentence (tokens = {slots})"
            )
    form = attention_form(student.config, slots, attention_body)
    graph = build_graph(student.config, layers, slots, gates=form.body == "gates")
    return Lowered(graph, bounds, limits, form)


def attention_bound(config: StudentConfig, tokens: int) -> Bound:
    """``ssa`` sums count at most one unit per token and channel of a head."""
    return Bound(0, tokens * config.width // config.heads)


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
