"""What a part of a layer needs of a core, limit by limit, and what the core has."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil

from hw_profiles import Profile
from simulators.placement.memory import NETWORK_WEIGHT_BITS, SynapseStore, cheapest
from simulators.placement.shape import Entry, LayerShape

PER_CORE = ("neurons_per_core", "synapse_memory", "core_memory", "input_axons", "output_axons")


@dataclass(frozen=True)
class Chip:
    """The limits of one profile.

    Attributes:
        caps: by name, those of ``PER_CORE`` that are stated.
        cores: of one chip; tile: cores of one tile.
        columns, rows: of the mesh, in tiles; 0 where none is stated.
        whole_layers: layers of one chip, each on one core; 0 where layers are split.
    """

    caps: dict[str, float] = field(hash=False)
    store: SynapseStore
    state_bits: int
    cores: int
    tile: int
    columns: int
    rows: int
    fan_in: float
    message_bits: int
    whole_layers: int
    weight_bits: int

    @classmethod
    def of(cls, profile: Profile, weight_bits: int = NETWORK_WEIGHT_BITS) -> Chip:
        """Read from a profile."""
        caps = {name: limit for name in PER_CORE if (limit := profile.limit(name))}
        cores = int(profile.limit("cores") or 1)
        columns, rows = (int(profile.limit(axis) or 0) for axis in ("mesh_columns", "mesh_rows"))
        known = int(profile.limit("cores_per_tile") or 0)
        tiles = max(columns, 1) * max(rows, 1)
        return cls(
            caps=caps,
            store=SynapseStore.of(profile, weight_bits),
            state_bits=int(profile.limit("state_bits") or 0),
            cores=cores,
            tile=known or -(-cores // tiles),
            columns=columns,
            rows=rows,
            fan_in=profile.limit("fan_in") or 0.0,
            message_bits=int(profile.limit("message_bits") or 0),
            whole_layers=int(profile.limit("layers") or 0),
            weight_bits=int(profile.limit("weight_bits") or 0),
        )


@dataclass(frozen=True)
class Part:
    """Tokens and channels of one layer on one core, and what they need.

    Attributes:
        needs: by limit, in neurons, bits, lists and edges.
        encoding: of the synapses, the one that takes fewest bits.
    """

    tokens: int
    channels: int
    needs: dict[str, float]
    encoding: str

    def fits(self, caps: dict[str, float]) -> bool:
        """Within all limits at once."""
        return all(self.needs[name] <= cap for name, cap in caps.items())

    def shares(self, caps: dict[str, float]) -> dict[str, float]:
        """Need over limit."""
        return {name: self.needs[name] / cap for name, cap in caps.items()}


def part_of(shape: LayerShape, tokens: int, channels: int, chip: Chip, edges: int) -> Part:
    """What ``tokens`` neighbouring tokens of ``channels`` channels need; ``edges`` leave each neuron."""
    neurons = tokens * channels * shape.neurons
    whole = channels == shape.channels
    lists = 0
    bits: dict[str, int] = {}
    for entry in shape.entries:
        own = lists_of(shape, entry, tokens, channels)
        lists += own
        of_one = entry.synapses if whole else -(-entry.synapses * channels // shape.channels)
        stored = entry.total if whole and tokens == shape.tokens else tokens * of_one
        matrix = tokens * channels * entry.lists * min(entry.window, shape.tokens) or stored
        for name, count in chip.store.bits(own, stored, matrix).items():
            bits[name] = bits.get(name, 0) + count
    encoding, memory = cheapest(bits) if bits else ("none", 0)
    needs = {
        "neurons_per_core": float(neurons),
        "synapse_memory": float(memory),
        "core_memory": float(memory + neurons * chip.state_bits),
        "input_axons": float(lists),
        "output_axons": float(neurons * edges),
    }
    return Part(tokens, channels, needs, encoding)


def lists_of(shape: LayerShape, entry: Entry, tokens: int, channels: int) -> int:
    """Input lists of a part: of all tokens seen, the inputs that have a synapse in its channels."""
    per_token = entry.lists
    if channels < shape.channels and entry.outputs * channels < shape.channels:
        per_token = ceil(entry.lists * entry.outputs * channels / shape.channels)
    return seen(shape, entry, tokens) * per_token


def seen(shape: LayerShape, entry: Entry, tokens: int) -> int:
    """Tokens that ``tokens`` neighbouring outputs see at the most; all, where a window is as wide as the sentence."""
    return min(tokens + entry.window - 1, shape.tokens)


def fan_in_of(shape: LayerShape, chip: Chip) -> float:
    """Synapses into one neuron: of a matrix all inputs, of lists the mean of the non-zero ones, rounded up.

    0 for a layer without synapses of its own, such as an attention that the chip refuses.
    """
    if not shape.entries:
        return 0.0
    if chip.store.lists:
        return ceil(sum(entry.synapses for entry in shape.entries) / shape.channels)
    return float(sum(entry.lists * min(entry.window, shape.tokens) for entry in shape.entries))
