"""Sinks that write to a preallocated file.

Reading a Var costs about 40 us a value, minutes for every layer's spikes; a memory-mapped file costs
nothing. The file is shared between the model's process and the one that started Lava.
"""

from __future__ import annotations

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol


class SpikeSink(AbstractProcess):
    """Packs the spikes of a layer, one row of bits a time step.

    Args:
        size: number of signals.
        path: an existing file of rows of ceil(size / 8) bytes.
        delay: time steps to skip, the layer's delay behind the input.
        first, steps: the row to begin with, and how many to write.
    """

    def __init__(self, *, size: int, path: str, delay: int, first: int, steps: int, name: str) -> None:
        super().__init__(size=size, path=path, delay=delay, first=first, steps=steps, name=name)
        self.a_in = InPort(shape=(size,))


class IntegerSink(AbstractProcess):
    """Writes int32 values, one row of ``size`` a time step; arguments as for :class:`SpikeSink`."""

    def __init__(self, *, size: int, path: str, delay: int, first: int, steps: int, name: str) -> None:
        super().__init__(size=size, path=path, delay=delay, first=first, steps=steps, name=name)
        self.a_in = InPort(shape=(size,))


class AbstractPySink(PyLoihiProcessModel):
    """Receives every step, writes those of the recording window."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    rows = None

    def run_spk(self) -> None:
        data = self.a_in.recv()
        row = self.time_step - 1 - self.proc_params.get("delay")
        if 0 <= row < self.proc_params.get("steps"):
            if self.rows is None:  # not in __init__: the file belongs to the process that writes it
                self.rows = self.open_rows()
            self.rows[row] = self.encode(data)

    def open_rows(self) -> np.ndarray:
        """The part of the file that is to be filled, as an array with one row a step."""
        get = self.proc_params.get
        sample = self.encode(np.zeros(get("size"), np.int32))
        offset = get("first") * sample.nbytes
        return np.memmap(get("path"), sample.dtype, mode="r+", offset=offset, shape=(get("steps"), sample.size))

    def encode(self, data: np.ndarray) -> np.ndarray:
        """One row of the file."""
        raise NotImplementedError


@implements(proc=SpikeSink, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PySpikeSink(AbstractPySink):
    """Eight spikes a byte, first spike in the highest bit."""

    def encode(self, data: np.ndarray) -> np.ndarray:
        """uint8 (ceil(size / 8),)."""
        return np.packbits(data != 0)


@implements(proc=IntegerSink, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyIntegerSink(AbstractPySink):
    """int32 as it comes."""

    def encode(self, data: np.ndarray) -> np.ndarray:
        """int32 (size,)."""
        return data.astype(np.int32)
