"""A model's estimates as one record for JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from hw_profiles import Profile
from simulators.activity import Activity
from simulators.baselines import Crossover, Curve
from toolkit.pricing.estimates import Assumed, curves, estimates
from toolkit.pricing.model import Model
from toolkit.pricing.schema import SCHEMA, EnergyRecord, Simulated
from toolkit.pricing.sources import sources_of

MOST_BASELINES = 6  # beside one curve, in one plot


def record_of(
    model: Model, profiles: Sequence[Profile], assumed: Assumed | None = None, *, over_rates: bool = False
) -> EnergyRecord:
    """Price a model on profiles.

    Args:
        over_rates: price it at other firing rates too, for the crossover with dense networks.

    Raises:
        SpikeportError: the teacher's shape is not recorded.
    """
    taken = assumed or Assumed()
    rows = estimates(model, profiles, taken)
    entries = [cast(Any, row.to_dict()) for row in rows]
    record: EnergyRecord = {
        "schema": SCHEMA,
        "model": model.name,
        "accuracy": model.accuracy,
        "simulated": counts(model.activity, model.truncated),
        "assumed": {"step_seconds": taken.step_seconds, "clock_hz": taken.clock_hz},
        "measured_on_a_chip": False,
        "literature_leaves_out": _left_out(entries),
        "energy": entries,
        "sources": cast(Any, sources_of(profiles)),
    }
    if over_rates:
        found = curves(model, profiles, rows, taken)
        record["rate_curves"] = [cast(Any, _curve(curve, met)) for curve, met in found]
        record["crossovers"] = [cast(Any, one.to_dict()) for _, met in found for one in met]
    return record


def _curve(curve: Curve, met: Sequence[Crossover]) -> dict[str, object]:
    """For a plot: the curve and some of the dense networks that it is held against."""
    baselines = [
        {"profile": one.against, "joules": one.baseline.to_dict(), "rate": one.rate.to_dict()} for one in drawn(met)
    ]
    return {"profile": met[0].chip if met else "", **curve.to_dict(), "baselines": baselines}


def drawn(met: Sequence[Crossover]) -> list[Crossover]:
    """Of each device the lowest precision in the first batch named, devices known on both sides first; and the last
    two, which are of 45 nm.

    A device that is known from below only gives no crossing with a chip that is known from below only.
    """
    first_batch = {one.against.partition(", batch ")[0]: one for one in reversed(met[:-2])}
    of_device = {name.partition(":")[0]: one for name, one in reversed(first_batch.items())}
    ordered = sorted(of_device.values(), key=lambda one: not one.baseline.complete)
    return [*ordered[: MOST_BASELINES - 2], *met[-2:]]


def counts(activity: Activity, truncated: int = 0) -> Simulated:
    """Exact sums over the run."""
    return {
        "sentences": activity.samples,
        "truncated": truncated,
        "steps": activity.steps,
        "tokens": activity.tokens,
        "neurons": activity.total("neurons"),
        "spikes": sum(node.spikes for node in activity.nodes if node.neurons),
        "synaptic_operations": activity.total("synops"),
        "input_spikes": activity.input_spikes,
        "host_lookups": activity.host_lookups,
    }


def _left_out(entries: list[dict[str, Any]]) -> str | None:
    """What the conventions in the table count as zero, in their own words."""
    terms = {term["term"]: None for entry in entries if entry["kind"] == "literature" for term in entry["unpriced"]}
    return ", ".join(terms) or None
