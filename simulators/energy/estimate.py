"""The result of an estimate, the same for chips, devices and conventions."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from hw_profiles import Constant, Interval, worst_grade
from simulators.energy.sensitivity import Influence
from simulators.placement import Placement

TERMS = ("synapse", "neuron", "routing", "memory", "static", "host_io")


@dataclass(frozen=True)
class UnpricedTerm:
    """Something that happens and has no public price; count per inference, None where not counted."""

    term: str
    count: float | None
    reason: str

    def to_dict(self) -> dict[str, str | float | None]:
        """For JSON."""
        return {"term": self.term, "count": self.count, "reason": self.reason}


@dataclass(frozen=True)
class EnergyEstimate:
    """Joules and seconds of one inference, with what they are made of and how sure they are.

    Attributes:
        profile: where it runs.
        kind: ``chip``, ``device`` or ``literature`` (a convention).
        basis: ``marginal``, ``all_in (dynamic), inferred``, ``literature``, ..., then ``lower bound``
            where it is one.
        joules: the total; nominal and high are None where a term that belongs to it has no price.
        seconds: per inference.
        breakdown: the terms of ``joules``, and those that are not priced, all sides None.
        priced: sum of the terms that have a price, all sides kept.
        apart: figures that must not be added to ``joules`` (static power beside an all-in figure).
        grade: the weakest evidence used.
        synops_per_inference: over non-zero weights, attention apart; ``dense_synops_per_inference``
            if stored zeros are walked too.
        placed: the placement of a chip.
        attention: as what the chip runs it, in words; empty where the network has none.
        sensitivity: which constants move the total, those first that could move it most.
    """

    profile: str
    kind: Literal["chip", "device", "literature"]
    basis: str
    joules: Interval
    seconds: Interval
    cores: int | None
    chips: int | None
    fits: bool | None
    breakdown: dict[str, Interval]
    unpriced: tuple[UnpricedTerm, ...]
    spikes_per_inference: float | None
    synops_per_inference: float | None
    grade: str | None
    note: str
    dense_synops_per_inference: float | None = None
    priced: Interval = field(default_factory=Interval)
    apart: dict[str, Interval] = field(default_factory=dict)
    placed: Placement | None = None
    attention: str = ""
    sensitivity: tuple[Influence, ...] = ()

    @cached_property
    def placement(self) -> dict[str, object]:
        """The placement in words and shares, worked out when it is asked for; empty for devices and conventions."""
        if self.placed is None:
            return {}
        unplaced = [{"layer": name, "reason": reason} for name, reason in self.placed.unplaced]
        return {
            "binding": self.placed.binding,
            "utilisation": self.placed.utilisation,
            "fullest": self.placed.fullest,
            "unplaced": unplaced,
            "advice": self.placed.advice,
            "change": self.placed.change,
        }

    def to_dict(self) -> dict[str, object]:
        """The ``energy`` entry of a report."""
        return {
            "profile": self.profile,
            "kind": self.kind,
            "basis": self.basis,
            "joules": self.joules.to_dict(),
            "seconds": self.seconds.to_dict(),
            "cores": self.cores,
            "chips": self.chips,
            "fits": self.fits,
            "breakdown": {term: value.to_dict() for term, value in self.breakdown.items()},
            "unpriced": [term.to_dict() for term in self.unpriced],
            "spikes_per_inference": self.spikes_per_inference,
            "synops_per_inference": self.synops_per_inference,
            "dense_synops_per_inference": self.dense_synops_per_inference,
            "grade": self.grade,
            "note": self.note,
            "priced": self.priced.to_dict(),
            "apart": {term: value.to_dict() for term, value in self.apart.items()},
            "placement": self.placement,
            "attention": self.attention,
            "sensitivity": [influence.to_dict() for influence in self.sensitivity],
        }


def grade_of(used: list[Constant]) -> str | None:
    """The weakest grade among the constants of an estimate."""
    return worst_grade([constant.grade for constant in used])
