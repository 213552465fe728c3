"""Layers onto cores under every limit of a chip.

A limit has a name, a need and a value. Per core: ``neurons_per_core``, ``synapse_memory`` (by encoding),
``core_memory`` (synapses and state), ``input_axons`` (lists) and ``output_axons`` (edges from a neuron to a core).
Whatever the number of cores: ``weight_bits``, ``message_bits``, ``fan_in``, ``layers`` and ``operations``.
Synapses, lists and spikes are known by node and on average, not one by one: a part's share of them is rounded up.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise
from math import ceil

from hw_profiles import Profile
from simulators.activity import Activity
from simulators.layers import EstimateError
from simulators.once import once
from simulators.placement.limits import Chip
from simulators.placement.memory import NETWORK_WEIGHT_BITS
from simulators.placement.result import LayerPlacement, Placement, Plan, plan_packed
from simulators.placement.shape import LayerShape, shapes_of
from simulators.placement.split import Violation, split_all, static_violations

ALLOCATORS = ("greedy", "packed")


def place(
    activity: Activity, profile: Profile, allocator: str = "greedy", *, weight_bits: int = NETWORK_WEIGHT_BITS
) -> Placement:
    """Cores and chips for a run's graph, every limit of each core met.

    Args:
        activity: counts of a run, attention already as the chip runs it: an attention node left is refused.
        profile: a spiking chip.
        allocator: ``greedy``, each layer on cores of its own, in snake order on the mesh; or ``packed``, cores shared
            where limits allow, and those that talk near each other: slower, never more cores or hops.
        weight_bits: of the network's weights.

    Raises:
        EstimateError: a profile without cores, or an unknown allocator.
    """
    if profile.model != "spiking" or profile.limit("cores") is None:
        raise EstimateError(f"profile {profile.name}: has no cores to place layers on; choose a spiking chip")
    if allocator not in ALLOCATORS:
        raise EstimateError(f"allocator {allocator!r}: unknown; use {' or '.join(ALLOCATORS)}")
    return replace(
        _placed(shapes_of(activity), Chip.of(profile, weight_bits), allocator, weight_bits), profile=profile.name
    )


@once
def _placed(shapes: tuple[LayerShape, ...], chip: Chip, allocator: str, weight_bits: int) -> Placement:
    """Without the profile's name: profiles of one chip that differ in their prices share a placement."""
    splits, refused = split_all(shapes, chip)
    violations = (*static_violations(shapes, chip, weight_bits), *refused)
    plan = Plan(shapes, tuple(splits), chip, allocator, weight_bits)
    if allocator == "packed" and not chip.whole_layers:  # such a chip has one layer on a core
        plan = plan_packed(plan)
    cores = plan.slices.cores if plan.chosen else sum(split.parts for split in splits)
    layers = tuple(LayerPlacement.of(split, chip) for split in splits)
    return Placement(
        profile="",
        layers=layers,
        cores=cores,
        chips=max(1, ceil(cores / chip.cores)),
        fits=cores <= chip.cores and not violations,
        binding=_binding(violations, layers),
        unplaced=tuple((violation.layer, violation.reason) for violation in refused),
        violations=violations,
        plan=plan,
    )


def _binding(violations: Sequence[Violation], layers: Sequence[LayerPlacement]) -> str:
    if violations:
        return violations[0].limit
    votes: Counter[str] = Counter()
    for layer in layers:
        votes[layer.binding] += layer.cores
    most = votes.most_common(1)[0][0] if votes else "none"
    return "cores" if most == "none" and layers else most  # no limit of a core is stated: each layer takes one


def cores_per_spike(layer: LayerPlacement, tokens: int, window: int) -> float:
    """Cores of its own that a spike into the layer reaches, the mean over tokens: all channel pieces of each group.

    A group of outputs sees its own tokens and ``window - 1`` more; a window as wide as the sentence sees all.
    """
    return _reached(layer.pieces, layer.groups, tokens, window)


@lru_cache(maxsize=4096)
def _reached(pieces: int, groups: int, tokens: int, window: int) -> float:
    if window >= tokens:
        return float(pieces * groups)
    bounds = [tokens * i // groups for i in range(groups + 1)]
    seen = sum(min(high + window - 1, tokens) - low for low, high in pairwise(bounds))
    return pieces * seen / tokens
