"""What lies between neurons, on floats that hold small integers: linears, delay lines, attention.

Signals are (L, N, C): L samples side by side. An operator with a memory gives what it stored before (``out``) and then
takes this step's input (``store``); attention is a function of this step.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np


@dataclass
class Linear:
    """The same matrix on every token, one step late as Lava's synapses are.

    Attributes:
        taps: of the token itself, the next one, ...: (in, out), times 2^exponent.
        out: (L, N, out) of the step before.
    """

    taps: list[np.ndarray]
    out: np.ndarray

    def store(self, signals: np.ndarray) -> None:
        """Takes (L, N, in); tokens beyond the last of a sample count as silent."""
        lanes, tokens, width = signals.shape
        # one product for all samples: a stack of small ones is slower
        sums = (signals.reshape(-1, width) @ self.taps[0]).reshape(lanes, tokens, -1)
        for ahead, tap in enumerate(self.taps[1:tokens], 1):
            sums[:, :-ahead] += signals[:, ahead:] @ tap
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
        """Takes (L, N, C)."""
        self.waiting = [*self.waiting[1:], signals]


@dataclass(frozen=True)
class SelfAttention:
    """Integer sums Q (K^T V) per head, times ``scale``."""

    heads: int
    scale: int
    ports = ("q_in", "k_in", "v_in")

    def __call__(self, q: np.ndarray, k: np.ndarray, v: np.ndarray) -> np.ndarray:
        shape = q.shape
        q, k, v = (x.reshape(*shape[:2], self.heads, -1).transpose(0, 2, 1, 3) for x in (q, k, v))
        sums = q @ (k.transpose(0, 1, 3, 2) @ v)
        return sums.transpose(0, 2, 1, 3).reshape(shape) * self.scale


@dataclass(frozen=True)
class MaskAttention:
    """``out[n, c] = [sum over m of q[m, c] AND k[m, c] >= threshold] AND v[n, c] AND valid[n, channel]``."""

    threshold: int
    channel: int
    ports = ("q_in", "k_in", "v_in", "valid_in")

    def __call__(self, q: np.ndarray, k: np.ndarray, v: np.ndarray, valid: np.ndarray) -> np.ndarray:
        is_open = (q * k).sum(axis=1, keepdims=True) >= self.threshold
        return is_open * v * valid[:, :, self.channel, None]
