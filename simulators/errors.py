"""Errors of the simulators."""


class GraphSimulationError(ValueError):
    """A graph or an input that cannot be simulated, told in one line: object, value, limit, next step."""


class RecordError(ValueError):
    """Recorded spikes that cannot be written, read or drawn, told in one line: object, value, limit, next step."""
