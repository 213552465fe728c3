"""The report in a terminal: 80 to 100 columns, every status a word so that nothing rests on colour."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, cast

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from toolkit.reporting.cost_section import reasons
from toolkit.reporting.function_section import probabilities, rate, synops
from toolkit.reporting.gaps import missing_terms
from toolkit.reporting.ownership_section import key_level
from toolkit.reporting.schema import Energy, Equivalence, Interval, Report, WatermarkResult, validate
from toolkit.reporting.summary import (
    DEMO_NOTE,
    GROUP_TITLES,
    equal,
    examples_of,
    group_of,
    grouped,
    is_demo,
    provenance,
    summarise,
    wilson,
)
from toolkit.reporting.units import clean, compact, count, duration, label, percent, probability

_STYLES = {
    "holds": "green",
    "fails": "bold red",
    "caution": "yellow",
    "estimate": "cyan",
    "not tested": "dim",
}
_WORDS = {
    "holds": "OK",
    "fails": "FAIL",
    "caution": "CAUTION",
    "estimate": "ESTIMATE",
    "not tested": "NOT TESTED",
}


def print_report(report: dict[str, Any], console: Console) -> None:
    """Print a `spikeport.report/1` record; raises SpikeportError naming the first wrong field."""
    validate(report)
    record = cast(Report, report)
    _print_summary(record, console)
    if record["equivalence"]:
        console.print(_equivalence(record["equivalence"]))
        _print_differences(record["equivalence"], console)
    for table in (_accuracy(record), _sentences(record), _activity(record)):
        if table is not None:
            console.print(table)
    if record["energy"]:
        _print_energy(record["energy"], console)
    _print_ownership(record, console)
    _print_record(record, console)


def _table(title: str, *columns: str, left: Sequence[int] = (0,)) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for i, name in enumerate(columns):
        words = i in left
        table.add_column(name, justify="left" if words else "right", no_wrap=not words, overflow="fold")
    return table


def _row(table: Table, *cells: str | Text) -> None:
    """Cells as Text: rich would read square brackets in a sentence as its own markup."""
    table.add_row(*(cell if isinstance(cell, Text) else Text(clean(cell)) for cell in cells))


def _lines(*parts: str) -> Text:
    """One cell of several lines: breaks where a reader would, between a figure and its bounds."""
    return Text("\n".join(clean(part) for part in parts if part))


def _interval(interval: Interval, unit: str) -> Text:
    nominal, bracket, rest = compact(interval, unit).partition(" [")
    return _lines(nominal, bracket.strip() + rest)


def _print_summary(report: Report, console: Console) -> None:
    task = report["task"]
    console.print(Text(f"spikeport report: {clean(task['name'])}, {clean(task['split'])}", style="bold"))
    for name, text in provenance(report):
        console.print(Text(f"  {name}: {text}"))
    summary = Table(box=box.SIMPLE_HEAD, show_header=False, pad_edge=False)
    summary.add_column(no_wrap=True)
    summary.add_column(no_wrap=True)
    summary.add_column(overflow="fold")
    for verdict in summarise(report):
        status = Text(_WORDS[verdict.status], style=_STYLES[verdict.status])
        summary.add_row(status, Text(verdict.question), Text(verdict.text))
    console.print(summary)


def _equivalence(entries: list[Equivalence]) -> Table:
    columns = ("Backend", "Sentences", "Spikes", "Logits", "Time", "Result")
    table = _table("Equal spikes", *columns, left=(0, 5))
    for entry in entries:
        spikes = _lines(f"{count(entry['spike_mismatches'])} mismatches", f"of {count(entry['spikes_compared'])}")
        name = _lines(f"{entry['backend']} {entry['version']}", f"{entry['student']}, {entry['mode']}")
        logits, samples = count(entry["logit_mismatches"]), count(entry["samples"])
        _row(table, name, samples, spikes, logits, duration(entry["seconds"]), _result(entry))
    return table


def _result(entry: Equivalence) -> Text:
    words = {True: ("equal", "green"), False: ("DIFFERS", "bold red"), None: ("not run", "dim")}
    return Text(*words[equal(entry)])


def _print_differences(entries: list[Equivalence], console: Console) -> None:
    for entry in entries:
        wrong = [layer for layer in entry["layers"] if layer["mismatches"]]
        for layer in wrong:
            text = f"{count(layer['mismatches'])} mismatches of {count(layer['compared'])}"
            console.print(Text(f"  {clean(entry['backend'])} {clean(layer['name'])}: {text}", style="red"))
        if entry["first_difference"] is not None:
            pairs = ", ".join(f"{clean(k)} {clean(v)}" for k, v in entry["first_difference"].items())
            console.print(Text(f"  {clean(entry['backend'])} first difference: {pairs}", style="red"))


def _accuracy(report: Report) -> Table | None:
    task = report["task"]
    table = _table("Accuracy", "Form", "Accuracy", "95 % interval", "Examples")
    for form, value in task["accuracy"].items():
        examples = examples_of(task, form)
        low, high = wilson(value, examples)
        _row(table, label(form), percent(value), f"{low * 100:.1f} – {high * 100:.1f} %", count(examples))
    for name, value in {**task["baselines"], "largest class": task["largest_class"]}.items():
        _row(table, f"baseline: {label(name)}", percent(value), "", "")
    return table


def _sentences(report: Report) -> Table | None:
    if not report["sentences"]:
        return None
    table = _table("A few sentences", "Sentence", "Label", "Predicted", "Probabilities", left=(0, 1, 2))
    for sentence in report["sentences"]:
        known = "–" if sentence["label"] is None else str(sentence["label"])
        _row(table, sentence["text"], known, str(sentence["predicted"]), probabilities(sentence))
    return table


def _activity(report: Report) -> Table | None:
    if not report["activity"]:
        return None
    table = _table("Activity per inference", "Layer", "Firing rate", "Synaptic operations", "Neurons")
    for layer in report["activity"]:
        _row(table, layer["name"], rate(layer), synops(layer), count(layer["neurons"]))
    return table


def _print_energy(energy: list[Energy], console: Console) -> None:
    console.print(Text("Estimated cost per inference", style="bold"))
    for group, entries in grouped(energy):
        table = _table(GROUP_TITLES[group], "Profile", "Energy", "Latency", "Cores", "Chips", "Fits")
        table.title_style = "italic"
        for entry in entries:
            _row(table, *_energy_cells(entry))
        console.print(table)
    gaps = Table(box=None, show_header=False, pad_edge=False)
    gaps.add_column(overflow="fold", ratio=1)
    gaps.add_column(overflow="fold", ratio=4)
    for entry in energy:
        if (reason := reasons(entry)) and group_of(entry) != "literature":
            _row(gaps, entry["profile"], reason)
    for (term, _), names in missing_terms(energy).items():
        _row(gaps, term, f"no public price, not in the figures of {', '.join(names)}")
    console.print(gaps)
    console.print()


def _energy_cells(entry: Energy) -> list[str | Text]:
    size = ["–" if number is None else count(number) for number in (entry["cores"], entry["chips"])]
    fits = {True: "yes", False: "NO", None: "–"}[entry["fits"]]
    return [entry["profile"], _interval(entry["joules"], "J"), _interval(entry["seconds"], "s"), *size, fits]


def _print_ownership(report: Report, console: Console) -> None:
    mark = report["watermark"]
    if mark is None:
        return
    columns = ("Backend", "Hits", "WESR", "p0", "p-value", "Random keys\nthat pass", "Verdict")
    table = _table("Ownership", *columns, left=(0, 6))
    for kind, results in (("", mark["backends"]), ("control: ", mark["controls"])):
        for result in results:
            _row(table, kind + result["backend"], *_ownership_cells(result))
    console.print(table)
    if is_demo(report):
        console.print(Text(f"  ! {DEMO_NOTE}", style="bold yellow"))
    console.print(Text(f"  Commitment: {clean(mark['commitment'] or 'none recorded')}\n"))


def _ownership_cells(result: WatermarkResult) -> list[str | Text]:
    hits = f"{count(result['hits'])}/{count(result['queries'])}"
    figures = [percent(result["wesr"]), percent(result["p0"]), probability(result["p_value"])]
    verdict = _lines(*re.split(r"(?<=,) | (?=\()", result["verdict"]))
    return [hits, *figures, _lines(*re.split(r"(?<=,) | (?=\()", key_level(result))), verdict]


def _print_record(report: Report, console: Console) -> None:
    if report["left_out"]:
        table = _table("Left out of this run", "What", "Why", "Next step", left=(0, 1, 2))
        for entry in report["left_out"]:
            _row(table, entry["what"], entry["why"], entry["next_step"])
        console.print(table)
    environment = report["environment"]
    versions = ", ".join(f"{name} {version}" for name, version in environment["versions"].items())
    revision = environment["git_revision"] or "no git checkout"
    total = duration(sum(environment["seconds"].values()))
    made = [versions, environment["device"], f"seed {environment['seed']}", revision, total]
    console.print(Text(f"Made with {clean('; '.join(made))}"))
