"""Loihi's number ranges, enforced here: Lava checks none of them (a float or an overflow just runs).

Formulas: with weight exponent e, ``v_lava = 2^(7+e) v``, ``vth = 2^(1+e) threshold - 1``. ``e = T - 1``
keeps every membrane value of a T-step window a multiple of 64, so that halving never rounds and the
strict comparison on chip equals "at or above"; where all sums are even, ``e = T - 2`` suffices.
``|I| <= 2^(16-e)`` keeps current and membrane (24 bit) from wrapping or clipping.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from exporters.lava.flow import Flow
from exporters.lava.plan import PlanError
from exporters.nir.graph import TIE_MARGIN, Attention, Input, Neuron, TokenLinear, integer_threshold

WEIGHT_RANGE = (-256, 254)
VTH_LIMIT = 131_071  # 17 bit
WEIGHT_EXP_LIMIT = 7  # 4 bit, signed
THRESHOLD_TOLERANCE = 1e-4


def weights_of(name: str, node: TokenLinear) -> NDArray[np.int16]:
    """The (out, window * in) matrix as even int16.

    Raises:
        PlanError: for a bias, or a weight that a mixed-sign 8-bit synapse does not hold.
    """
    if np.any(node.bias):
        worst = float(np.abs(node.bias).max())
        raise PlanError(f"{name}: has a bias current of {worst:g}; biases ride on the valid train here")
    low, high = WEIGHT_RANGE
    wrong = (node.weight % 2 != 0) | (node.weight < low) | (node.weight > high)
    if wrong.any():
        value = float(node.weight[wrong][0])
        raise PlanError(f"{name}: weight {value:g}, a mixed-sign synapse holds even integers {low}..{high}")
    return node.weight.astype(np.int16)


def threshold_of(name: str, node: Neuron) -> int:
    """The integer threshold, tie margin undone.

    Raises:
        PlanError: for a gate, a time constant other than 2 steps, or a threshold that is no integer.
    """
    if node.tau_steps != 2.0:
        what = "a stateless gate" if node.is_gate else "a neuron"
        raise PlanError(f"{name}: {what} with tau {node.tau_steps:g} steps; planned are neurons with tau 2")
    threshold = integer_threshold(node.v_threshold)
    meant = node.v_threshold / (1.0 - TIE_MARGIN)
    if threshold < 1 or abs(meant - threshold) > THRESHOLD_TOLERANCE * threshold:
        raise PlanError(f"{name}: threshold {meant:g}, need an integer of at least 1")
    return threshold


def exponent_of(flow: Flow, name: str, steps: int) -> int:
    """Weight exponent e of neuron ``name``: T - 2 if all its sums are even, else T - 1.

    Raises:
        PlanError: if T is too long for the exponent's range.
    """
    even = all(isinstance(flow.nodes[writer], TokenLinear) for writer in flow.writers(name))
    exponent = max(steps - 2, 0) if even else steps - 1
    if exponent > WEIGHT_EXP_LIMIT:
        raise PlanError(f"{name}: T = {steps} needs weight exponent {exponent}, limit {WEIGHT_EXP_LIMIT}")
    return exponent


def vth_of(name: str, threshold: int, exponent: int) -> int:
    """Lava's vth, checked against 17 bits."""
    vth = (threshold << (1 + exponent)) - 1
    if vth > VTH_LIMIT:
        limit = (VTH_LIMIT + 1) >> (1 + exponent)
        raise PlanError(f"{name}: threshold {threshold} gives vth {vth}, limit {VTH_LIMIT} (threshold {limit})")
    return vth


def bound_of(flow: Flow, name: str) -> int:
    """Proved largest magnitude of a synaptic sum of neuron ``name``.

    Positive and negative weights are bounded apart, each times the largest message. A bias counts
    whole: relays of the valid train fire on each valid token, and nothing fires on the others.
    """
    low: NDArray[np.int64] = np.zeros(1, np.int64)
    high: NDArray[np.int64] = np.zeros(1, np.int64)
    for writer in flow.writers(name):
        node = flow.nodes[writer]
        if isinstance(node, Attention):
            high = high + node.tokens * (node.width // node.heads)
        elif isinstance(node, TokenLinear):
            weight = node.weight.astype(np.int64)
            if all(is_valid_relay(flow, source) for source in flow.sources(writer)):
                low, high = low + weight.sum(axis=1), high + weight.sum(axis=1)
            else:
                largest = sum(flow.largest[source] for source in flow.sources(writer))
                low = low + largest * weight.clip(max=0).sum(axis=1)
                high = high + largest * weight.clip(min=0).sum(axis=1)
    return int(max(high.max(), (-low).max(), 0))


def is_valid_relay(flow: Flow, name: str) -> bool:
    """Whether every channel of a neuron repeats the valid train, the last channel of the input."""
    node = flow.nodes[name]
    if not isinstance(node, Neuron):
        return False
    for writer in flow.writers(name):
        linear = flow.nodes[writer]
        if not isinstance(linear, TokenLinear) or linear.window > 1 or not _reads_input(flow, writer):
            return False
        if linear.weight[:, :-1].any() or (linear.weight[:, -1] < 2 * node.v_threshold).any():
            return False
    return True


def _reads_input(flow: Flow, linear: str) -> bool:
    return all(isinstance(flow.nodes[source], Input) for source in flow.sources(linear))
