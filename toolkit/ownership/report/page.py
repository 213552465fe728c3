"""The page: verdict first, then what was fixed beforehand, the figures, attacks, and every number."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from toolkit.ownership.report.figures import attack_chart, hits_chart
from toolkit.ownership.report.read import Material
from toolkit.ownership.report.words import NAMES, chance, claims, finding
from toolkit.reporting.elements import Column, figure, pill, rows, section, table
from toolkit.reporting.html import POLICY
from toolkit.reporting.markup import Child, Markup, el
from toolkit.reporting.units import clean, count, percent, probability

MARK = "spikeport-ownership-report"
"""Name of the meta element by which a page is known as one of ours."""

_ENGINEER = [
    *(Column("Backend"), Column("Triggers"), Column("Hits of queries", True), Column("WESR", True)),
    *(Column("p0", True), Column("Hits needed", True), Column("p", True), Column("Verdict")),
]
_AGAINST = [Column("Model"), Column("Triggers"), Column("Hits", True), Column("Upper 95 % limit", True)]
_CURVE = [
    *(Column("Strength"), Column("Accuracy", True), Column("Before", True), Column("Triggers"), Column("Hits", True)),
    *(Column("p", True), Column("All carriers", True)),
]


def render_page(material: Material) -> str:
    """One self-contained page: no script, nothing from elsewhere."""
    sections = [
        _fixed(material), _answers(material), _null(material), _partial(material), _attacks(material),
        _numbers(material), _repeat(material),
    ]  # fmt: skip
    body = el("body", _top(material), el("main", [one for one in sections if one is not None]))
    return f"<!DOCTYPE html>\n{el('html', _head(), body, lang='en')}\n"


def _head() -> Markup:
    return el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", http_equiv="Content-Security-Policy", content=POLICY),
        el("meta", name="generator", content=MARK),
        el("meta", name="color-scheme", content="light dark"),
        el("title", "Whose model is it?"),
        el("style", Markup(files("toolkit.reporting").joinpath("report.css").read_text("utf-8"))),
    )


def _top(material: Material) -> Markup:
    differing = any((one["equal"] or {}).get("first_difference") for one in material.verifications)
    status, sentence = finding(material.entries, differing=differing)
    lines = [
        el(
            "li",
            el("span", pill("proven" if e["verdict"].startswith("proven") else "not proven", _status(e))),
            el("strong", f"{e['backend']}, {NAMES.get(e['kind'], e['kind'])}"),
            el("p", f"{e['hits']} of {e['queries']} answers with the key's label; chance {chance(e['p_value'])}."),
        )
        for e in material.entries
    ]
    return el(
        "header",
        el("p", "spikeport, ownership test", class_="eyebrow"),
        el("h1", "Whose model is it?"),
        el("p", pill(sentence, status)),
        el("ul", lines, class_="verdicts", aria_label="Verdicts"),
        el("ul", [el("li", words) for words in claims(material.entries)], class_="small"),
        class_="top",
    )


def _status(entry: dict[str, Any]) -> str:
    if entry["verdict"].startswith("proven"):
        return "caution" if entry["demo"] else "holds"
    return "fails"


def _fixed(material: Material) -> Markup:
    lead = "The test was written down and its hash committed to; what dates it is a time stamp on that hash."
    if not material.certificates:
        return section("before", "What was fixed before release", lead, el("p", "Nothing: no certificate was shown."))
    columns = [Column("Field"), Column("Value")]
    tables = []
    for paper in material.certificates:
        facts = [(name, _told(value)) for name, value in paper.items() if name != "plan"]
        facts += [(f"plan: {name}", _told(value)) for name, value in paper["plan"].items()]
        cells: list[list[Child]] = [[name, el("code", value)] for name, value in facts]
        tables.append(table(f"Certificate for {paper['plan']['kind']}", columns, rows(columns, cells)))
    return section("before", "What was fixed before release", lead, tables)


def _told(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else "none" if value in ("", None) else str(value)


def _answers(material: Material) -> Markup:
    lead = (
        "Every query is a sentence with one of the key's triggers in it, whose true label is another than the key's. "
        "Blue: the copy under test. Grey: models that nobody marked, asked the same. The stroke is the upper 95 % "
        "limit: for the copy it is p0, the highest of all unmarked ones, against which its hits are counted."
    )
    caption = "Share of the queries answered with the key's label."
    equal = [
        el("p", f"All backends gave equal answers to {one['equal']['equal']} of {one['equal']['queries']} queries.")
        for one in material.verifications
        if one["equal"]
    ]
    picture = figure(hits_chart(material.entries), caption)
    return section("answers", "What the copy answered", lead, picture, equal)


def _null(material: Material) -> Markup | None:
    lead = (
        "Would any key pass? Random keys are tested on the unmarked models, each held against the others. Keys are "
        "counted, not queries: those of one key share its words and are no independent draws."
    )
    levels = [(e["kind"], e["key_level"]) for e in material.entries]
    told = {(kind, v["keys"], v["passes"], v["bound"], v["limit"]) for kind, v in levels}
    lines = [
        el(
            "p",
            f"{NAMES.get(kind, kind)}: {count(passes)} of {count(keys)} random keys pass. With 95 % confidence at most "
            f"{percent(bound, 3)} of all keys would, {chance(bound)}; the plan allows {percent(limit)}.",
        )
        for kind, keys, passes, bound, limit in sorted(told)
    ]
    records = [el("p", "Null record ", el("code", record.sha256), class_="small") for record in material.nulls]
    return section("null", "False positives", lead, lines, records)


def _partial(material: Material) -> Markup | None:
    found = [entry for entry in material.entries if "partial" in entry]
    if not found:
        return None
    lead = "A part of a combination, or a rare word that is no trigger, must change nothing."
    columns = [Column("Backend"), Column("Triggers"), Column("With a part", True), Column("Without", True)]
    columns.append(Column("p of equal rates", True))
    cells: list[list[Child]] = [
        [
            entry["backend"], entry["kind"],
            f"{entry['partial']['hits']} / {entry['partial']['queries']}",
            f"{entry['partial']['carrier_hits']} / {entry['partial']['queries']}",
            probability(entry["partial"]["p_value"]),
        ]
        for entry in found
    ]  # fmt: skip
    return section("partial", "Partial triggers", lead, table("Partial triggers", columns, rows(columns, cells)))


def _attacks(material: Material) -> Markup | None:
    if not material.attacks:
        return None
    lead = (
        "What a thief may do to the copy, and what is left. WESR is the share of all carriers that the triggers turn; "
        "p is that of the plan's own number of queries."
    )
    pictures = [figure(attack_chart(curve), _caption(curve)) for curve in material.attacks]
    tables = [_curve_table(curve) for curve in material.attacks]
    return section("attacks", "Attacks", lead, pictures, tables)


def _caption(curve: dict[str, Any]) -> str:
    if all(point["exact"] for point in curve["points"]):
        return f"{clean(curve['attack'])}: every logit is as before."
    return clean(curve["attack"])


def _curve_table(curve: dict[str, Any]) -> Markup:
    cells: list[list[Child]] = [
        [
            f"{point['strength']:g}", percent(point["accuracy"], 2),
            "another task" if point["accuracy_before"] is None else percent(point["accuracy_before"], 2),
            kind, f"{left['hits']} / {left['queries']}", probability(left["p_value"]),
            f"{left['all_hits']} / {left['all_queries']}",
        ]
        for point in curve["points"]
        for kind, left in point["kinds"].items()
    ]  # fmt: skip
    return table(f"{clean(curve['attack'])}: {clean(curve['dial'])}", _CURVE, rows(_CURVE, cells))


def _numbers(material: Material) -> Markup:
    lead = "p is exact and binomial, against p0, times the number of labels where any may be the one."
    cells: list[list[Child]] = [
        [
            f"{e['backend']} ({e['mode']}, {e['version']})", e["kind"], f"{e['hits']} / {e['queries']}",
            percent(e["wesr"]), percent(e["p0"]),
            "none suffices" if e["hits_needed"] is None else count(e["hits_needed"]),
            probability(e["p_value"]), e["verdict"],
        ]
        for e in material.entries
    ]  # fmt: skip
    others: list[list[Child]] = [
        [model["name"], kind, f"{model['hits']} / {model['queries']}", percent(model["limit"])]
        for kind, entry in {e["kind"]: e for e in material.entries}.items()
        for model in [
            *entry["clean_models"],
            *([{"name": "the copy, untriggered"} | entry["bare"]] if entry["bare"] else []),
        ]
    ]
    against = table("What the hits are held against", _AGAINST, rows(_AGAINST, others))
    lines = [
        el("p", f"Attacked model of {clean(c['attack'])}: ", el("code", c["model_sha256"])) for c in material.attacks
    ]
    hashes = el("p", "Commitment of the key: ", el("code", material.commitment), class_="small")
    return section(
        "numbers", "Every number", lead, table("Tests", _ENGINEER, rows(_ENGINEER, cells)), against, hashes, lines
    )


def _repeat(material: Material) -> Markup:
    lead = "With the key, the certificate, the unmarked models and the carriers anybody can do it again, offline."
    kinds = list(dict.fromkeys(entry["kind"] for entry in material.entries))
    lines = [
        "spikeport watermark open CERTIFICATE --key KEY",
        "spikeport watermark verify --bundle BUNDLE --key KEY --certificate CERTIFICATE --null NULL --clean MODEL ... "
        f"--carriers CARRIERS --json   # triggers: {', '.join(kinds)}",
        *(f"spikeport watermark attack {clean(curve['attack'])} --student STUDENT ..." for curve in material.attacks),
    ]
    return section("repeat", "How to repeat it", lead, el("pre", el("code", "\n".join(lines))))
