"""Section for the architect: energy, latency and capacity, with every gap shown beside the figures."""

from __future__ import annotations

from toolkit.reporting.elements import Column, details, figure, rows, section, table
from toolkit.reporting.figures import IntervalRow, Panel, interval_chart
from toolkit.reporting.markup import Markup, el
from toolkit.reporting.schema import Energy, Interval
from toolkit.reporting.summary import GROUP_TITLES, Group, group_of, grouped
from toolkit.reporting.units import NO_FIGURE, clean, count, label, si, sides

_PRICE = [
    Column("Profile"),
    Column("Energy: low", True),
    Column("nominal", True),
    Column("high", True),
    Column("Latency: low", True),
    Column("nominal", True),
    Column("high", True),
    Column("Evidence"),
]
_SIZE = [
    Column("Profile"),
    Column("Cores", True),
    Column("Chips", True),
    Column("Fits?"),
    Column("Spikes per inference", True),
    Column("SynOps per inference", True),
]
_TERMS = [Column("Term"), Column("Low", True), Column("Nominal", True), Column("High", True)]
LEAD = (
    "Estimates per inference from simulated activity and published constants; nothing here was measured on "
    "a chip. An arrow marks a side for which the public record gives no figure: the true value may lie "
    "anywhere beyond it. Groups use different accounting and are not to be ranked against one another."
)


def cost_section(energy: list[Energy]) -> Markup:
    """Chart with the unpriced terms right beside it, then the figures, sizes and breakdowns."""
    if not energy:
        return section("cost", "What would it cost?", LEAD, el("p", "No profile was estimated in this run."))
    groups = grouped(energy)
    panels = [
        Panel(
            GROUP_TITLES[group],
            [IntervalRow(e["profile"], e["joules"]) for e in entries],
            group == "literature",
        )
        for group, entries in groups
    ]
    caption = "Logarithmic axis. Bar: low to high; dot: nominal; dashed arrow: no public bound."
    chart = figure(interval_chart("Energy per inference", panels, "J"), caption)
    prices = table("Energy and latency per inference", _PRICE, [_price_group(*group) for group in groups])
    lines = [_size(e) for _, entries in groups for e in entries]
    sizes = table("Placement and activity", _SIZE, rows(_SIZE, lines))
    body = el("div", chart, _unpriced(energy), class_="side")
    return section("cost", "What would it cost?", LEAD, body, prices, sizes, [_breakdown(e) for e in energy])


def reasons(entry: Energy) -> str:
    """Why a side has no figure, and the entry's own note; empty if all is known and nothing noted."""
    said = [entry["joules"].get("reason"), entry["seconds"].get("reason"), entry["note"]]
    if group_of(entry) == "literature" and sides(entry["seconds"]) == (None, None, None):
        said.append("An operation count has no latency.")
    known = [clean(text) for text in dict.fromkeys(said) if text]
    if not known and None in sides(entry["joules"]) + sides(entry["seconds"]):
        known = [f"{NO_FIGURE.capitalize()}: the report gives no reason."]
    return " ".join(known)


def _price_group(group: Group, entries: list[Energy]) -> Markup:
    shade = "convention" if group == "literature" else None
    head = el("tr", el("th", GROUP_TITLES[group], colspan=len(_PRICE), scope="rowgroup"), class_=shade)
    return el("tbody", head, [_price_rows(entry, shade) for entry in entries])


def _price_rows(entry: Energy, shade: str | None) -> list[Markup]:
    evidence = el(
        "td", entry["basis"].replace("_", "-"), entry["grade"] and [el("br"), f"grade {entry['grade']}"]
    )
    cells = [*_triple(entry["joules"], "J"), *_triple(entry["seconds"], "s"), evidence]
    note = reasons(entry)
    classes = " ".join(word for word in ("noted" if note else None, shade) if word)
    first = el("tr", el("th", entry["profile"], scope="row"), cells, class_=classes or None)
    if not note:
        return [first]
    return [first, el("tr", el("td", note, class_="note", colspan=len(_PRICE)), class_=shade)]


def _triple(interval: Interval, unit: str) -> list[Markup]:
    """Three cells, or one across where nothing at all is known."""
    if sides(interval) == (None, None, None):
        return [el("td", NO_FIGURE, class_="num none", colspan=3)]
    return [
        el("td", text, class_="num none" if text == NO_FIGURE else "num") for text in _figures(interval, unit)
    ]


def _figures(interval: Interval, unit: str) -> list[str]:
    return [si(value, unit) for value in sides(interval)]


def _size(entry: Energy) -> list[str]:
    return [
        entry["profile"],
        _known(entry["cores"]),
        _known(entry["chips"]),
        {True: "yes", False: "no", None: "–"}[entry["fits"]],
        "–" if entry["spikes_per_inference"] is None else si(entry["spikes_per_inference"]),
        "–" if entry["synops_per_inference"] is None else si(entry["synops_per_inference"]),
    ]


def _known(value: int | None) -> str:
    return "–" if value is None else count(value)


def _unpriced(energy: list[Energy]) -> Markup:
    """Terms without a price; profiles that lack the same ones share a list."""
    lists: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for entry in energy:
        terms = tuple((unpriced_term(t["term"], t["count"]), clean(t["reason"])) for t in entry["unpriced"])
        if terms:
            lists.setdefault(terms, []).append(clean(entry["profile"]))
    heading = el("h3", "Not in these figures")
    if not lists:
        return el("aside", heading, el("p", "Every term that occurs has a price."))
    blocks = [
        [
            el("h4", ", ".join(names)),
            el("ul", [el("li", el("b", term), f": {reason}") for term, reason in terms]),
        ]
        for terms, names in lists.items()
    ]
    return el(
        "aside",
        heading,
        el("p", "These events happen and have no public price. They cost more than zero."),
        blocks,
    )


def unpriced_term(term: str, number: float | None) -> str:
    """A term with how often it happens per inference."""
    return label(term) if number is None else f"{label(term)} (× {si(number)})"


def _breakdown(entry: Energy) -> Markup | None:
    if not entry["breakdown"]:
        return None
    lines = [[label(term), *_figures(interval, "J")] for term, interval in entry["breakdown"].items()]
    name = clean(entry["profile"])
    return details(f"{name}: where the energy goes", table(f"Terms of {name}", _TERMS, rows(_TERMS, lines)))
