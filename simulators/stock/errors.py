"""Errors of the stock simulator."""

from simulators.errors import GraphSimulationError


class StockGraphError(GraphSimulationError):
    """A stock graph, an input or an option that cannot be simulated: object, value, limit, next step."""
