"""How a placement stores a layer's synapses, and how many cores a spike into it reaches."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hw_profiles import Profile
from simulators.energy.loads import Loads, Table
from simulators.placement import LayerPlacement, cores_per_spike

ENCODED = {"dense": "synaptic_event", "sparse": "synaptic_event_sparse", "shared": "synaptic_event_shared"}


def encoding_of(placed: LayerPlacement | None, profile: Profile) -> str:
    """How a layer's synapses are stored: as placed, else as the chip does."""
    return getattr(placed, "encoding", "") or profile.synapse_format


def spread_of(loads: Loads, placed: Sequence[LayerPlacement | None], window: int) -> Table:
    """Cores that one spike reaches over synapses of that window, (L, 1); 1 where a layer is not placed."""
    cores = [
        cores_per_spike(own, layer.tokens, window) if own else 1
        for own, layer in zip(placed, loads.layers, strict=True)
    ]
    return np.array(cores, dtype=np.float64)[:, None]
