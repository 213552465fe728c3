"""What lies between neurons, on floats that hold small integers: linears, delay lines, attention.

Signals are (N, C). An operator with a memory gives what it stored before (``out``) and then takes this step's input
(``store``); attention is a function of this step.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np


@dataclass
class Linear:
    """The same matrix on every token, one step late as Lava's synapses are.

    Attributes:
        taps: of the token itself, the next one, ...: (in, out), times 2^exponent.
        out: (N, out) of the step before.
    """

    taps: list[np.ndarray]
    out: np.ndarray

    def store(self, signals: np.ndarray) -> None:
        """Takes (N, in); tokens beyond the last count as silent."""
        sums = signals @ self.taps[0]
        for ahead, tap in enumerate(self.taps[1 : len(signals)], 1):
            sums[:-ahead] += signals[ahead:] @ tap
        self.out = sums


@dataclass
class Line:
    """A delay line.

    Attributes:
        waiting: what came in, the oldest first; as many as steps to wait.
    """

    waiting: list[np.ndarray] = field(default_factory=list)

    @property
    def out(self) -> np.ndarray:
        """What came in so many steps ago."""
        return self.waiting[0]

    def store(self, signals: np.ndarray) -> None:
        """Takes (N, C)."""
        self.waiting = [*self.waiting[1:], signals]


@dataclass(frozen=True)
class SelfAttention:
    """Integer sums Q (K^T V) per head, times ``scale``."""

    heads: int
    scale: int
    ports = ("q_in", "k_in", "v_in")

    def __call__(self, q: np.ndarray, k: np.ndarray, v: np.ndarray) -> np.ndarray:
        q, k, v = (x.reshape(len(x), self.heads, -1).transpose(1, 0, 2) for x in (q, k, v))
        sums = q @ (k.transpose(0, 2, 1) @ v)
        return sums.transpose(1, 0, 2).reshape(sums.shape[1], -1) * self.scale


@dataclass(frozen=True)
class MaskAttention:
    """``out[n, c] = [sum over m of q[m, c] AND k[m, c] >= threshold] AND v[n, c] AND valid[n, channel]``."""

    threshold: int
    channel: int
    ports = ("q_in", "k_in", "v_in", "valid_in")

    def __call__(self, q: np.ndarray, k: np.ndarray, v: np.ndarray, valid: np.ndarray) -> np.ndarray:
        is_open = (q * k).sum(axis=0) >= self.threshold
        return is_open * v * valid[:, self.channel, None]
