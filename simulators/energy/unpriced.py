"""What a run does and what has no price on its chip: listed with its count, never zero."""

from __future__ import annotations

from collections.abc import Sequence

from hw_profiles import Profile
from simulators.energy.charges import Charge, covered
from simulators.energy.estimate import UnpricedTerm
from simulators.energy.workload import Workload


def unpriced_terms(
    counts: Workload, profile: Profile, charges: Sequence[Charge]
) -> tuple[tuple[UnpricedTerm, ...], list[str]]:
    """All that occur, and the names of those that belong to the total and make it a lower bound."""
    charged = {charge.term for charge in charges}
    within = covered(charges)
    found, missing = [], []
    for entry in profile.unpriced:
        if count := counts.named[entry.count]:
            found.append(UnpricedTerm(entry.term, count, entry.reason))
            missing += [entry.term] if entry.scope == "core" else []
    for term, count in (("synapse", counts.synops), ("neuron", counts.updates_active + counts.updates_idle)):
        if count and term not in charged | within:
            found.append(UnpricedTerm(term, count, "no figure in the profile"))
            missing.append(term)
    if counts.readouts:
        reason = f"accumulators of {', '.join(counts.readouts)} feed no neuron and are not counted"
        found.append(UnpricedTerm("readout accumulators", None, reason))
    return tuple(found), missing
