"""A graph on the cores of one chip, or of as many chips as it takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from simulators.placement.allocate import Slices, greedy, packed, sized
from simulators.placement.limits import Chip
from simulators.placement.mesh import Mesh, Route, Traffic, routes_of
from simulators.placement.nearer import swapped
from simulators.placement.shape import LayerShape
from simulators.placement.split import Split, Violation


@dataclass(frozen=True)
class LayerPlacement:
    """One layer on its cores.

    Attributes:
        demands: cores that each limit alone would ask for, as fractions of a core, of the unsplit layer.
        needs: the unsplit layer's need under each limit; limits: what a core has.
        cores: that hold a part of the layer.
        binding: the limit that its largest part fills most.
        encoding: how its synapses are stored.
        groups, pieces: token groups and channel pieces of each.
    """

    name: str
    neurons: int
    synapses: int
    input_axons: int
    demands: dict[str, float]
    needs: dict[str, float]
    limits: dict[str, float]
    cores: int
    binding: str
    encoding: str
    groups: int
    pieces: int

    @classmethod
    def of(cls, split: Split, chip: Chip) -> LayerPlacement:
        """From the split; a layer that fits one core counts as one."""
        shape, whole = split.shape, split.whole
        shares = whole.shares(chip.caps)
        full = shares if split.part is whole else split.part.shares(chip.caps)
        return cls(
            name=shape.name,
            neurons=shape.size,
            synapses=shape.synapses,
            input_axons=int(whole.needs["input_axons"]),
            demands=shares,
            needs={name: whole.needs[name] for name in chip.caps},
            limits=chip.caps,
            cores=split.parts,
            binding=max(full, key=lambda limit: full[limit], default="none"),
            encoding=whole.encoding,
            groups=split.groups,
            pieces=split.pieces,
        )


@dataclass(frozen=True)
class CoreRun:
    """Equal cores.

    Attributes:
        count: how many.
        holds: (layer, tokens, channels) of each part on one of them.
        use: share of each limit in use.
    """

    count: int
    holds: tuple[tuple[str, int, int], ...]
    use: dict[str, float]


@dataclass(frozen=True)
class Plan:
    """What is behind a placement: the splits, the limits, and where the parts go once that is asked for."""

    shapes: tuple[LayerShape, ...]
    splits: tuple[Split, ...]
    chip: Chip
    allocator: str
    weight_bits: int
    chosen: tuple[Slices, tuple[Route, ...]] | None = None

    @cached_property
    def slices(self) -> Slices:
        """Parts on cores."""
        return self.chosen[0] if self.chosen else greedy(self.splits)

    @cached_property
    def runs(self) -> tuple[CoreRun, ...]:
        """Use of every core, equal ones together."""
        return _runs(self)

    @cached_property
    def routes(self) -> tuple[Route, ...]:
        """Destinations and hops."""
        return self.chosen[1] if self.chosen else _routes(self.splits, self.slices, self.chip, near=False)[0]


def plan_packed(plan: Plan) -> Plan:
    """The better of shared cores and cores of their own, neighbours drawn together.

    Both are brought nearer by swaps. Shared cores are taken where they are no more, and their messages pass no more
    tiles, than greedy's in snake order; a message to another chip weighs more than any on the mesh.
    """
    own = greedy(plan.splits)
    _, most = _routes(plan.splits, own, plan.chip, near=False)
    shared = packed(plan.splits, plan.chip)
    routes, cost = _routes(plan.splits, shared, plan.chip, near=True)
    if shared.cores > own.cores or cost > most:
        shared, (routes, _) = own, _routes(plan.splits, own, plan.chip, near=True)
    return Plan(plan.shapes, plan.splits, plan.chip, "packed", plan.weight_bits, (shared, routes))


def _routes(splits: Sequence[Split], slices: Slices, chip: Chip, near: bool) -> tuple[tuple[Route, ...], float]:
    traffic = Traffic(splits, slices)
    slots = np.arange(slices.cores)
    slots = swapped(slots, traffic, chip) if near else slots
    routes = routes_of(traffic, Mesh.snake(slots, chip), chip)
    return routes, cost_of(routes, chip)


def cost_of(routes: Sequence[Route], chip: Chip) -> float:
    """Tiles passed by all messages; one to another chip counts as much as crossing the mesh twice."""
    across = 2 * (max(chip.columns, 1) + max(chip.rows, 1))
    return sum(route.hops + route.delivered * route.crossing * across for route in routes)


@dataclass(frozen=True)
class Placement:
    """A graph on the chips of one profile.

    Attributes:
        cores: number of cores; chips: cores / cores per chip, rounded up.
        fits: everything on one chip, every limit met.
        binding: a limit that no number of cores meets where there is one, otherwise the limit behind most cores.
        unplaced: layers that no core can hold, with the reason.
        violations: all limits that no number of cores meets.
    """

    profile: str
    layers: tuple[LayerPlacement, ...]
    cores: int
    chips: int
    fits: bool
    binding: str
    unplaced: tuple[tuple[str, str], ...]
    violations: tuple[Violation, ...]
    plan: Plan = field(repr=False, compare=False)

    @property
    def allocator(self) -> str:
        """``greedy`` or ``packed``."""
        return self.plan.allocator

    @property
    def runs(self) -> tuple[CoreRun, ...]:
        """Use of every core, equal ones together."""
        return self.plan.runs

    @cached_property
    def utilisation(self) -> dict[str, float]:
        """Share of each limit in use, the mean over all cores taken."""
        return {name: sum(r.count * r.use[name] for r in self.runs) / self.cores for name in self._limits}

    @cached_property
    def fullest(self) -> dict[str, float]:
        """Share of each limit in use on the core that uses most of it."""
        return {name: max(run.use[name] for run in self.runs) for name in self._limits}

    @property
    def _limits(self) -> tuple[str, ...]:
        return tuple(self.plan.chip.caps) if self.runs else ()

    @property
    def mesh(self) -> tuple[Route, ...]:
        """Destinations, hops and chip crossings of each (source, target) pair of layers."""
        return self.plan.routes

    def routes_into(self, node: str) -> tuple[Route, ...]:
        """Routes of one synapse node, one a sender."""
        return tuple(route for route in self.mesh if route.node == node)

    def hops(self) -> tuple[float, float]:
        """Tiles passed east-west and north-south by all messages of the run that stay on a chip."""
        staying = [(route, route.delivered * (1 - route.crossing)) for route in self.mesh]
        across = sum(number * (route.horizontal or 0.0) for route, number in staying)
        return across, sum(number * (route.vertical or 0.0) for route, number in staying)

    @property
    def delivered(self) -> float:
        """Messages that arrive at cores in the whole run, those of the host included."""
        return sum(route.delivered for route in self.mesh)

    @property
    def crossing(self) -> float:
        """Messages from one chip to another in the whole run, one a destination core."""
        return sum(route.delivered * route.crossing for route in self.mesh)

    @cached_property
    def changes(self) -> tuple[Change, ...]:
        """The smallest change of each kind that would fit; empty where it fits."""
        from simulators.placement.change import smallest_changes  # it places scaled graphs itself

        return () if self.fits else smallest_changes(self)

    @property
    def change(self) -> str:
        """The changes in words."""
        return "; ".join(change.text for change in self.changes)

    @property
    def advice(self) -> str:
        """Cores and binding limit in words, and what would fit."""
        per_chip = self.plan.chip.cores
        tokens = self.plan.shapes[0].tokens
        if self.fits:
            return f"{self.cores} of {per_chip} cores of one chip, bound by {self.binding}"
        return f"{self.cores} cores for {tokens} tokens, {per_chip} a chip, bound by {self.binding}; {self.change}"


@dataclass(frozen=True)
class Change:
    """One change and whether it makes the graph fit one chip.

    Attributes:
        kind: ``tokens``, ``width``, ``bits``, ``chips`` or the limit that must be met.
        value: the largest number that fits; None where none does.
    """

    kind: str
    value: int | None
    text: str


def _runs(plan: Plan) -> tuple[CoreRun, ...]:
    splits = plan.splits
    shares: dict[tuple[int, int, int], dict[str, float]] = {}
    runs = []
    for parts, count in _held(plan.slices).items():
        for part in parts:
            if part not in shares:
                shares[part] = sized(splits[part[0]], part[1], part[2], plan.chip).shares(plan.chip.caps)
        use = {name: sum(shares[part][name] for part in parts) for name in plan.chip.caps}
        runs.append(CoreRun(count, tuple((splits[i].shape.name, t, c) for i, t, c in parts), use))
    return tuple(runs)


def _held(slices: Slices) -> Counter[tuple[tuple[int, int, int], ...]]:
    """Cores by what they hold, in the order of their first: (layer, tokens, channels) of each part."""
    parts = list(zip(slices.layer.tolist(), slices.tokens.tolist(), slices.channels.tolist(), strict=True))
    if slices.cores == len(parts):  # each has a core of its own
        return Counter((part,) for part in parts)
    held: dict[int, list[tuple[int, int, int]]] = {}
    for core, part in zip(slices.core.tolist(), parts, strict=True):
        held.setdefault(core, []).append(part)
    return Counter(tuple(sorted(on)) for on in held.values())
