"""NIR's neurons in the integers of Lava's ``fixed_pt`` LIF: states of 24 bits, decays of 12, rounding toward zero.

With states in units of 1/64 of an input's, ``d_u`` and ``d_v`` the decays in 4096ths, each step does

- ``u = rtz(u (4096 - d_u) / 4096) + 64 x``, wrapped once where it leaves 24 bits,
- ``v = rtz(v (4096 - d_v) / 4096) + u + 64 bias``, clipped to 24 bits,
- a spike where ``v > 64 v_threshold``, and there ``v = 0``; u is kept

(lava-nc 0.10.0, ``AbstractPyLifModelFixed``). They are read off a node's real parameters, which must lie on Lava's
grid: ``d = 4096 dt / tau`` whole, a gain of 1 from input to current to membrane (r and w_in undo what dt / tau takes),
v_reset 0. LIF, LI, I and IF have no current of their own (``d_u = 4096``), I and IF no leak (``d_v = 0``); the bias is
``v_leak dt / tau``. Synaptic weights must be such that inputs are whole numbers.
"""

from __future__ import annotations

from typing import Any

import nir
import numpy as np
import torch
from torch import Tensor

from exporters.nir.stock.shapes import Shape
from simulators.arithmetic import INPUT_SHIFT, STATE_LIMIT
from simulators.stock.conventions import Conventions
from simulators.stock.errors import StockGraphError
from simulators.stock.transforms import spread

UNITY, UNITY_BITS = 4096, 12
UNIT = 1 << INPUT_SHIFT
TOLERANCE = 1e-6  # relative: parameters may have been stored in float32
SPIKING = (nir.LIF, nir.CubaLIF, nir.IF)
State = list[Tensor]


def fixed(node: nir.NIRNode, name: str, shape: Shape, how: Conventions, dtype: torch.dtype) -> LoihiNeuron | None:
    """The node in Lava's integers, or None where it is no neuron.

    Raises:
        StockGraphError: a parameter is not on Lava's grid: node, value, limit, next step.
    """
    if not isinstance(node, nir.LI | nir.LIF | nir.CubaLI | nir.CubaLIF | nir.I | nir.IF):
        return None
    return LoihiNeuron(node, name, shape, how, dtype)


class LoihiNeuron:
    """One layer of neurons; the state is u and v, int64."""

    def __init__(self, node: Any, name: str, shape: Shape, how: Conventions, dtype: torch.dtype) -> None:
        self.name, self.shape, self.dtype = name, shape, dtype
        self.keep_u, self.keep_v = UNITY - self._current(node, how), UNITY - self._membrane(node, how)
        bias = 0.0 if isinstance(node, nir.I | nir.IF) else np.asarray(node.v_leak, np.float64) * self._rate(node, how)
        self.bias = self._integers(UNIT * np.asarray(bias), "64 v_leak dt / tau")
        self.spiking = isinstance(node, SPIKING)
        if self.spiking:
            if np.any(node.v_reset):
                raise self._off("v_reset", np.asarray(node.v_reset).ravel()[0], "needs 0")
            levels = np.floor(UNIT * np.asarray(node.v_threshold, np.float64))
            self.level = spread(levels, shape, torch.float64).to(torch.int64)

    def begin(self, samples: int) -> State:
        """At rest."""
        return [torch.zeros((samples, *self.shape), dtype=torch.int64) for _ in range(2)]

    def step(self, x: Tensor, state: State) -> Tensor:
        """One step; inputs are whole numbers. Without a threshold v leaves, in the unit of the inputs."""
        u, v = state
        whole = x.round().to(torch.int64)
        if bool((whole != x).any()):
            value = float(x[whole != x][0])
            raise self._off("an input", value, "needs whole numbers; use arithmetic='real'")
        u.copy_(_wrapped(_decayed(u, self.keep_u) + whole * UNIT))
        v.copy_((_decayed(v, self.keep_v) + u + self.bias).clamp_(1 - STATE_LIMIT, STATE_LIMIT - 1))
        if not self.spiking:
            return v.to(self.dtype) / UNIT
        fired = v > self.level
        v.masked_fill_(fired, 0)
        return fired.to(self.dtype)

    def _current(self, node: Any, how: Conventions) -> Tensor:
        """d_u, and a gain of 1 from the input to the current."""
        if not isinstance(node, nir.CubaLI | nir.CubaLIF):
            return self._integers(np.float64(UNITY), "d_u")
        rate = how.dt / np.asarray(node.tau_syn, np.float64)
        self._gain(np.asarray(node.w_in, np.float64) * rate, "w_in dt / tau_syn")
        return self._integers(UNITY * rate, "4096 dt / tau_syn")

    def _membrane(self, node: Any, how: Conventions) -> Tensor:
        """d_v, and a gain of 1 from the current to the membrane."""
        if isinstance(node, nir.I | nir.IF):
            self._gain(np.asarray(node.r, np.float64) * (how.dt if how.integrate == "seconds" else 1.0), "r dt")
            return self._integers(np.float64(0), "d_v")
        rate = self._rate(node, how)
        self._gain(np.asarray(node.r, np.float64) * rate, "r dt / tau")
        return self._integers(UNITY * rate, "4096 dt / tau")

    def _rate(self, node: Any, how: Conventions) -> Any:
        tau = node.tau_mem if isinstance(node, nir.CubaLI | nir.CubaLIF) else node.tau
        return how.dt / np.asarray(tau, np.float64)

    def _gain(self, values: Any, what: str) -> None:
        if np.any(wrong := np.abs(values - 1) > TOLERANCE):
            raise self._off(what, np.asarray(values)[wrong].ravel()[0], "needs 1; fold the factor into the weights")

    def _integers(self, values: Any, what: str) -> Tensor:
        whole = np.rint(values)
        if np.any(wrong := np.abs(values - whole) > TOLERANCE * np.maximum(np.abs(whole), 1)):
            raise self._off(what, np.asarray(values)[wrong].ravel()[0], "needs a whole number; use arithmetic='real'")
        return spread(whole, self.shape, torch.float64).to(torch.int64)

    def _off(self, what: str, value: float, wanted: str) -> StockGraphError:
        return StockGraphError(f"node {self.name!r}: {what} is {value:g}, Lava's integers hold it not; {wanted}")


def _decayed(state: Tensor, keep: Tensor) -> Tensor:
    """``state * keep / 4096`` rounded toward zero."""
    product = state * keep
    return product.sign() * (product.abs() >> UNITY_BITS)


def _wrapped(u: Tensor) -> Tensor:
    """One wrap, not modulo, and +2^23 stays: as Lava does."""
    low = torch.where(u > STATE_LIMIT, u - 2 * STATE_LIMIT, u)
    return torch.where(low <= -STATE_LIMIT, u + 2 * STATE_LIMIT, low)
