"""A record in a terminal: what is simulated, what is estimated, and a table for each group."""

from __future__ import annotations

from collections.abc import Iterator

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from toolkit.pricing.schema import EnergyRecord
from toolkit.reporting.cost_section import missing_terms
from toolkit.reporting.schema import Energy
from toolkit.reporting.summary import GROUP_TITLES, Group, advice_of, grouped
from toolkit.reporting.units import clean, compact, count, percent, si

COLUMNS = ("Profile", "Energy", "Latency", "Cores", "Chips", "Fits", "Basis, grade", "Unpriced")


def header(record: EnergyRecord) -> list[str]:
    """What kind of figures follow, in sentences."""
    return [*_simulated(record), *_estimated(record)]


def print_record(record: EnergyRecord, console: Console) -> None:
    """Header, a table for each group, and the reasons behind every gap."""
    for line in header(record):
        console.print(Text(line), soft_wrap=True)
    print_entries(record["energy"], console)


def print_entries(energy: list[Energy], console: Console) -> None:
    """A table for each group, then the reasons behind every gap."""
    for group, entries in grouped(energy):
        console.print(_table(group, entries))
    for line in _gaps(energy):
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


def _table(group: Group, entries: list[Energy]) -> Table:
    title = Text(GROUP_TITLES[group])
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for name in COLUMNS:
        right = name in ("Cores", "Chips")
        table.add_column(name, justify="right" if right else "left", ratio=None if right else 2 + (name == COLUMNS[0]))
    for entry in entries:
        table.add_row(*(Text(clean(cell)) for cell in _cells(entry)))
    return table


def _cells(entry: Energy) -> list[str]:
    size = ["–" if number is None else count(number) for number in (entry["cores"], entry["chips"])]
    evidence = f"{entry['basis'].replace('_', '-')}, {entry['grade'] or 'no grade'}"
    missing = f"{len(entry['unpriced'])}, see below" if entry["unpriced"] else "–"
    figures = [compact(entry["joules"], "J"), compact(entry["seconds"], "s")]
    return [entry["profile"], *figures, *size, _fits(entry), evidence, missing]


def _fits(entry: Energy) -> str:
    word = {True: "yes", False: "NO", None: "–"}[entry["fits"]]
    binding = str(entry.get("placement", {}).get("binding") or "").replace("_", " ")
    return f"{word}, {binding}" if binding and entry["fits"] is not None else word


def _gaps(energy: list[Energy]) -> Iterator[str]:
    for entry in energy:
        if entry["fits"] is False and (advice := advice_of(entry)):
            yield f"{clean(entry['profile'])}: {advice}"
    for (term, reason), names in missing_terms(energy).items():
        yield f"Not in the figures of {', '.join(names)}: {term}, {reason}"
