"""Sections for the owner and for the record: the watermark test, what was left out, the environment."""

from __future__ import annotations

from toolkit.reporting.elements import Column, figure, pill, row, rows, section, table
from toolkit.reporting.figures import Bar, bar_chart
from toolkit.reporting.markup import Markup, el, join
from toolkit.reporting.schema import Environment, LeftOut, Watermark, WatermarkResult
from toolkit.reporting.summary import DEMO_NOTE, proven
from toolkit.reporting.units import clean, count, duration, percent, probability

_TEST = [
    Column("Backend"),
    Column("Hits of queries", True),
    Column("WESR", True),
    Column("Null rate", True),
    Column("p0 (95 % limit)", True),
    Column("p-value", True),
    Column("Random keys that pass", True),
    Column("Verdict"),
]
LEAD = (
    "Each trigger derived from the secret key should draw the owner's label. WESR is the share that does; p0 "
    "is the upper 95 % limit of the same share on clean models. The p-value is binomial against p0; the "
    "key-level rate says how often a random key would pass. Ownership needs both."
)


def ownership_section(mark: Watermark | None, demo: bool) -> Markup:
    """The test on each backend, the same test on models without the mark, and the demo warning first."""
    title = "Whose model is it?"
    if mark is None or not (mark["backends"] or mark["controls"]):
        return section("ownership", title, LEAD, el("p", "No ownership test was run."))
    notice = el("p", f"! {DEMO_NOTE}", class_="notice", role="note") if demo else None
    note = mark.get("note")
    said = el("p", note) if note and note.strip().lower() != DEMO_NOTE else None
    promise = el("p", "Commitment, to be published before release: ", _code(mark["commitment"]), class_="small")
    bars = [_bar(result, "") for result in mark["backends"]]
    bars += [_bar(result, "other") for result in mark["controls"]]
    picture = bar_chart("Watermark extraction rate", bars, 1.0, [(k / 4, f"{25 * k} %") for k in range(5)])
    caption = (
        "Share of triggers that draw the owner's label. Blue: the model under test; grey: clean control; "
        "red stroke: p0."
    )
    return section("ownership", title, LEAD, notice, said, promise, figure(picture, caption), _tests(mark))


def _code(text: str | None) -> Markup | str:
    return "none recorded" if text is None else el("code", text)


def _bar(result: WatermarkResult, kind: str) -> Bar:
    text = f"{percent(result['wesr'])} · p = {probability(result['p_value'])}".replace("= <", "<")
    return Bar(result["backend"], result["wesr"], text, kind, mark=result["p0"])


def _tests(mark: Watermark) -> Markup:
    groups = [
        ("Model under test", mark["backends"]),
        ("Controls: students without the mark", mark["controls"]),
    ]
    bodies = [
        el(
            "tbody",
            el("tr", el("th", name, colspan=len(_TEST), scope="rowgroup")),
            [row(_TEST, _cells(result, control=results is mark["controls"])) for result in results],
        )
        for name, results in groups
        if results
    ]
    return table("Ownership test", _TEST, bodies)


def _cells(result: WatermarkResult, *, control: bool) -> list[str | Markup]:
    return [
        result["backend"],
        f"{count(result['hits'])} / {count(result['queries'])}",
        percent(result["wesr"]),
        percent(result["null_rate"]),
        percent(result["p0"]),
        probability(result["p_value"]),
        key_level(result),
        pill(result["verdict"], _status(result, control=control)),
    ]


def key_level(result: WatermarkResult) -> str:
    """``0 of 2,000 (≤ 0.15 %)``: passes, keys, upper bound; the limit set beforehand where it is recorded."""
    level = result["key_level"]
    if level is None:
        return "not measured"
    limit = f", limit {percent(level['limit'])}" if "limit" in level else ""
    return f"{count(level['passes'])} of {count(level['keys'])} (≤ {percent(level['bound'], 2)}{limit})"


def _status(result: WatermarkResult, *, control: bool) -> str:
    if "demo key" in result["verdict"].lower():
        return "caution"
    return "holds" if proven(result) != control else "fails"


def left_out_section(entries: list[LeftOut]) -> Markup:
    """Parts of the run that did not take place, with what would make them."""
    lead = "A part that did not run is not a part that passed."
    if not entries:
        return section("left-out", "What was left out?", lead, el("p", "Nothing: every stage of this run took place."))
    columns = [Column("Left out"), Column("Why"), Column("Next step")]
    lines = [[entry["what"], entry["why"], entry["next_step"]] for entry in entries]
    return section("left-out", "What was left out?", lead, table("Left out of this run", columns, rows(columns, lines)))


def environment_section(environment: Environment) -> Markup:
    """Versions, device, seed, revision and wall time."""
    seed = environment["seed"]
    facts = {
        "Device": environment["device"],
        "Seed": ", ".join(map(str, seed)) if isinstance(seed, list) else "–" if seed is None else str(seed),
        "Git revision": environment["git_revision"] or "not a git checkout",
        **{clean(name): version for name, version in environment["versions"].items()},
    }
    pairs = [Column("Item"), Column("Value")]
    stages = [Column("Stage"), Column("Wall time", True)]
    times = [[name, duration(value)] for name, value in environment["seconds"].items()]
    total = [["All stages", duration(sum(environment["seconds"].values()))]] if len(times) > 1 else []
    return section(
        "environment",
        "With what was this made?",
        "Enough to run it again.",
        join(table("Software and device", pairs, rows(pairs, list(facts.items())))),
        table("Wall time", stages, rows(stages, times + total)) if times else None,
    )
