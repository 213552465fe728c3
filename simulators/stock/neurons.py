"""NIR's neurons by forward Euler: one step for all samples, with a state that is updated in place.

The equations are those of nir's own docstrings. With ``a = dt / tau``, each step does, in this order:

- LI, LIF: ``v += a ((v_leak - v) + r I)``
- CubaLI, CubaLIF: ``i += (dt / tau_syn) (-i + w_in S)``, then ``v += (dt / tau_mem) ((v_leak - v) + r i)``
- I, IF: ``v += r I dt``
- where there is a threshold: a spike where ``v > v_threshold``, strictly, and there ``v = v_reset`` at once.

What leaves is the spike (0 or 1), or v where there is no threshold.
"""

from __future__ import annotations

from typing import Any, Protocol

import nir
import numpy as np
import torch
from torch import Tensor

from exporters.nir.stock.order import delay_steps
from exporters.nir.stock.shapes import Shape
from simulators.stock.conventions import Conventions
from simulators.stock.transforms import spread

State = list[Tensor]
SPIKING = (nir.LIF, nir.CubaLIF, nir.IF, nir.Threshold)


class Stateful(Protocol):
    """A node with a memory. All tensors are (S, *shape), samples first."""

    def begin(self, samples: int) -> State:
        """The state before the first step."""

    def step(self, x: Tensor, state: State) -> Tensor:
        """One step: what leaves; ``state`` is updated in place and never handed out."""


def stateful(node: nir.NIRNode, shape: Shape, how: Conventions, dtype: torch.dtype, steps: int) -> Stateful | None:
    """The node as something to take ``steps`` steps, or None where it has no memory."""
    match node:
        case nir.LI() | nir.LIF():
            return _Leaky(node, shape, how, dtype)
        case nir.CubaLI() | nir.CubaLIF():
            return _Cuba(node, shape, how, dtype)
        case nir.I() | nir.IF():
            return _Integrator(node, shape, how, dtype)
        case nir.Delay():
            return Delayed(node, shape, how, dtype, steps)
    return None


class _Membrane:
    """What all neurons share: parameters over the whole shape, and the threshold."""

    def __init__(self, node: Any, shape: Shape, how: Conventions, dtype: torch.dtype) -> None:
        self.node, self.shape, self.how, self.dtype = node, shape, how, dtype
        self.spiking = isinstance(node, SPIKING)
        if self.spiking:
            self.threshold, self.reset = self.spread("v_threshold"), self.spread("v_reset")

    def spread(self, key: str) -> Tensor:
        """A parameter over the shape of the node."""
        return spread(getattr(self.node, key), self.shape, self.dtype).contiguous()

    def rate(self, key: str) -> Tensor:
        """``dt / tau``, divided in float64."""
        tau = np.asarray(getattr(self.node, key), np.float64)
        return spread(self.how.dt / tau, self.shape, self.dtype).contiguous()

    def zeros(self, samples: int) -> Tensor:
        return torch.zeros((samples, *self.shape), dtype=self.dtype)

    def rest(self, samples: int, leak: Tensor) -> Tensor:
        return leak.expand(samples, *self.shape).clone() if self.how.start == "leak" else self.zeros(samples)

    def emit(self, v: Tensor) -> Tensor:
        """The spikes, and the reset; or the membrane itself."""
        if not self.spiking:
            return v.clone()
        fired = v > self.threshold
        v.copy_(torch.where(fired, self.reset, v))
        return fired.to(self.dtype)


class _Leaky(_Membrane):
    def __init__(self, node: Any, shape: Shape, how: Conventions, dtype: torch.dtype) -> None:
        super().__init__(node, shape, how, dtype)
        self.a, self.r, self.leak = self.rate("tau"), self.spread("r"), self.spread("v_leak")

    def begin(self, samples: int) -> State:
        return [self.rest(samples, self.leak)]

    def step(self, x: Tensor, state: State) -> Tensor:
        (v,) = state
        v.addcmul_(self.a, (self.leak - v) + self.r * x)
        return self.emit(v)


class _Cuba(_Membrane):
    def __init__(self, node: Any, shape: Shape, how: Conventions, dtype: torch.dtype) -> None:
        super().__init__(node, shape, how, dtype)
        self.a_syn, self.a_mem = self.rate("tau_syn"), self.rate("tau_mem")
        self.r, self.leak, self.w_in = self.spread("r"), self.spread("v_leak"), self.spread("w_in")

    def begin(self, samples: int) -> State:
        return [self.zeros(samples), self.rest(samples, self.leak)]

    def step(self, x: Tensor, state: State) -> Tensor:
        i, v = state
        before = i.clone() if self.how.current == "previous" else i
        i.addcmul_(self.a_syn, self.w_in * x - i)
        v.addcmul_(self.a_mem, (self.leak - v) + self.r * before)
        return self.emit(v)


class _Integrator(_Membrane):
    def __init__(self, node: Any, shape: Shape, how: Conventions, dtype: torch.dtype) -> None:
        super().__init__(node, shape, how, dtype)
        self.gain = self.spread("r") * (how.dt if how.integrate == "seconds" else 1.0)

    def begin(self, samples: int) -> State:
        return [self.zeros(samples)]

    def step(self, x: Tensor, state: State) -> Tensor:
        (v,) = state
        v.addcmul_(self.gain, x)
        return self.emit(v)


class Delayed:
    """``y(t) = x(t - d)`` with d in steps per element, zero before the first input.

    The state is a ring of the last ``max(d) + 1`` inputs, no more than the run has steps, and the number of
    the step. :meth:`look` and :meth:`accept` are the two halves of a step, for a cycle whose input is known
    only after the output.
    """

    def __init__(self, node: nir.Delay, shape: Shape, how: Conventions, dtype: torch.dtype, steps: int) -> None:
        delays = np.minimum(delay_steps(node, how.dt), steps)
        self.steps, self.shape, self.dtype = spread(delays, shape, torch.int64), shape, dtype
        self.size = int(self.steps.max()) + 1
        self.late = int(self.steps.min()) >= 1

    def begin(self, samples: int) -> State:
        ring = torch.zeros((self.size, samples, *self.shape), dtype=self.dtype)
        return [ring, torch.zeros((), dtype=torch.int64)]

    def step(self, x: Tensor, state: State) -> Tensor:
        state[0][int(state[1]) % self.size] = x
        seen = self.look(state)
        state[1] += 1
        return seen

    def look(self, state: State) -> Tensor:
        """What leaves in this step."""
        ring, now = state
        at = (now - self.steps) % self.size
        return ring.gather(0, at.expand(1, *ring.shape[1:])).squeeze(0)

    def accept(self, x: Tensor, state: State) -> None:
        """What entered in this step, after :meth:`look`; then the next step begins."""
        state[0][int(state[1]) % self.size] = x
        state[1] += 1
