"""Section for the architect: energy, latency and capacity, with every gap shown beside the figures."""

from __future__ import annotations

from toolkit.reporting.elements import Column, details, figure, rows, section, table
from toolkit.reporting.figures import IntervalRow, Panel, interval_chart
from toolkit.reporting.gaps import missing_terms
from toolkit.reporting.markup import Markup, el
from toolkit.reporting.schema import Energy, Influence, Interval
from toolkit.reporting.summary import GROUP_TITLES, Group, advice_of, group_of, grouped
from toolkit.reporting.units import NO_FIGURE, clean, count, label, percent, si, sides

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
    Column("Limit that binds"),
]
_TERMS = [
    Column("Term"),
    Column("Low", True),
    Column("Nominal", True),
    Column("High", True),
    Column("Why a side is missing"),
]
_MOVES = [
    Column("Constant"),
    Column("Term"),
    Column("Share of the total", True),
    Column("Between its sides", True),
]
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
    """Why a side has no figure, in a sentence each for energy and latency; empty if all are known.

    The entry's own note stands in where an interval gives no reason.
    """
    said: dict[str, list[str]] = {}
    for name, interval in (("energy", entry["joules"]), ("latency", entry["seconds"])):
        if None in sides(interval):
            reason = clean(interval.get("reason") or _default_reason(entry, name)).rstrip(".")
            said.setdefault(reason, []).append(name)
    return " ".join(f"{' and '.join(names).capitalize()}: {reason}." for reason, names in said.items())


def _default_reason(entry: Energy, name: str) -> str:
    if group_of(entry) == "literature" and name == "latency":
        return "an operation count has no time"
    return entry["note"] or f"{NO_FIGURE}, and the report gives no reason"


def _price_group(group: Group, entries: list[Energy]) -> Markup:
    shade = "convention" if group == "literature" else None
    head = el("tr", el("th", GROUP_TITLES[group], colspan=len(_PRICE), scope="rowgroup"), class_=shade)
    return el("tbody", head, [_price_rows(entry, shade) for entry in entries])


def _price_rows(entry: Energy, shade: str | None) -> list[Markup]:
    evidence = el("td", entry["basis"].replace("_", "-"), entry["grade"] and [el("br"), f"grade {entry['grade']}"])
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
    return [el("td", text, class_="num none" if text == NO_FIGURE else "num") for text in _figures(interval, unit)]


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
        advice_of(entry) or "–",
    ]


def _known(value: int | None) -> str:
    return "–" if value is None else count(value)


def _unpriced(energy: list[Energy]) -> Markup:
    heading = el("h3", "Not in these figures")
    terms = missing_terms(energy)
    if not terms:
        return el("aside", heading, el("p", "Every term that occurs has a price."))
    lead = el("p", "These events happen and have no public price. They cost more than zero.")
    lines = [
        el("li", el("b", term), f": {reason}. ", el("span", ", ".join(names), class_="soft"))
        for (term, reason), names in terms.items()
    ]
    return el("aside", heading, lead, el("ul", lines))


def _breakdown(entry: Energy) -> Markup | None:
    note = entry["note"]
    if not entry["breakdown"] and not note and not entry.get("sensitivity"):
        return None
    name = clean(entry["profile"])
    rest = {"all priced terms": entry["priced"]} if "priced" in entry and entry["breakdown"] else {}
    rest |= {f"{label(term)}, beside it and never added": value for term, value in entry.get("apart", {}).items()}
    lines = [_term(label(term), value) for term, value in (entry["breakdown"] | rest).items()]
    body = table(f"Terms of {name}", _TERMS, rows(_TERMS, lines)) if lines else None
    said = [el("p", text) for text in (note, *_conditions(entry)) if text]
    return details(f"{name}: terms and conditions", said, body, _sensitivity(entry))


def _conditions(entry: Energy) -> list[str]:
    """As what attention runs, and the smallest change that fits, where the estimate says so."""
    attention, change = entry.get("attention"), entry.get("placement", {}).get("change")
    runs = f"Attention on this chip: {clean(attention)}." if attention else ""
    return [runs, f"Smallest change that fits: {clean(change)}." if change else ""]


def _sensitivity(entry: Energy) -> Markup | None:
    """Which constant moves the total most; one without a bound stands first, for nobody knows how far."""
    found = entry.get("sensitivity")
    if not found:
        return None
    title = f"Which constant moves the total of {clean(entry['profile'])} most"
    return table(title, _MOVES, rows(_MOVES, [_influence(influence) for influence in found]))


def _influence(influence: Influence) -> list[str]:
    moves = influence["moves"]
    side = "one side is not public" if moves is None else si(moves, "J")
    return [label(influence["constant"]), label(influence["term"]), percent(influence["share"]), side]


def _term(name: str, interval: Interval) -> list[str]:
    return [name, *_figures(interval, "J"), clean(interval.get("reason", ""))]
