"""Errors of the simulators."""


class GraphSimulationError(ValueError):
    """A graph or an input that cannot be simulated, told in one line: object, value, limit, next step."""
