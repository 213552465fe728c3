"""A delay line: what comes in leaves ``steps`` time steps later. CPU model only."""

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


class Delay(AbstractProcess):
    """Delays ``size`` signals; several connections into the in-port are summed first.

    Args:
        size: number of signals.
        steps: at least 1.
    """

    def __init__(self, *, size: int, steps: int, name: str) -> None:
        if steps < 1:
            raise ValueError(f"{name}: a delay of {steps} steps is below 1")
        super().__init__(steps=steps, name=name)
        self.a_in = InPort(shape=(size,))
        self.out = OutPort(shape=(size,))
        self.line = Var(shape=(steps, size), init=0)


@implements(proc=Delay, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyDelay(PyLoihiProcessModel):
    """Ring of ``steps`` rows; sends the oldest before it receives."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    line: np.ndarray = LavaPyType(np.ndarray, np.int32)

    def run_spk(self) -> None:
        row = self.time_step % self.proc_params.get("steps")
        self.out.send(self.line[row])
        self.line[row] = self.a_in.recv()
