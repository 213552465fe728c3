"""CUBA neurons of a ``.net`` file as NIR nodes.

netx's neurons in units of a weight (its integers over 64), at a step ``dt``:

- ``iDecay`` 4096: LIF with ``tau = 4096 dt / vDecay``, ``r = 4096 / vDecay``; the bias joins the linear node.
- ``iDecay`` below: CubaLIF, ``tau_syn = 4096 dt / iDecay``, ``w_in = 4096 / iDecay``, tau_mem and r likewise, and
  ``v_leak = bias 4096 / vDecay``, for the bias enters v and not the current.
- ``vDecay`` 0: IF with ``r = 1 / dt``. A dense layer without neurons adds up: I.
- the threshold is ``vThMant + 1/128``: Lava fires at ``v > vThMant`` on a grid of 1/64, so between two of its values
  a reader's rounding in floating point decides nothing.
"""

from __future__ import annotations

import nir
import numpy as np
from numpy.typing import NDArray

from exporters.lava_dl.errors import LavaDlError
from exporters.lava_dl.read import Cuba, Entry

DT = 1e-4
UNITY = 4096
HALF_GRID = 1 / 128


def neurons(entry: Entry, neuron: Cuba, shape: tuple[int, ...]) -> nir.NIRNode:
    """The node of ``entry``'s neurons.

    Raises:
        LavaDlError: for decays that no node of NIR has together.
    """

    def full(value: float) -> NDArray[np.float64]:
        return np.full(shape, value, np.float64)

    fires = {"v_threshold": full(neuron.threshold + HALF_GRID), "v_reset": full(0.0)}
    decay = neuron.voltage_decay
    if neuron.current_decay == UNITY:
        if not decay:
            return nir.IF(r=full(1 / DT), **fires)
        return nir.LIF(tau=full(DT * UNITY / decay), r=full(UNITY / decay), v_leak=full(0.0), **fires)
    if not decay:
        raise LavaDlError(
            f"{entry.name}: iDecay {neuron.current_decay} with vDecay 0, a fading current into a membrane that does "
            "not; NIR has no such neuron"
        )
    bias = np.zeros(shape) if entry.bias is None else np.broadcast_to(_over(entry.bias, shape), shape)
    return nir.CubaLIF(
        tau_syn=full(DT * UNITY / neuron.current_decay),
        tau_mem=full(DT * UNITY / decay),
        r=full(UNITY / decay),
        v_leak=bias * UNITY / decay,
        w_in=full(UNITY / neuron.current_decay),
        **fires,
    )


def _over(bias: NDArray[np.int64], shape: tuple[int, ...]) -> NDArray[np.float64]:
    return bias.astype(np.float64).reshape(-1, *(1 for _ in shape[1:]))
