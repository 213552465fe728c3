"""All that lies between the neurons of a ``fast`` plan, in one process. CPU model only."""

from __future__ import annotations

from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from spikeport_lava.fabric import Fabric
from spikeport_lava.order import ATTEND, HEAR, STORE, TELL
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
    """Does a step in the order of the fabric; results go out at its end."""

    told = False

    def run_spk(self) -> None:
        fabric: Fabric = self.proc_params.get("fabric")
        number = {name: index for index, name in enumerate(fabric.members)}

        def tell(name: str) -> None:
            getattr(self, f"to{number[name]}").send(fabric.currents(name))

        def hear(name: str) -> None:
            fabric.hear(name, getattr(self, f"from{number[name]}").recv())

        if not self.told:
            for name in fabric.order.early:
                tell(name)
            self.told = True
        fabric.begin(self.source_in.recv())
        does = {ATTEND: fabric.attend, TELL: tell, HEAR: hear, STORE: fabric.store}
        for what, name in fabric.order.actions:
            does[what](name)
        self.results_out.send(fabric.results())
