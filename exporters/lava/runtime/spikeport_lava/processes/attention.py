"""Attention on spikes: one process that receives q, k and v. CPU model only, delay 0.

Signals are flat and token-major, (N * D,).
"""

from __future__ import annotations

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol


class SelfAttention(AbstractProcess):
    """Integer sums Q (K^T V) per head, shifted left by ``exponent`` bits.

    Args:
        tokens, width, heads: N, D and H; H divides D.
        exponent: the weight exponent of the neuron that reads the sums.
    """

    def __init__(self, *, tokens: int, width: int, heads: int, exponent: int, name: str) -> None:
        if width % heads:
            raise ValueError(f"{name}: width {width} is not a multiple of {heads} heads")
        super().__init__(tokens=tokens, width=width, heads=heads, exponent=exponent, name=name)
        size = (tokens * width,)
        self.q_in = InPort(shape=size)
        self.k_in = InPort(shape=size)
        self.v_in = InPort(shape=size)
        self.out = OutPort(shape=size)


@implements(proc=SelfAttention, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PySelfAttention(PyLoihiProcessModel):
    """Two float64 products a head: exact, as the sums stay far below 2^53."""

    q_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    k_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    v_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)

    def run_spk(self) -> None:
        get = self.proc_params.get
        tokens, width, heads = get("tokens"), get("width"), get("heads")
        q, k, v = (
            port.recv().reshape(tokens, heads, width // heads).transpose(1, 0, 2).astype(np.float64)
            for port in (self.q_in, self.k_in, self.v_in)
        )
        sums = (q @ (k.transpose(0, 2, 1) @ v)).transpose(1, 0, 2).reshape(-1)
        self.out.send(sums.astype(np.int32) << get("exponent"))


class MaskAttention(AbstractProcess):
    """Spike-driven attention: a channel whose q AND k count reaches the threshold lets v through.

    ``out[n, c] = [sum over m of q[m, c] AND k[m, c] >= threshold] AND v[n, c] AND valid[n]``.

    Args:
        tokens, width: N and D.
        threshold: the token count that opens a channel.
        valid_channels, valid_channel: R, and which of the R columns carries the valid train.
    """

    def __init__(
        self,
        *,
        tokens: int,
        width: int,
        threshold: int,
        valid_channels: int,
        valid_channel: int,
        name: str,
    ) -> None:
        if not 0 <= valid_channel < valid_channels:
            raise ValueError(f"{name}: valid channel {valid_channel} is outside 0..{valid_channels - 1}")
        super().__init__(tokens=tokens, width=width, threshold=threshold, valid_channel=valid_channel, name=name)
        size = (tokens * width,)
        self.q_in = InPort(shape=size)
        self.k_in = InPort(shape=size)
        self.v_in = InPort(shape=size)
        self.valid_in = InPort(shape=(tokens * valid_channels,))
        self.out = OutPort(shape=size)


@implements(proc=MaskAttention, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyMaskAttention(PyLoihiProcessModel):
    """Additions and masks only."""

    q_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    k_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    v_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    valid_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)

    def run_spk(self) -> None:
        get = self.proc_params.get
        tokens = get("tokens")
        q, k, v, valid = (
            port.recv().reshape(tokens, -1) != 0 for port in (self.q_in, self.k_in, self.v_in, self.valid_in)
        )
        is_open = (q & k).sum(axis=0) >= get("threshold")
        passed = is_open[None, :] & v & valid[:, get("valid_channel"), None]
        self.out.send(passed.reshape(-1).astype(np.int32))
