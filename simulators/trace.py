"""Which way each layer of a run was computed, and why that way."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LayerTrace:
    """One node with neurons, or sums alone.

    Attributes:
        name: of the layer.
        product: how its linears were computed: ``events int16`` or ``events int32`` (weight rows added where spikes
            are, in accumulators of that type), ``float32`` or ``float64`` (matrix product), both with rows where a
            run took both; ``-`` without a linear.
        neuron: ``exact`` (floating point, proved equal to the integer model), ``literal`` (Loihi 2's integers, wrap
            and clip included), ``real`` (NIR's equations) or ``-`` for sums alone.
        why: what decided, in words.
    """

    name: str
    product: str
    neuron: str
    why: str
