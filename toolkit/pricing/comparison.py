"""Several models' records side by side: `spikeport.comparison/1`."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from typing import Any, Literal

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from toolkit.errors import SpikeportError
from toolkit.pricing.schema import EnergyRecord
from toolkit.pricing.tables import device_row
from toolkit.reporting.schema import Energy, Interval
from toolkit.reporting.summary import GROUP_TITLES, Group, group_of
from toolkit.reporting.units import NO_FIGURE, clean, compact, count, percent

SCHEMA: Literal["spikeport.comparison/1"] = "spikeport.comparison/1"
SIDES = ("low", "nominal", "high")


def compared(records: Sequence[EnergyRecord]) -> dict[str, Any]:
    """Rows by group and profile, in each a cell for each model, None where a model lacks the profile.

    ``ratio`` is nominal joules over the first model's; None where either has no nominal: two lower bounds have none.

    Raises:
        SpikeportError: fewer than two models, or records priced under different assumptions.
    """
    if len(records) < 2:
        raise SpikeportError(f"compare: {len(records)} model, needs two at least; name another")
    _same_assumptions(records)
    cells: dict[tuple[Group, str], list[Energy | None]] = {}
    for number, record in enumerate(records):
        for entry in record["energy"]:
            cells.setdefault((group_of(entry), _row_name(entry)), [None] * len(records))[number] = entry
    order = {group: place for place, group in enumerate(GROUP_TITLES)}
    rows = [_row(key, found) for key, found in sorted(cells.items(), key=lambda item: order[item[0][0]])]
    models = [{"model": r["model"], "accuracy": r["accuracy"], "simulated": r["simulated"]} for r in records]
    return {
        "schema": SCHEMA,
        "measured_on_a_chip": False,
        "assumed": records[0]["assumed"],
        "models": models,
        "rows": rows,
    }


def csv_text(comparison: dict[str, Any]) -> str:
    """A row for each profile and model; joules and seconds, unknown sides empty."""
    columns = ["group", "profile", "model", "accuracy"]
    columns += [f"{what}_{side}" for what in ("joules", "seconds") for side in SIDES] + ["fits", "grade", "ratio"]
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, columns, restval="", lineterminator="\n")
    writer.writeheader()
    for row in comparison["rows"]:
        for model, cell in zip(comparison["models"], row["models"], strict=True):
            head = {"group": row["group"], "profile": row["profile"], "model": model["model"]}
            writer.writerow(head | {"accuracy": model["accuracy"]} | _flat(cell))
    return buffer.getvalue()


def print_comparison(comparison: dict[str, Any], console: Console) -> None:
    """Models as columns, profiles as rows, a table for each group."""
    console.print(Text("SIMULATED, exact counts: sentences, spikes and accuracy of each model"), soft_wrap=True)
    for model in comparison["models"]:
        console.print(Text(clean(_line(model))), soft_wrap=True)
    words = "ESTIMATED: everything in joules, per inference. No figure was measured on a chip."
    console.print(Text(f"{words} (x n): nominal over the first model's."), soft_wrap=True)
    for group in GROUP_TITLES:
        if rows := [row for row in comparison["rows"] if row["group"] == group]:
            table, without = _table(group, comparison["models"], rows)
            console.print(table)
            if without:
                console.print(Text(without), soft_wrap=True)


def _same_assumptions(records: Sequence[EnergyRecord]) -> None:
    first = records[0]
    for record in records[1:]:
        if record["assumed"] != first["assumed"]:
            raise SpikeportError(
                f"compare: {record['model']} assumes {record['assumed']}, {first['model']} {first['assumed']}; "
                "price both in the same way"
            )


def _row_name(entry: Energy) -> str:
    """The profile without the number of steps, in which models differ."""
    return re.sub(r", T=\d+$", "", entry["profile"])


def _row(key: tuple[Group, str], entries: list[Energy | None]) -> dict[str, Any]:
    base = entries[0]["joules"] if entries[0] else None
    cells = [None if entry is None else _cell(entry, base) for entry in entries]
    return {"group": key[0], "profile": key[1], "models": cells}


def _cell(entry: Energy, base: Interval | None) -> dict[str, Any]:
    names = ("joules", "seconds", "cores", "chips", "fits", "basis", "grade", "unpriced")
    return {name: entry[name] for name in names} | {"ratio": _ratio(entry["joules"], base)}  # type: ignore[literal-required]


def _ratio(joules: Interval, base: Interval | None) -> float | None:
    if base is None or not base["nominal"] or joules["nominal"] is None:
        return None
    return joules["nominal"] / base["nominal"]


def _flat(cell: dict[str, Any] | None) -> dict[str, Any]:
    if cell is None:
        return {}
    sides = {f"{what}_{side}": cell[what][side] for what in ("joules", "seconds") for side in SIDES}
    return sides | {name: cell[name] for name in ("fits", "grade", "ratio")}


def _line(model: dict[str, Any]) -> str:
    run = model["simulated"]
    known = "" if model["accuracy"] is None else f", accuracy {percent(model['accuracy'], 2)}"
    return f"  {model['model']}: {count(run['sentences'])} sentences, {count(run['spikes'])} spikes{known}"


def _table(group: Group, models: list[dict[str, Any]], rows: list[dict[str, Any]]) -> tuple[Table, str]:
    """The table, and a line on the profiles that have no figure for any model; empty where all have."""
    known = [row for row in rows if any(cell and compact(cell["joules"], "J") != NO_FIGURE for cell in row["models"])]
    title = Text(GROUP_TITLES[group])
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("Profile", *(clean(model["model"]) for model in models)):
        table.add_column(Text(name), overflow="fold")
    for name, lines in _lines(group, known).items():
        table.add_row(Text(clean(name)), *(Text("\n".join(column)) for column in zip(*lines, strict=True)))
    shown = {row["profile"].partition(": ")[0] for row in known}
    names = dict.fromkeys(row["profile"].partition(": ")[0] for row in rows)
    without = [clean(name) for name in names if name not in shown]
    return table, f"No figure for any model: {', '.join(without)}" if without else ""


def _lines(group: Group, rows: list[dict[str, Any]]) -> dict[str, list[list[str]]]:
    """By row of the table its lines, a cell for each model: one line, or of a device one for each precision."""
    found: dict[str, list[list[str]]] = {}
    for row in rows:
        name, precision = device_row(row["profile"]) if group == "device" else (row["profile"], "")
        cells = [f"{precision} {_shown(cell)}".strip() for cell in row["models"]]
        found.setdefault(name, []).append(cells)
    return found


def _shown(cell: dict[str, Any] | None) -> str:
    if cell is None:
        return "–"
    ratio = "" if cell["ratio"] is None else f" (x {cell['ratio']:.3g})"
    return f"{compact(cell['joules'], 'J')}{ratio}" + (", DOES NOT FIT" if cell["fits"] is False else "")
