"""Layers onto cores: how many, which limit binds, how far messages go, and what would fit."""

from simulators.placement.mesh import Route
from simulators.placement.place import cores_per_spike, place
from simulators.placement.result import Change, CoreRun, LayerPlacement, Placement
from simulators.placement.split import Violation

__all__ = ["Change", "CoreRun", "LayerPlacement", "Placement", "Route", "Violation", "cores_per_spike", "place"]
