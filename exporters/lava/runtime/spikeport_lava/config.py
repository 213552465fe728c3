"""How Lava chooses the model of a process: its ``fixed_pt`` one, with ports as the network needs."""

from __future__ import annotations

from typing import Any

from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.run_configs import Loihi2SimCfg

from spikeport_lava.processes.ports import AnyPortsModel, with_ports


class Config(Loihi2SimCfg):
    """Lava's own choice, completed where the number of ports depends on the network."""

    def __init__(self) -> None:
        super().__init__(select_tag="fixed_pt")

    def select(self, process: AbstractProcess, proc_models: list[Any]) -> Any:
        """The model class."""
        model = super().select(process, proc_models)
        return with_ports(model, process) if issubclass(model, AnyPortsModel) else model
