"""What is not in the figures, in as few lines as say it all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from toolkit.reporting.schema import Energy
from toolkit.reporting.summary import GROUP_TITLES, Group, advice_of, group_of
from toolkit.reporting.units import clean, label, si

WORDS: dict[Group, str] = {
    "marginal": "all chips with per-operation prices",
    "all_in": "all chips with an all-in figure",
    "device": "all devices",
    "literature": "all conventions",
}


def misfits(energy: Sequence[Energy]) -> Iterator[str]:
    """What would fit, of profiles that hold the network not; those that say the same together."""
    found: dict[str, list[str]] = {}
    for entry in energy:
        if entry["fits"] is False and (advice := advice_of(entry)):
            found.setdefault(advice, []).append(clean(entry["profile"]))
    for advice, names in found.items():
        yield f"{', '.join(names)}: {advice}"


def missing_terms(energy: Sequence[Energy]) -> dict[tuple[str, str], list[str]]:
    """(term with how often per inference, reason) and whose figures lack it: profiles, or a whole group."""
    found: dict[tuple[str, str], list[tuple[Energy, float | None]]] = {}
    for entry in energy:
        for term in entry["unpriced"]:
            found.setdefault((label(term["term"]), clean(term["reason"])), []).append((entry, term["count"]))
    return {
        (name + _times([count for _, count in lacking if count is not None]), reason): _whose(
            [entry for entry, _ in lacking], energy
        )
        for (name, reason), lacking in found.items()
    }


def gaps(energy: Sequence[Energy]) -> Iterator[str]:
    """Terms without a price in sentences."""
    for (term, reason), names in missing_terms(energy).items():
        yield f"Not in the figures of {', '.join(names)}: {term}, {reason}"


def _times(counts: Sequence[float]) -> str:
    if not counts:
        return ""
    low, high = si(min(counts)), si(max(counts))
    return f" (× {low})" if low == high else f" (× {low} to {high})"


def _whose(lacking: Sequence[Energy], energy: Sequence[Energy]) -> list[str]:
    """Names of profiles; of a group of three or more that lacks it as a whole, its title."""
    size = Counter(group_of(entry) for entry in _first_rows(energy))
    names: list[str] = []
    for group in GROUP_TITLES:
        own = [_device(entry) for entry in _first_rows(lacking) if group_of(entry) == group]
        names += [WORDS[group]] if len(own) == size[group] > 2 else own
    return names


def _first_rows(energy: Sequence[Energy]) -> list[Energy]:
    """One row of each profile."""
    return list({_device(entry): entry for entry in energy}.values())


def _device(entry: Energy) -> str:
    return clean(entry["profile"]).partition(": ")[0]
