"""A record as CSV: one row for each profile and term, joules."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any

from hw_profiles import worst_grade
from toolkit.pricing.schema import EnergyRecord
from toolkit.pricing.sources import keys_of
from toolkit.reporting.summary import group_of

COLUMNS = (
    *("model", "group", "profile", "part", "term", "unit", "low", "nominal", "high"),
    *("count", "grade", "sources", "reason"),
)
"""``part`` says how rows add up: ``term`` rows sum to ``priced``; ``total`` is what may be claimed of it; ``apart``
is never added; an ``unpriced`` row has a count and no joules."""


def csv_text(record: EnergyRecord) -> str:
    """The table with its header line; an unknown side is an empty cell, never 0."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows(record))
    return buffer.getvalue()


def rows(record: EnergyRecord) -> Iterator[dict[str, Any]]:
    """Each row by column; None is an empty cell."""
    for entry in record["energy"]:
        head = {"model": record["model"], "group": group_of(entry), "profile": entry["profile"]}
        for row in _of_entry(entry, record["sources"]):
            yield head | row


def _of_entry(entry: Any, sources: Any) -> Iterator[dict[str, Any]]:
    for part, group in (("term", entry["breakdown"]), ("apart", entry.get("apart", {}))):
        for term, interval in group.items():
            known = any(interval[side] is not None for side in ("low", "nominal", "high"))
            yield _row(part, term, interval) | (_evidence(entry, term, sources) if known else {})
    if "priced" in entry:
        yield _row("priced", "", entry["priced"]) | {"grade": entry["grade"]}
    yield _row("total", "", entry["joules"]) | {"grade": entry["grade"]}
    for term in entry["unpriced"]:
        yield {"part": "unpriced", "term": term["term"], "count": term["count"], "reason": term["reason"]}


def _row(part: str, term: str, interval: Any) -> dict[str, Any]:
    sides = {side: interval[side] for side in ("low", "nominal", "high")}
    return {"part": part, "term": term, "unit": "J", **sides, "reason": interval.get("reason", "")}


def _evidence(entry: Any, term: str, sources: Any) -> dict[str, Any]:
    keys = keys_of(entry, term, sources)
    return {"grade": worst_grade([sources[key]["grade"] for key in keys]) or "", "sources": " ".join(keys)}
