"""Verdicts as text and as the page of the documentation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from simulators.validation.case import shipped_cases
from simulators.validation.judge import OUTSIDE, Verdict

HEAD = ("case", "profile", "measured", "estimate low, nominal, high", "high/low", "verdict", "detail")
INTRO = """# Energy model against measurements

Written by `python -m simulators.validation`; do not edit. Each measured figure is compared with the like part of the
estimate: run minus idle with the dynamic terms, run with the total. A one-sided estimate can only be consistent with
a measurement, or contradict it. A case that supplied a constant of a profile is shown and does not count for it.
"""


def text_table(verdicts: Sequence[Verdict]) -> str:
    """One line a verdict, and the sums."""
    lines = [" | ".join(_row(verdict)) for verdict in verdicts]
    return "\n".join([" | ".join(HEAD), *lines, "", summary(verdicts)])


def summary(verdicts: Sequence[Verdict]) -> str:
    """How many of each verdict."""
    words = Counter(verdict.verdict.partition(":")[0] for verdict in verdicts)
    counted = sum(verdict.counts for verdict in verdicts)
    return f"{', '.join(f'{count} {word}' for word, count in words.items())}; {counted} count for a profile."


def page(verdicts: Sequence[Verdict]) -> str:
    """Markdown."""
    rule = "|".join("---" for _ in HEAD)
    rows = [f"| {' | '.join(_row(verdict))} |" for verdict in verdicts]
    table = [f"| {' | '.join(HEAD)} |", f"|{rule}|", *rows]
    return "\n".join([INTRO, summary(verdicts), "", *_misses(verdicts), *table, "", _cases()])


def _misses(verdicts: Sequence[Verdict]) -> list[str]:
    """What the estimates miss, first and with what the case says about it."""
    missed = [verdict for verdict in verdicts if verdict.verdict == OUTSIDE]
    notes = {case.name: case.note for case in shipped_cases()}
    lines = []
    for case in dict.fromkeys(verdict.case for verdict in missed):
        for verdict in (verdict for verdict in missed if verdict.case == case):
            what, profile, measured, sides, *_ = _row(verdict)
            lines.append(f"- **{what}** on {profile}: measured {measured}, estimated {sides}")
        lines += ["", notes.get(case) or "No reason is known.", ""]
    return ["## Outside the estimate", "", *lines, "## All figures", ""] if missed else []


def _cases() -> str:
    lines = ["## The cases", ""]
    for case in shipped_cases():
        lacks = f" Missing: {', '.join(case.missing)}." if case.missing else ""
        note = f" {case.note}" if case.note else ""
        why = f" No network: {case.no_network}." if case.no_network else f" Network: {case.network}."
        lines.append(
            f"- **{case.title}** ({case.chip}; {case.condition}). Holds: {case.holds}.{why}{lacks}{note} "
            f"Source, grade {case.grade}: {case.source}."
        )
    return "\n".join(lines) + "\n"


def _row(verdict: Verdict) -> list[str]:
    low, high = verdict.measured
    shown = f"{low:.4g}" if low == high else f"{low:.4g} to {high:.4g}"
    sides = ", ".join("-" if side is None else f"{side:.4g}" for side in verdict.estimate)
    ratio = "-" if verdict.ratio is None else f"{verdict.ratio:.3g}"
    measured = f"{shown} {verdict.unit} ({verdict.kind})"
    return [f"{verdict.title}: {verdict.what}", verdict.profile or "-", measured, sides, ratio, verdict.verdict,
            verdict.detail or "-"]  # fmt: skip
