"""The same matrix on every token as one dense product. CPU model only; one time step, as Lava's ``Sparse``."""

from __future__ import annotations

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.process.variable import Var
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

MESSAGE_LIMIT = 255
FLOAT32_EXACT = 2**24


class TokenLinear(AbstractProcess):
    """out[n] = sum over ahead of W[ahead] s[n + ahead], shifted left by ``exponent``; signals (N * C,).

    Args:
        weights: int (out, window * in), even and within -256..254, so that a mixed-sign synapse holds them as
            they are; the columns of the token itself first.
        tokens: N; windows that reach beyond the last token are cut there.
        window: tokens that an output sees.
        exponent: at least 0.
    """

    def __init__(self, *, weights: np.ndarray, tokens: int, window: int, exponent: int, name: str) -> None:
        outputs, columns = weights.shape
        if columns % window or (weights % 2).any() or weights.min() < -256 or weights.max() > 254:
            raise ValueError(f"{name}: weights are not even integers in -256..254 over {window} tokens")
        # float32 products are exact below 2^24, whatever the messages are
        exact = MESSAGE_LIMIT * int(np.abs(weights.astype(np.int64)).sum(axis=1).max()) < FLOAT32_EXACT
        matrix = weights.astype(np.float32 if exact else np.float64)
        super().__init__(matrix=matrix, tokens=tokens, window=window, exponent=exponent, name=name)
        self.s_in = InPort(shape=(tokens * columns // window,))
        self.a_out = OutPort(shape=(tokens * outputs,))
        self.a_buff = Var(shape=(tokens * outputs,), init=0)


@implements(proc=TokenLinear, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyTokenLinear(PyLoihiProcessModel):
    """Sends the sums of the step before, as Lava's synapses do, then computes the next."""

    s_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    a_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    a_buff: np.ndarray = LavaPyType(np.ndarray, np.int32)

    def run_spk(self) -> None:
        self.a_out.send(self.a_buff)
        get = self.proc_params.get
        matrix, tokens = get("matrix"), get("tokens")
        signals = self.s_in.recv().reshape(tokens, -1).astype(matrix.dtype)
        sums = np.zeros((tokens, len(matrix)), matrix.dtype)
        for ahead, tap in enumerate(np.split(matrix, get("window"), axis=1)[:tokens]):
            sums[: tokens - ahead] += signals[ahead:] @ tap.T
        self.a_buff = sums.reshape(-1).astype(np.int32) << get("exponent")
