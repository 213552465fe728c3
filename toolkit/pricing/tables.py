"""Tables of a record for a terminal: chips row by row, devices with their precisions side by side, conventions."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from toolkit.reporting.schema import Energy
from toolkit.reporting.summary import GROUP_TITLES, Group
from toolkit.reporting.units import NO_FIGURE, clean, compact, count

CHIPS = ("Profile", "Energy", "Latency", "Cores, chips", "Fits", "Basis, grade", "Unpriced")
PRECISIONS = ("FP32", "FP16", "INT8")
CONVENTIONS = ("Profile", "Energy", "Grade")
NONE = "–"
NAME = 22  # characters of a name that are kept on one line


def tables_of(group: Group, entries: Sequence[Energy]) -> tuple[Table, str]:
    """The table of a group, and a line on the profiles of it that have no figure at all; empty where all have."""
    if group in ("marginal", "all_in"):
        return _table(group, CHIPS, [_chip(entry) for entry in entries]), ""
    known = [entry for entry in entries if compact(entry["joules"], "J") != NO_FIGURE]
    names = {_device(entry): None for entry in entries}
    nothing = [name for name in names if name not in {_device(entry) for entry in known}]
    said = f"No figure for this network: {', '.join(nothing)}" if nothing else ""
    if group == "literature":
        rows = [[entry["profile"], compact(entry["joules"], "J"), entry["grade"] or NONE] for entry in known]
        return _table(group, CONVENTIONS, rows), said
    return _table(group, ("Device: network", *PRECISIONS, "Grade"), _devices(known)), said


def _table(group: Group, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    title = Text(GROUP_TITLES[group])
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for number, name in enumerate(columns):
        least = min(NAME, max((len(row[0]) for row in rows), default=0)) if not number else 4
        right = name == "Unpriced"
        table.add_column(name, justify="right" if right else "left", overflow="fold", min_width=least)
    for row in rows:
        table.add_row(*(Text("\n".join(map(clean, cell.split("\n")))) for cell in row))
    return table


def _chip(entry: Energy) -> list[str]:
    size = [NONE if number is None else count(number) for number in (entry["cores"], entry["chips"])]
    basis = entry["basis"].replace("_", "-").removesuffix(", lower bound")
    evidence = f"{basis}, {entry['grade'] or 'no grade'}"
    missing = str(len(entry["unpriced"])) if entry["unpriced"] else NONE
    return [
        entry["profile"],
        _short(compact(entry["joules"], "J")),
        _short(compact(entry["seconds"], "s")),
        NONE if size == [NONE, NONE] else ", ".join(size),
        _fits(entry),
        evidence,
        missing,
    ]


def _short(words: str) -> str:
    return "not public" if words == NO_FIGURE else words


def _fits(entry: Energy) -> str:
    word = {True: "yes", False: "NO", None: NONE}[entry["fits"]]
    binding = str(entry.get("placement", {}).get("binding") or "").replace("_", " ")
    return f"{word}, {binding}" if binding not in ("", "none") and entry["fits"] is not None else word


def _devices(entries: Sequence[Energy]) -> list[list[str]]:
    """A row for each device and network, a cell for each precision: energy, and latency below where it is known."""
    cells: dict[str, dict[str, Energy]] = {}
    for entry in entries:
        network, precision = device_row(entry["profile"])
        cells.setdefault(network, {})[precision] = entry
    return [[name, *(_cell(row.get(p)) for p in PRECISIONS), _grades(row)] for name, row in cells.items()]


def device_row(profile: str) -> tuple[str, str]:
    """``h200: teacher`` and ``FP32`` of ``h200: teacher (NAME's shape), FP32, dense``."""
    precision = next((p for p in PRECISIONS if f", {p}" in profile), PRECISIONS[0])
    short = re.sub(r" \([^)]*\)", "", profile.replace(f", {precision}", "")).replace(", dense", "")
    return short.replace("dense ANN of the student's shape", "student as ANN"), precision


def _cell(entry: Energy | None) -> str:
    if entry is None:
        return NONE
    seconds = compact(entry["seconds"], "s")
    return compact(entry["joules"], "J") + ("" if seconds == NO_FIGURE else f"\n{seconds}")


def _grades(row: dict[str, Energy]) -> str:
    return ", ".join(dict.fromkeys(entry["grade"] or NONE for entry in row.values()))


def _device(entry: Energy) -> str:
    return clean(entry["profile"]).partition(": ")[0]
