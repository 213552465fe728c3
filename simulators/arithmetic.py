"""Integer semantics of Loihi 2's neuron as Lava's ``fixed_pt`` model computes it, and when floats equal it.

The student's neuron is ``v = (v + I) / 2``, spike at ``v >= theta``, reset to 0, from v = 0. Lava holds
``2^(7+e) v``, where e is the weight exponent of the synapses, and asks ``v > vth << 6``. With
``e = T - 1`` (``T - 2`` where every current is even) each value within T steps is a multiple of 64, so
that halving never rounds and ``vth = 2^(1+e) theta - 1`` makes the strict comparison ours.
"""

from __future__ import annotations

import torch
from torch import Tensor

STATE_LIMIT = 2**23  # u and v are 24-bit registers
INPUT_SHIFT = 6  # synaptic sums and thresholds are aligned 6 bits up
VTH_MAX = 2**17 - 1  # 17-bit threshold register
FLOAT32_EXACT = 2**24  # integers below it are exact in float32, in any order of summation
FLOAT64_EXACT = 2**53
INT32 = 2**31


def weight_exponent(steps: int, even: bool) -> int:
    """Exponent e of the synapses into a neuron whose membrane is kept over ``steps`` steps."""
    return steps - (2 if even else 1)


def firing_threshold(theta: int, exponent: int) -> int:
    """Lava's ``vth`` for an integer threshold: ``2^(1+e) theta - 1``."""
    return (theta << (1 + exponent)) - 1


def current_limit(exponent: int) -> float:
    """Largest |I| for which u never wraps, v never clips and float32 equals the integer model.

    ``|I| <= 2^(16-e)`` keeps ``2^(6+e) I`` within +-2^22, hence ``2^(7+e) v`` within 2^23 strictly, for
    v stays below the largest |I|. T = 4: 8192, or 16384 where all currents are even.
    """
    return 2.0 ** (16 - exponent)


def lif_loihi2(current: Tensor, theta: int, exponent: int) -> Tensor:
    """Spikes of Lava's LIF (du = 4095, dv = 2048, no bias), wrap and clip included.

    Args:
        current: synaptic sums W s before the weight exponent, integers, (T, ...). Beyond int32 they wrap,
            as Lava's int32 ports do.
        theta: integer threshold of the student's neuron.
        exponent: weight exponent; a negative one shifts right, rounding down.

    Returns:
        Spikes, bool, (T, ...).
    """
    accumulated = current.to(torch.int32)
    accumulated = accumulated << exponent if exponent >= 0 else accumulated >> -exponent
    level = firing_threshold(theta, exponent) << INPUT_SHIFT
    v = torch.zeros_like(accumulated[0])
    spikes = torch.empty(current.shape, dtype=torch.bool, device=current.device)
    for t in range(current.shape[0]):
        u = accumulated[t] << INPUT_SHIFT  # du = 4095: nothing is left of the last step's u
        u = torch.where(u > STATE_LIMIT, u - 2 * STATE_LIMIT, u)  # one wrap, not modulo
        u = torch.where(u <= -STATE_LIMIT, u + 2 * STATE_LIMIT, u)
        halved = (v + (v < 0)) >> 1  # dv = 2048 halves, rounding toward zero
        v = (halved + u).clamp_(-STATE_LIMIT + 1, STATE_LIMIT - 1)
        torch.gt(v, level, out=spikes[t])
        v.masked_fill_(spikes[t], 0)
    return spikes


def lif_exact(current: Tensor, theta: int) -> Tensor:
    """Spikes of the same neuron in floating point, equal to :func:`lif_loihi2` within its limit.

    The state is ``2^(t+1) v``, an integer: no halving, one pass less. Below :func:`current_limit` it
    stays under 2^18.

    Args:
        current: integer-valued, (T, ...), |I| at most :func:`current_limit`; the spikes replace it, for
            fresh memory costs more than the arithmetic.
        theta: integer threshold.

    Returns:
        ``current``, now spikes as 0.0 / 1.0, (T, ...).
    """
    state = current[0].clone()
    for t in range(current.shape[0]):
        if t:
            state.add_(current[t], alpha=2.0**t)
        torch.ge(state, theta * 2.0 ** (t + 1), out=current[t])
        state.addcmul_(state, current[t], value=-1.0)  # exact: state - state where it fired
    return current


def lif_real(current: Tensor, tau_steps: float, v_threshold: float) -> Tensor:
    """Spikes of NIR's LIF with r = 1, v_leak = v_reset = 0, by forward Euler with dt = tau / tau_steps.

    ``v += (I - v) / tau_steps``; spike where ``v > v_threshold``; then v = 0 (NIR 1.0 specification).

    Args:
        current: (T, ...) floating point.
        tau_steps: membrane time constant in steps.
        v_threshold: threshold as stored.

    Returns:
        Spikes as 0.0 / 1.0 in the dtype of ``current``, (T, ...).
    """
    spikes = torch.empty_like(current)
    v = torch.zeros_like(current[0])
    tau = torch.full((), tau_steps, dtype=current.dtype, device=current.device)  # by a number, CUDA would not divide:
    for t in range(current.shape[0]):  # it multiplies by 1 / tau, which rounds twice
        v = v + (current[t] - v) / tau
        torch.gt(v, v_threshold, out=spikes[t])
        v = torch.where(spikes[t] > 0, 0.0, v)
    return spikes
