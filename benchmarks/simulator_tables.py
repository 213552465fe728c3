"""Fills the tables of a page from what the simulator's benchmarks wrote.

    python -m benchmarks.simulator_tables docs/simulator-speed.md [--results benchmarks/results]

A table goes between ``<!-- floor -->`` (or ``others``, ``growth``) and the next ``<!-- end -->``; one of which no
results are there is left as it is.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from benchmarks.stopwatch import RESULTS

Row = dict[str, Any]
Reports = dict[str, Row]
TIMES = ("products", "pass", "limit", "simulator")


def table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """Markdown; a float in three digits."""
    names = list(head)
    lines = [names, ["---"] * len(names), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def _cell(value: object) -> str:
    return f"{value:,.0f}" if isinstance(value, float) and value >= 100 else _small(value)


def _small(value: object) -> str:
    return f"{value:#.3g}".rstrip(".") if isinstance(value, float) else str(value)


def floor(reports: Reports) -> str:
    """All students, then the densities, then memory."""
    report = reports["simulator-floor"]
    head = (
        "student",
        "spikes",
        "products, ms",
        "pass, ms",
        "limit, ms",
        "simulator, ms",
        "ratio",
        "in a row",
        "ms a sample",
    )
    rows = [
        (_student(row), _mean_density(row), *(1e3 * row[f"{k}_seconds"] for k in TIMES),
         row["ratio"], row["batch_ratio"], row["milliseconds_per_sample"])
        for part in ("limit", "densities", "shipped") for row in report.get(part, [])
    ]  # fmt: skip
    memory = [(_student(row), row["batch"], row["peak_bytes"] / 1e9) for row in report.get("memory", [])]
    parts = [table(head, rows)] if rows else []
    return "\n\n".join([*parts, *([table(("student", "batch", "peak, GB"), memory)] if memory else [])])


def others(reports: Reports) -> str:
    """Peers, then Lava."""
    peers, lava = reports["simulator-peers"], reports["simulator-lava"]
    head = ("file", "simulator", "batch", "ms a sample", "times ours", "values compared", "different")
    rows = [
        (row["case"], row["simulator"], row.get("batch", ""), 1e3 * row["seconds_per_sample"], row.get("ratio", ""),
         row.get("compared", ""), row.get("mismatches", ""))
        for row in [*peers["peers"], *peers["ours"]] if "seconds_per_sample" in row
    ]  # fmt: skip
    lines = [
        (
            row["case"],
            row["simulator"],
            1e3 * row["seconds_per_sample"],
            row.get("ratio", ""),
            row.get("ratio_full", ""),
        )
        for row in lava["rows"]
    ]
    under = table(("file", "simulator", "ms a sample", "times ours", "times ours without padding"), lines)
    return f"{table(head, rows)}\n\n{under}"


def growth(reports: Reports) -> str:
    """A line an axis."""
    head = ("axis", "attention", "arithmetic", "range", "ms", "worst doubling / 2", "MB", "worst doubling / 2")
    rows = []
    for part in reports["simulator-growth"]["parts"]:
        first, last = part["rows"][0], part["rows"][-1]
        each = [part["growth"][what]["growth"] or "too little to tell" for what in ("seconds", "bytes")]
        rows.append((
            part["axis"], part["attention"], part["arithmetic"], f"{first[part['axis']]} to {last[part['axis']]}",
            f"{1e3 * first['seconds']:.3g} to {1e3 * last['seconds']:.4g}", each[0],
            f"{first['bytes'] / 1e6:.3g} to {last['bytes'] / 1e6:.4g}", each[1],
        ))  # fmt: skip
    return table(head, rows)


TABLES: dict[str, Callable[[Reports], str]] = {"floor": floor, "others": others, "growth": growth}


def filled(page: str, reports: Reports) -> str:
    """The page with every table of which there are results."""
    for name, make in TABLES.items():
        try:
            content = make(reports)
        except KeyError as missing:
            print(f"table {name}: no {missing} in the results; run its benchmark first")
            continue
        start, end = f"<!-- {name} -->", "<!-- end -->"
        before, _, rest = page.partition(start)
        if rest:
            page = f"{before}{start}\n\n{content}\n\n{end}{rest.partition(end)[2]}"
    return page


def _student(row: Row) -> str:
    shipped = f", shipped, {100 * row['valid_share']:.0f} % filled" if "valid_share" in row else ""
    return f"{row['size'].replace('x', ' x ')} {row['attention']}, {row['tokens']} tokens{shipped}"


def _mean_density(row: Row) -> str:
    layers = [share for kind, share in row["densities"].items() if kind != "attention"]
    return f"{100 * sum(layers) / len(layers):.0f} %"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path)
    parser.add_argument("--results", type=Path, default=RESULTS)
    args = parser.parse_args()
    paths = args.results.glob("simulator-*.json")
    reports = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in paths}
    args.page.write_text(filled(args.page.read_text(encoding="utf-8"), reports), encoding="utf-8")


if __name__ == "__main__":
    main()
