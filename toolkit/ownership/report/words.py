"""Verdicts in words that need no statistics."""

from __future__ import annotations

from collections.abc import Sequence
from math import floor, log10
from typing import Any

from toolkit.reporting.units import count, percent

NAMES = {"words": "rare words, each alone", "combination": "common words, only together"}


def chance(p: float) -> str:
    """A probability as one chance in so many, rounded so as not to overstate: ``less than one in 2 million``."""
    if p >= 0.01:
        return percent(p)
    power = floor(log10(1 / p) + 1e-12)
    for size, name in ((18, "a million million million"), (12, "a million million"), (9, "a thousand million")):
        if power >= size:
            return f"less than one in {name}" if p < 10.0**-size else f"one in {name}"
    if power >= 6:
        millions = floor(1 / p / 1e6)
        return f"less than one in {millions} million" if millions > 1 else "less than one in a million"
    return f"less than one in {count(floor(1 / p))}"


def finding(entries: Sequence[dict[str, Any]], *, differing: bool = False) -> tuple[str, str]:
    """Status and sentence over all backends and kinds of triggers.

    Args:
        differing: backends of one model gave different answers to some query.
    """
    if differing:
        return (
            "fails",
            "Copies that should be one model gave different answers: find out why before claiming anything.",
        )
    proven = [entry for entry in entries if entry["verdict"].startswith("proven")]
    demo = any(entry["demo"] for entry in entries)
    if demo:
        return "caution", "The published demonstration key was used: whatever it finds proves nothing about anybody."
    if len(proven) == len(entries):
        worst = max(entry["p_value"] for entry in entries)
        return "holds", (
            "The tested copy carries the mark of this key. A model that nobody marked would answer in this way with a "
            f"probability of {chance(worst)} at the most, as far as the unmarked models tell that it was held against."
        )
    if proven:
        return "caution", f"The mark was found in {len(proven)} of {len(entries)} tests, not in all: see below."
    gaps = sorted({entry["certificate_gap"] for entry in entries if entry["significant"] and entry["certificate_gap"]})
    if gaps:
        return "fails", f"The answers fit the key, and nothing is proven all the same: {'; '.join(gaps)}."
    return "fails", "Not proven: the answers do not tell this model from one that nobody marked."


def claims(entries: Sequence[dict[str, Any]]) -> list[str]:
    """What the finding says and what it does not say."""
    told = [
        "The test asks for answers only. It needs neither the weights nor the cooperation of whoever runs the copy.",
        "It says that the copy answers as the key demands. It does not say who made the copy, or when.",
        "It says nothing about models unlike the unmarked ones that it was held against.",
    ]
    models = sorted({entry["model"] for entry in entries})
    if "committed" in models:
        told.append("The tested file is, bit for bit, the one that was committed before release.")
    if any(model.startswith("another") for model in models):
        told.append("The tested file is another than the committed one: that it derives from it follows from answers.")
    if any(model.startswith("unknown") for model in models):
        told.append("A tested program is a black box: that it derives from the model follows from its answers alone.")
    if "none committed" in models:
        told.append("No certificate was shown: a key or a plan chosen after the fact cannot be ruled out.")
    return told
