"""The neuron scan on a CUDA device: one Triton kernel instead of several torch operators a step."""

from __future__ import annotations

import importlib.util
from functools import cache

import torch
from torch import Tensor

from simulators.arithmetic import INPUT_SHIFT, INT32, firing_threshold

TILE = 4096  # neurons of one program: 16 a thread at 8 warps
WIDEST = 128  # channels of one program: 512 bytes of float32 in a row
OLDEST = (7, 0)  # compute capability that Triton compiles for


@cache
def usable(device: torch.device) -> bool:
    """Whether Triton is installed and the device is one that it compiles for."""
    if device.type != "cuda" or importlib.util.find_spec("triton") is None:
        return False
    return torch.cuda.get_device_capability(device) >= OLDEST


class Scan:
    """The neurons of one layer, ready to run on a device.

    Equal, bit by bit, to the function of :mod:`simulators.arithmetic` that ``path`` names: "float32" is
    :func:`lif_exact`, "integer" :func:`lif_loihi2`, "real" :func:`lif_real`.
    """

    def __init__(self, path: str, exponent: int, level: float, tau: float, wide: bool, device: torch.device) -> None:
        self.path, self.exponent, self.wide = path, exponent, wide
        self.parameters = torch.tensor([level, tau], dtype=torch.float64, device=device)

    @classmethod
    def exact(cls, theta: int, device: torch.device) -> Scan:
        """``lif_exact``, on sums within its limit."""
        return cls("float32", 0, theta, 2.0, False, device)

    @classmethod
    def loihi2(cls, theta: int, exponent: int, bound: float, device: torch.device) -> Scan:
        """``lif_loihi2``, on sums up to ``bound``, which wrap at int32."""
        level = firing_threshold(theta, exponent) << INPUT_SHIFT
        return cls("integer", exponent, level, 2.0, bound >= INT32, device)

    @classmethod
    def real(cls, tau_steps: float, v_threshold: float, device: torch.device) -> Scan:
        """``lif_real`` in float64."""
        return cls("real", 0, v_threshold, tau_steps, False, device)

    def run(self, first: Tensor, second: Tensor | None, out: Tensor, counts: Tensor | None) -> None:
        """Neurons over all steps.

        Args:
            first, second: summands of the input, (T, R, C), any type that holds them exactly; copied where they are
                not contiguous, as a pool leaves them.
            out: filled with spikes 0 / 1, (T, R, C) contiguous, any type; may be ``first`` itself.
            counts: int64 (T, C), spikes of each step and channel are added to it. Integers: whatever the
                order of the additions, the counts are the same.
        """
        from simulators.cuda.kernel import scan_kernel

        steps, rows, channels = out.shape
        if not out.numel():
            return
        wide = min(WIDEST, _power_of_two(channels))
        tall = min(TILE // wide, _power_of_two(rows))
        with torch.cuda.device_of(out):  # Triton launches on the current device; no CUDA tensor, no effect
            scan_kernel[(-(-rows // tall), -(-channels // wide))](
                first.contiguous(),
                (first if second is None else second).contiguous(),
                out,
                out if counts is None else counts,
                self.parameters,
                rows,
                channels,
                STEPS=steps,
                PATH=self.path,
                EXPONENT=self.exponent,
                SECOND=second is not None,
                COUNTS=counts is not None,
                WIDE=self.wide,
                ROWS=tall,
                CHANNELS=wide,
                num_warps=8,
                enable_fp_fusion=False,  # "real" rounds twice a step, as the CPU does
            )


def _power_of_two(size: int) -> int:
    """Least power of two that is at least ``size``."""
    return 1 << (size - 1).bit_length()
