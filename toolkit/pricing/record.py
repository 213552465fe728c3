"""A model's estimates as one record for JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from hw_profiles import Profile
from simulators.activity import Activity
from toolkit.pricing.estimates import estimates
from toolkit.pricing.model import Model
from toolkit.pricing.schema import SCHEMA, EnergyRecord, Simulated
from toolkit.pricing.sources import sources_of


def record_of(model: Model, profiles: Sequence[Profile], step_seconds: float | None = None) -> EnergyRecord:
    """Price a model on profiles. Raises SpikeportError where the teacher's shape is not recorded."""
    entries = [cast(Any, row.to_dict()) for row in estimates(model, profiles, step_seconds)]
    return {
        "schema": SCHEMA,
        "model": model.name,
        "accuracy": model.accuracy,
        "simulated": counts(model.activity, model.truncated),
        "assumed": {"step_seconds": step_seconds},
        "measured_on_a_chip": False,
        "literature_leaves_out": _left_out(entries),
        "energy": entries,
        "sources": cast(Any, sources_of(profiles)),
    }


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
    reasons = {term["reason"]: None for entry in entries if entry["kind"] == "literature" for term in entry["unpriced"]}
    return "; ".join(reasons) or None
