"""Executes integer NIR graphs bit-exactly and estimates what they cost on a chip."""

from simulators.activity import Activity, NodeActivity
from simulators.errors import GraphSimulationError
from simulators.result import SimulationResult
from simulators.run import Simulator, simulate
from simulators.stock import StockCount, StockGraphError, StockResult, simulate_nir

__all__ = [
    "Activity",
    "GraphSimulationError",
    "NodeActivity",
    "SimulationResult",
    "Simulator",
    "StockCount",
    "StockGraphError",
    "StockResult",
    "simulate",
    "simulate_nir",
]
