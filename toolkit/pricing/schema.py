"""The record `spikeport.energy/1`: what was simulated, what is estimated from it, and every figure used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal, NotRequired, TypedDict, cast

from toolkit.errors import SpikeportError
from toolkit.reporting.conform import conform
from toolkit.reporting.schema import Amount, Count, Energy, Fraction, Interval, Text

SCHEMA: Literal["spikeport.energy/1"] = "spikeport.energy/1"


class Simulated(TypedDict):
    """Exact counts of the whole run, all sentences together."""

    sentences: Count
    truncated: Count
    steps: Count
    tokens: Count
    neurons: Count
    spikes: Count
    synaptic_operations: Count
    input_spikes: Count
    host_lookups: Count


class Source(TypedDict):
    """One figure of a profile; ``si`` in SI units."""

    profile: Text
    quantity: Text
    term: str | None
    unit: str
    si: Interval
    kind: Text
    inferred: bool
    grade: Text
    condition: Text
    source: Text


class Baseline(TypedDict):
    """Joules of a dense network, and the rate at which a curve meets them, see `simulators.baselines.Crossover`."""

    profile: Text
    joules: Interval
    rate: Interval


class RateCurve(TypedDict):
    """Joules over the mean input rate: one profile's curve, and the baselines that it is held against."""

    profile: Text
    rates: list[Amount]
    joules: dict[str, list[Amount | None]]
    measured_rate: Amount
    baselines: list[Baseline]


class Crossing(TypedDict):
    """The mean input rate below which a chip costs less than a dense network, see `simulators.baselines.Crossover`."""

    chip: Text
    against: Text
    rate: Interval
    measured_rate: Amount
    pays_as_measured: bool | None
    baseline_joules: Interval
    verdict: Text
    reason: str


class EnergyRecord(TypedDict):
    """The whole record; energies and times are per inference, counts are of the whole run."""

    schema: Literal["spikeport.energy/1"]
    model: Text
    accuracy: Fraction | None
    simulated: Simulated
    assumed: dict[str, Amount | None]
    measured_on_a_chip: bool
    literature_leaves_out: str | None
    energy: list[Energy]
    sources: dict[str, Source]
    rate_curves: NotRequired[list[RateCurve]]
    crossovers: NotRequired[list[Crossing]]


def validate(record: dict[str, Any]) -> None:
    """Raise SpikeportError naming the first field that the record must not hold."""
    conform(record, EnergyRecord, "")


def read_record(path: Path) -> EnergyRecord:
    """A record from its file.

    Raises:
        SpikeportError: no such file, not JSON, or not this record.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        validate(content)
    except (OSError, ValueError, RecursionError, SpikeportError) as error:
        raise SpikeportError(f"{path}: no {SCHEMA} ({error!s:.160}); write it with spikeport energy --out") from None
    return cast(EnergyRecord, content)
