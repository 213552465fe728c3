"""The report as one self-contained HTML page: no script, no external file, light, dark and on paper."""

from __future__ import annotations

from importlib.resources import files
from typing import Any, cast

from toolkit.reporting.cost_section import cost_section
from toolkit.reporting.elements import pill
from toolkit.reporting.function_section import accuracy_section, activity_section, equivalence_section
from toolkit.reporting.markup import Markup, el
from toolkit.reporting.ownership_section import environment_section, left_out_section, ownership_section
from toolkit.reporting.schema import Report, validate
from toolkit.reporting.summary import is_demo, provenance, summarise
from toolkit.reporting.units import clean

# A second wall behind the escaping: even markup that slipped through could load and run nothing.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_CONTENTS = {
    "function": "Function",
    "accuracy": "Accuracy",
    "activity": "Activity",
    "cost": "Cost",
    "ownership": "Ownership",
    "left-out": "Left out",
    "environment": "Environment",
}


def render_html(report: dict[str, Any]) -> str:
    """One page from one `spikeport.report/1` record; raises SpikeportError naming the first wrong field."""
    validate(report)
    record = cast(Report, report)
    body = el("body", _header(record), _sections(record), _footer(record))
    return f"<!DOCTYPE html>\n{el('html', _head(record), body, lang='en')}\n"


def _head(report: Report) -> Markup:
    return el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", http_equiv="Content-Security-Policy", content=POLICY),
        el("meta", name="color-scheme", content="light dark"),
        el("title", f"spikeport report: {clean(report['task']['name'])}"),
        el("style", Markup(files("toolkit.reporting").joinpath("report.css").read_text("utf-8"))),
    )


def _header(report: Report) -> Markup:
    facts = [el("div", el("dt", name), el("dd", text)) for name, text in provenance(report)]
    links = [el("a", name, href=f"#{anchor}") for anchor, name in _CONTENTS.items()]
    return el(
        "header",
        el("p", "spikeport report", class_="eyebrow"),
        el("h1", f"{clean(report['task']['name'])}: a spiking text classifier, checked"),
        el("dl", facts, class_="facts"),
        _verdicts(report),
        el("nav", links, aria_label="Sections"),
        class_="top",
    )


def _verdicts(report: Report) -> Markup:
    lines = [
        el("li", el("span", pill(v.status, v.status)), el("strong", v.question), _paragraphs(v.text))
        for v in summarise(report)
    ]
    return el("ul", lines, class_="verdicts", aria_label="Summary")


def _paragraphs(text: str) -> Markup:
    return el("div", [el("p", line) for line in text.split("\n")])


def _sections(report: Report) -> Markup:
    return el(
        "main",
        equivalence_section(report["equivalence"]),
        accuracy_section(report["task"], report["sentences"]),
        activity_section(report),
        cost_section(report["energy"]),
        ownership_section(report["watermark"], is_demo(report)),
        left_out_section(report["left_out"]),
        environment_section(report["environment"]),
    )


def _footer(report: Report) -> Markup:
    return el("footer", f"Record format {report['schema']}. The figures on this page are those of report.json.")
