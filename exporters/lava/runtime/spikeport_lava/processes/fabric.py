"""All that lies between the neurons of a ``fast`` plan, in one process. CPU model only."""

from __future__ import annotations

from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from spikeport_lava.fabric import Fabric
from spikeport_lava.processes.ports import AnyPortsModel


class FabricProcess(AbstractProcess):
    """Linears, delay lines and attention of a network; ``to<i>`` and ``from<i>`` are those of population i.

    Args:
        fabric: the operators; the process has them for itself once it runs.
        sizes: signals of each population, in the order of ``fabric.members``.
        inputs, results: signals that come from the source and go to the sink.
    """

    def __init__(self, *, fabric: Fabric, sizes: list[int], inputs: int, results: int, name: str) -> None:
        super().__init__(fabric=fabric, name=name)
        self.source_in = InPort(shape=(inputs,))
        self.results_out = OutPort(shape=(results,))
        for index, size in enumerate(sizes):
            setattr(self, f"to{index}", OutPort(shape=(size,)))
            setattr(self, f"from{index}", InPort(shape=(size,)))


@implements(proc=FabricProcess, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyFabric(AnyPortsModel):
    """Tells every population of a stage its currents before it waits for the first answer."""

    def run_spk(self) -> None:
        fabric: Fabric = self.proc_params.get("fabric")
        number = {name: index for index, name in enumerate(fabric.members)}
        fabric.begin(self.source_in.recv())
        for stage in fabric.stages:
            for name in stage.attention:
                fabric.attend(name)
            for name in stage.populations:
                getattr(self, f"to{number[name]}").send(fabric.currents(name))
            for name in stage.populations:
                fabric.hear(name, getattr(self, f"from{number[name]}").recv())
        self.results_out.send(fabric.end())
