"""Refusals of the integer arithmetic: what a graph must be to have Loihi 2 semantics at all."""

from __future__ import annotations

import numpy as np

from exporters.nir.graph import Attention, Graph, Neuron, Node, Pool, TokenLinear, integer_threshold
from simulators.arithmetic import VTH_MAX, firing_threshold, weight_exponent
from simulators.errors import GraphSimulationError

WEIGHT_MIN, WEIGHT_MAX = -256, 254  # signed 8-bit weights with one shift: even integers
ONE_SIGN_MAX = 255  # weights of one sign keep their lowest bit


def check_integer(graph: Graph, steps: int) -> None:
    """Refuse a graph that is not integer in the sense of the ``loihi2`` arithmetic.

    Raises:
        GraphSimulationError: naming the first node that does not qualify.
    """
    for name in sorted(graph.nodes):
        if fault := _fault(graph.nodes[name], steps):
            raise GraphSimulationError(f"{name}: {fault}; lower the model to integers or use arithmetic='real'")


def _fault(node: Node, steps: int) -> str | None:
    match node:
        case TokenLinear():
            return _linear_fault(node)
        case Neuron():
            return _neuron_fault(node, steps)
        case Pool() if node.kernel != 1 or node.padding:
            return f"pool of kernel {node.kernel} divides, only kernel 1 adds integers"
        case Attention(kind="sdsa") if node.threshold < 1:
            return f"attention threshold {node.threshold} is below 1"
    return None


def _linear_fault(node: TokenLinear) -> str | None:
    weight = node.weight
    if np.any(node.bias):
        first = float(node.bias[np.flatnonzero(node.bias)[0]])
        return f"bias {first:g} is not 0, biases ride on the valid train"
    if np.any(broken := weight != np.rint(weight)):
        return f"weight {float(weight[broken][0]):g} is not an integer"
    low, high = float(weight.min(initial=0.0)), float(weight.max(initial=0.0))
    if low == 0 or high == 0:
        extreme = high if low == 0 else low
        return f"weight {extreme:g} exceeds {ONE_SIGN_MAX} in one sign" if _too_large(weight, extreme) else None
    if low < WEIGHT_MIN or high > WEIGHT_MAX:
        return f"weight {low if low < WEIGHT_MIN else high:g} is outside [{WEIGHT_MIN}, {WEIGHT_MAX}]"
    if np.any(odd := weight % 2 != 0):
        return f"weight {float(weight[odd][0]):g} is odd, weights of both signs must be even"
    return None


def _too_large(weight: np.ndarray, extreme: float) -> bool:
    within_mixed = not np.any(weight % 2) and WEIGHT_MIN <= extreme <= WEIGHT_MAX
    return abs(extreme) > ONE_SIGN_MAX and not within_mixed


def _neuron_fault(node: Neuron, steps: int) -> str | None:
    if node.tau_steps != 2:
        return f"neuron of tau {node.tau_steps:g} steps, Loihi's halving needs 2"
    theta = integer_threshold(node.v_threshold)
    # v moves on a grid of 2^-T: within one grid step below theta, v > v_threshold means v >= theta
    if theta < 1 or not 0 < theta - node.v_threshold <= 2.0**-steps:
        return f"threshold {node.v_threshold:.9g} is not the tie margin below an integer >= 1 at T = {steps}"
    return None


def check_threshold(name: str, theta: int, steps: int, even: bool) -> None:
    """Refuse a threshold that Loihi's 17-bit register does not hold at this number of steps.

    Raises:
        GraphSimulationError: naming the node, its ``vth`` and the limit.
    """
    vth = firing_threshold(theta, weight_exponent(steps, even))
    if vth > VTH_MAX:
        raise GraphSimulationError(
            f"{name}: threshold {theta} over T = {steps} steps needs vth {vth}, the limit is {VTH_MAX}; "
            "lower the threshold or shorten the window"
        )
