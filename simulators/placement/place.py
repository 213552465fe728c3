"""Layers onto cores: how many, which limit binds, and what would fit.

cores >= max(neurons / neurons per core, synapse bits / bits per core, input axons / limit, ...) for
each layer, each layer on cores of its own, spread evenly. Index, delay and header bits of synapse
lists are not counted, so the result is the least number of cores, not a mapping.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from math import ceil

from hw_profiles import Profile
from simulators.activity import Activity
from simulators.layers import EstimateError, Layer, layers_of

SYNAPSES_PER_PRODUCT = 3  # a product neuron has two synapses in and one out, into the sum


@dataclass(frozen=True)
class LayerPlacement:
    """One layer on its cores.

    Attributes:
        demands: cores needed under each limit alone, as fractions of a core.
        cores: the largest demand, rounded up.
        binding: the limit with the largest demand.
    """

    name: str
    neurons: int
    synapses: int
    input_axons: int
    demands: dict[str, float]

    @property
    def cores(self) -> int:
        """Cores of this layer alone."""
        return ceil(max(self.demands.values(), default=0.0))

    @property
    def binding(self) -> str:
        """Name of the limit that asks for most."""
        return max(self.demands, key=lambda limit: self.demands[limit], default="none")


@dataclass(frozen=True)
class Placement:
    """A graph on the chips of one profile.

    Attributes:
        cores: least number of cores; chips: cores / cores per chip, rounded up.
        fits: everything on one chip, attention included.
        binding: the limit behind most of the cores.
        utilisation: share of each limit in use over all cores taken, averaged.
        unplaced: layers that the chip has no operation for, with the reason.
        advice: what would fit, in words.
    """

    profile: str
    layers: tuple[LayerPlacement, ...]
    cores: int
    chips: int
    fits: bool
    binding: str
    utilisation: dict[str, float]
    unplaced: tuple[tuple[str, str], ...]
    advice: str


def place(activity: Activity, profile: Profile) -> Placement:
    """Least cores and chips for a run's graph. Raises EstimateError for a profile without cores."""
    if profile.model != "spiking" or profile.limit("cores") is None:
        raise EstimateError(f"profile {profile.name}: has no cores to place layers on; choose a spiking chip")
    layers = layers_of(activity)
    placed = [_place(layer, profile) for layer in layers if _placeable(layer, profile)]
    unplaced = [(layer.name, _REFUSAL) for layer in layers if not _placeable(layer, profile)]
    cores, binding = _cores(layers, placed, profile)
    per_chip = int(profile.limit("cores") or 1)
    chips = max(1, ceil(cores / per_chip))
    return Placement(
        profile=profile.name,
        layers=tuple(placed),
        cores=cores,
        chips=chips,
        fits=chips == 1 and not unplaced,
        binding=binding,
        utilisation=_utilisation(placed, cores),
        unplaced=tuple(unplaced),
        advice=_advice(activity.tokens, cores, per_chip, binding, bool(unplaced)),
    )


_REFUSAL = (
    "product of two activations: synapses of this chip hold static weights; run it as gate neurons or on the host"
)


def _placeable(layer: Layer, profile: Profile) -> bool:
    return layer.attention is None or profile.attention == "product_neurons"


def _place(layer: Layer, profile: Profile) -> LayerPlacement:
    neurons = layer.neurons + layer.products
    dense = profile.synapse_format == "dense"
    synapses = sum(layer.stored(node, dense) for node in layer.synapses) + SYNAPSES_PER_PRODUCT * layer.products
    synapse_bits = synapses * (profile.limit("weight_bits") or 8.0)
    state_bits = neurons * (profile.limit("state_bits") or 0.0)
    needs = {
        "neurons_per_core": float(neurons),
        "synapse_memory": synapse_bits,
        "core_memory": synapse_bits + state_bits,
        "input_axons": float(layer.input_axons),
    }
    limits = {name: profile.limit(name) for name in needs}
    demands = {name: need / limit for name, need in needs.items() if (limit := limits[name])}
    return LayerPlacement(layer.name, neurons, synapses, layer.input_axons, demands)


def _cores(layers: list[Layer], placed: list[LayerPlacement], profile: Profile) -> tuple[int, str]:
    """Sum over the layers, or the output edges' demand where that is larger."""
    cores = sum(layer.cores for layer in placed)
    votes: Counter[str] = Counter()
    for layer in placed:
        votes[layer.binding] += layer.cores
    binding = votes.most_common(1)[0][0] if votes else "none"
    limit = profile.limit("output_axons")
    edges = _output_edges(layers, placed)
    if limit and ceil(edges / limit) > cores:
        return ceil(edges / limit), "output_axons"
    return cores, binding


def _output_edges(layers: list[Layer], placed: list[LayerPlacement]) -> int:
    """Pairs of a source neuron and a core that it sends to."""
    found = {layer.name: layer for layer in placed}
    return sum(
        layer.axons(node) * cores_per_spike(found[layer.name], layer.tokens, node.window)
        for layer in layers
        if layer.name in found
        for node in layer.synapses
    )


def cores_per_spike(layer: LayerPlacement, tokens: int, window: int) -> int:
    """Cores that the neurons of ``window`` tokens span: destinations of each spike into the layer.

    Axon limits do not count: they ask for fewer inputs per core, not for more copies of a spike.
    """
    span = max((need for limit, need in layer.demands.items() if limit != "input_axons"), default=0.0)
    return max(1, ceil(span * min(window, tokens) / tokens))


def _utilisation(placed: list[LayerPlacement], cores: int) -> dict[str, float]:
    names = dict.fromkeys(name for layer in placed for name in layer.demands)
    return {name: sum(layer.demands[name] for layer in placed) / max(cores, 1) for name in names}


def _advice(tokens: int, cores: int, per_chip: int, binding: str, refused: bool) -> str:
    suffix = "; attention besides needs gate neurons or the host" if refused else ""
    if cores <= per_chip:
        return f"{cores} of {per_chip} cores of one chip, bound by {binding}{suffix}"
    fitting = tokens * per_chip // cores
    fits = f"about {fitting} tokens" if fitting else "not one token, use a narrower model"
    return f"{cores} cores for {tokens} tokens, bound by {binding}; one chip holds {fits}{suffix}"
