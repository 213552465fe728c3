"""Layers onto cores: how many, which limit binds, and what would fit."""

from simulators.placement.place import LayerPlacement, Placement, cores_per_spike, place

__all__ = ["LayerPlacement", "Placement", "cores_per_spike", "place"]
