"""The matrix of `benchmarks/conformance.py`: rows of one case and reader, kept in a file, merged, written as a page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.conformance_cases import CASES, NATIVE, RANDOM, RANDOM_NATIVE
from benchmarks.local_readers import ONNX, TORCH
from benchmarks.one_reader import Row

MAY_FAIL = "norse from_nir"  # Norse 1.1.0 maps neither AvgPool2d nor nested graphs by itself
EXACT_ON_NATIVE = (TORCH, ONNX)  # all others must refuse the node
ORDER = [*CASES, RANDOM_NATIVE]
TITLES = {RANDOM: "{} random graphs", RANDOM_NATIVE: "{} random graphs, ssa-native"}
COUNTED = ("loads", "runs", "sentences", "compared", "mismatches", "seconds")
HEAD = """# Conformance

One NIR file, other people's readers, unmodified; what must come out is the integer simulator's. Written by
`make conformance`, which runs a few sentences, and by `python -m benchmarks.conformance` with the options that it
lists, which keeps the longest run of each row. Spikes of every spiking layer and the integer logits are compared, value
by value. `torch` is the student in deployed form, its own encoder included. `ssa-gates` is
[attention in stock gates](attention.md), `ssa-native` the node that stock readers must refuse. Random graphs are drawn
by hypothesis (`benchmarks/graph_strategy.py`): T of 1 to 4, N of 1 to 9, one or two blocks, one to three heads,
windows, biases beyond 8 bits; snnTorch runs there as a backend of this project, elsewhere in an environment of its own.

| case | reader | sentences | loads | runs | values compared | differ | what it says |
|---|---|---|---|---|---|---|---|
"""


def complaint(case: str, row: Row) -> str | None:
    """What is wrong with a row, None where it is as it must be: equal, or refused where no reader may run it."""
    where = f"{case} in {row['reader']}"
    if row["mismatches"]:
        return f"{where}: {row['mismatches']} of {row['compared']} values differ, {row['error']}"
    if case in (NATIVE, RANDOM_NATIVE) and row["reader"] not in EXACT_ON_NATIVE:
        return f"{where}: loads a node that it does not know" if row["loads"] else None
    if row["reader"] == MAY_FAIL or (row["runs"] and row["compared"]):
        return None
    return f"{where}: did not run, {row['error']}"


def folded(case: str, rows: Sequence[Row], file: str, data: str) -> dict[str, Any]:
    """One entry of the matrix from the rows of one reader on one or several files.

    Args:
        file: SHA-256 of what was run; of random graphs, of what draws them.
        data: where its sentences came from.
    """
    return {
        "case": case,
        "reader": rows[0]["reader"],
        "version": rows[0]["version"],
        "cases": len(rows),
        **{field: sum(row[field] or 0 for row in rows) for field in COUNTED},
        "errors": sorted({row["error"] for row in rows if row["error"]}),
        "complaints": [text for row in rows if (text := complaint(case, row))],
        "file_sha256": file,
        "data": data,
    }


def read_entries(path: Path) -> list[dict[str, Any]]:
    """The matrix so far; none where there is no file, or one of an earlier layout."""
    if not path.is_file():
        return []
    return [entry for entry in json.loads(path.read_text(encoding="utf-8")) if "file_sha256" in entry]


def merged(entries: list[dict[str, Any]], new: dict[str, Any]) -> list[dict[str, Any]]:
    """The matrix with one entry more.

    A shorter run without complaint does not replace a longer one of the same file and version. Entries of the same
    case on another file go: they are of no file that there still is.
    """
    kept = [e for e in entries if e["case"] != new["case"] or e["file_sha256"] == new["file_sha256"]]
    for old in kept:
        if same(old, new) and old["version"] == new["version"] and not (new["complaints"] or old["complaints"]):
            new = max(new, old, key=lambda e: (e["cases"], e["sentences"]))  # of equals the newer
    return sorted([e for e in kept if not same(e, new)] + [new], key=lambda e: ORDER.index(e["case"]))


def same(a: dict[str, Any], b: dict[str, Any]) -> bool:
    """Whether two entries are of one case and reader."""
    return bool((a["case"], a["reader"]) == (b["case"], b["reader"]))


def has(entries: list[dict[str, Any]], case: str, reader: str, file: str, sentences: int = 0, graphs: int = 1) -> bool:
    """Whether a clean entry of this file covers so many sentences and graphs, or says that the reader refuses it."""
    return any(
        (e["case"], e["reader"], e["file_sha256"], e["complaints"]) == (case, reader, file, [])
        and (e["sentences"] >= sentences or not e["runs"])
        and sum(o["cases"] for o in entries if o["reader"] == reader and o["file_sha256"] == file) >= graphs
        for e in entries
    )


def write_entries(path: Path, entries: list[dict[str, Any]]) -> None:
    """Whole or not at all: a run may be killed at any time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(entries, indent=1) + "\n", encoding="utf-8")
    part.replace(path)


def page(entries: list[dict[str, Any]]) -> str:
    """The matrix in Markdown."""
    return HEAD + "".join(f"| {' | '.join(cells(entry))} |\n" for entry in entries)


def cells(entry: dict[str, Any]) -> list[str]:
    """One line of the page."""
    title = TITLES.get(entry["case"], f"shipped student, {entry['case']}").format(entry["cases"])
    counts = [f"{entry[key]:,}" if entry["runs"] else "" for key in ("sentences", "compared", "mismatches")]
    first = f"`{entry['errors'][0]}`" if entry["errors"] else ""
    more = f" and {len(entry['errors']) - 1} more" if len(entry["errors"]) > 1 else ""
    reader = f"{entry['reader']} {entry['version']}".strip()
    return [title, reader, counts[0], _of(entry, "loads"), _of(entry, "runs"), *counts[1:], first + more]


def _of(entry: dict[str, Any], field: str) -> str:
    if entry["cases"] == 1:
        return "yes" if entry[field] else "no"
    return f"{entry[field]} of {entry['cases']}"
