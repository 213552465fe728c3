"""The typed form of a chip profile: constants, capacity limits, and what has no public price."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from hw_profiles.interval import Interval

Kind = Literal["marginal", "all_in", "literature", "static", "timing", "capacity", "validation"]
Model = Literal["spiking", "gpu", "cpu", "literature"]

GRADES = {
    "P": "read in the primary source",
    "Q": "quoted from the primary source",
    "S": "stated by a secondary source",
    "C": "computed from sourced figures",
    "M": "from memory, no source found",
}


class ProfileError(ValueError):
    """A profile that cannot be trusted, told in one line: object, value, limit, next step."""


def worst_grade(grades: list[str]) -> str | None:
    """The weakest evidence among several, in the order P, Q, S, C, M; None for none."""
    return max(grades, key=list(GRADES).index, default=None)


@dataclass(frozen=True)
class Constant:
    """One figure, or the sides of it that are public.

    Attributes:
        name: quantity, see ``quantities.CONSTANTS`` and ``quantities.CAPACITY``.
        value: in SI units (joules, watts, seconds, bits, bytes per second, counts).
        unit: as the source prints it.
        scale: SI units per printed unit.
        kind: what it may be added to; ``marginal`` and ``all_in`` never meet in a total.
        grade: of the evidence, one of ``GRADES``.
        condition: operating point and definition.
        source: citation.
        covers: energy terms that this figure already contains.
        chips: the figure holds for that many chips at most; 0 for any number.
        by_tiles: (tiles in use, value) pairs from the fewest tiles on; empty where the figure does not depend on them.
        holds: of an all-in figure, the loads at which it holds: ``least_events_per_step``, ``most_updates_per_event``;
            beyond them what it does not scale with costs more than it says, and only its low side stays.
        inferred: derived from a whole-chip measurement, not published as such.
    """

    name: str
    value: Interval
    unit: str
    scale: float
    kind: Kind
    grade: str
    condition: str
    source: str
    covers: tuple[str, ...] = ()
    chips: int = 0
    inferred: bool = False
    by_tiles: tuple[tuple[int, float], ...] = ()
    holds: dict[str, float] = field(default_factory=dict, hash=False)

    def at(self, tiles: int) -> Interval:
        """The value where ``tiles`` tiles are in use; the whole interval where it is not stated by tiles.

        Between two figures it lies between them, on the line at the nominal; beyond the last, on the last line at most.
        """
        if not self.by_tiles:
            return self.value
        points = dict(self.by_tiles)
        if tiles in points:
            return Interval.point(points[tiles])
        upper = next((i for i, (number, _) in enumerate(self.by_tiles) if number > tiles), len(self.by_tiles) - 1)
        (x0, y0), (x1, y1) = self.by_tiles[max(upper, 1) - 1], self.by_tiles[max(upper, 1)]
        line = y0 + (y1 - y0) * (tiles - x0) / (x1 - x0)
        return Interval(y1, y1, line) if tiles > x1 else Interval(min(y0, line), line, max(y1, line))


@dataclass(frozen=True)
class Unpriced:
    """Something that a run does and that has no public price on this chip.

    Attributes:
        term: what it is.
        count: which count of a run says how often, see ``quantities.COUNTS``.
        scope: ``core`` if the total claims to contain it, so that a run with it has a lower bound
            only; ``outside`` if the total does not claim it.
        reason: why there is no price.
    """

    term: str
    count: str
    scope: Literal["core", "outside"]
    reason: str


@dataclass(frozen=True)
class Profile:
    """One chip, or one convention, at one operating point.

    Attributes:
        attention: as what the chip runs a product of two activations: ``none`` (it has neither threshold gates
            nor products), ``gates`` (neurons with static weights), ``product_neurons``, or ``dense``.
        synapse_format: ``sparse`` stores and walks non-zero weights, ``dense`` walks the zeros too.
    """

    name: str
    title: str
    model: Model
    operating_point: str
    note: str
    attention: str
    synapse_format: str
    constants: dict[str, Constant]
    capacity: dict[str, Constant]
    unpriced: tuple[Unpriced, ...]

    def get(self, name: str) -> Constant | None:
        """A constant by quantity, None if the profile has none."""
        return self.constants.get(name)

    def require(self, name: str) -> Constant:
        """A constant by quantity; ProfileError if the profile has none."""
        if name not in self.constants:
            raise ProfileError(
                f"profile {self.name}: no constant {name!r}, which this model needs; add it with a source"
            )
        return self.constants[name]

    def limit(self, name: str) -> float | None:
        """A capacity limit in bits or counts, None if none is public."""
        constant = self.capacity.get(name)
        if constant is None:
            return None
        return next(
            side for side in (constant.value.nominal, constant.value.high, constant.value.low) if side is not None
        )

    @property
    def basis(self) -> str:
        """``marginal``, ``all_in`` or ``literature``: the kind of its per-operation figures."""
        kinds = {c.kind for c in self.constants.values()} & {"marginal", "all_in", "literature"}
        return min(kinds, default="static")
