"""Models whose number of ports follows from the network.

Lava reads a model's ports from its class, so each network gets a subclass with the ports of its process.
"""

from __future__ import annotations

import numpy as np
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.process import AbstractProcess


class AnyPortsModel(PyLoihiProcessModel):
    """Marks a model that :func:`with_ports` completes."""


def with_ports(model: type[AnyPortsModel], process: AbstractProcess) -> type[AnyPortsModel]:
    """A subclass of ``model`` with an int32 port for each port of ``process``."""
    into = {port.name: LavaPyType(PyInPort.VEC_DENSE, np.int32) for port in process.in_ports}
    out = {port.name: LavaPyType(PyOutPort.VEC_DENSE, np.int32) for port in process.out_ports}
    return type(model.__name__, (model,), {**into, **out})
