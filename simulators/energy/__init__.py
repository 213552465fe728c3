"""Joules, seconds and their intervals of a run on a spiking chip."""

from simulators.energy.estimate import EnergyEstimate, UnpricedTerm
from simulators.energy.price import estimate, estimate_on

__all__ = ["EnergyEstimate", "UnpricedTerm", "estimate", "estimate_on"]
