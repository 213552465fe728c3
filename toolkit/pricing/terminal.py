"""A record in a terminal: what is simulated, what is estimated, and a table for each group."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.text import Text

from toolkit.pricing.schema import EnergyRecord
from toolkit.pricing.tables import tables_of
from toolkit.reporting.gaps import gaps, misfits
from toolkit.reporting.schema import Energy
from toolkit.reporting.summary import grouped
from toolkit.reporting.units import count, percent, si


def header(record: EnergyRecord) -> list[str]:
    """What kind of figures follow, in sentences."""
    return [*_simulated(record), *_estimated(record)]


def print_record(record: EnergyRecord, console: Console) -> None:
    """Header, a table for each group, and the reasons behind every gap."""
    for line in header(record):
        console.print(Text(line), soft_wrap=True)
    print_entries(record["energy"], console)


def print_entries(energy: list[Energy], console: Console) -> None:
    """A table for each group, then what would fit, and the reasons behind every gap."""
    for group, entries in grouped(energy):
        table, without = tables_of(group, entries)
        console.print(table)
        for line in [without] if without else []:
            console.print(Text(line), soft_wrap=True)
    for line in (*misfits(energy), *gaps(energy)):
        console.print(Text(line), soft_wrap=True)


def _simulated(record: EnergyRecord) -> Iterator[str]:
    run = record["simulated"]
    yield (
        f"SIMULATED, exact counts: {count(run['sentences'])} sentences x {run['steps']} steps, "
        f"{count(run['spikes'])} spikes, {count(run['synaptic_operations'])} synaptic operations, "
        f"{count(run['input_spikes'])} spikes from the host"
        + (f", {run['truncated']} sentences cut" if run["truncated"] else "")
    )
    if record["accuracy"] is not None:
        yield f"Accuracy of the simulated integers: {percent(record['accuracy'], 2)}"


def _estimated(record: EnergyRecord) -> Iterator[str]:
    step = record["assumed"].get("step_seconds")
    assumed = f"; a step is assumed to take {si(step, 's')} of wall time on every spiking chip" if step else ""
    yield (
        "ESTIMATED: everything in joules and seconds, per inference, from these counts and published constants"
        f"{assumed}. No figure was measured on a chip."
    )
    if record["literature_leaves_out"]:
        yield f"The literature's formula counts arithmetic alone: {record['literature_leaves_out']}."
