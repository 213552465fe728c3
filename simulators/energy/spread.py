"""How a placement stores a layer's synapses, and how many cores a spike into it reaches."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hw_profiles import Profile
from simulators.energy.loads import Loads, Table
from simulators.layers import Layer
from simulators.placement import LayerPlacement, cores_per_spike
from simulators.placement.memory import FULL_LISTS, MATRIX, SPARSE_LISTS

ENCODED = {"dense": "synaptic_event", "sparse": "synaptic_event_sparse", "shared": "synaptic_event_shared"}


STORED = {MATRIX: "dense", FULL_LISTS: "dense", SPARSE_LISTS: "sparse"}


def encoding_of(layer: Layer, placed: LayerPlacement | None, profile: Profile) -> str:
    """How a layer's synapses are walked: ``shared`` by positions, ``dense`` with the zeros, or ``sparse``.

    As placed, which takes the least memory; as the chip stores synapses where the layer is not placed.
    """
    if any(node.positions for node in layer.synapses):
        return "shared"
    return STORED.get(placed.encoding if placed else "", profile.synapse_format)


def spread_of(loads: Loads, placed: Sequence[LayerPlacement | None], window: int) -> Table:
    """Cores that one spike reaches over synapses of that window, (L, 1); 1 where a layer is not placed."""
    cores = [
        cores_per_spike(own, layer.tokens, window) if own else 1
        for own, layer in zip(placed, loads.layers, strict=True)
    ]
    return np.array(cores, dtype=np.float64)[:, None]
