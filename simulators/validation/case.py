"""Measured cases, one TOML a case, read as strictly as profiles: no unit, grade or source, no case."""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass
from importlib import resources
from typing import Any

from hw_profiles import Interval
from hw_profiles.quantities import UNITS
from hw_profiles.schema import GRADES
from simulators.layers import EstimateError

TEXTS = ("title", "chip", "source", "grade", "condition", "holds")
TOP = {*TEXTS, "schema", "profiles", "holds_more", "missing", "network", "no_network", "note", "supplied", "measured"}
ITEM = {"what", "kind", "unit", "value", "low", "high", "within", "charges", "supplied", "profile", "holds_more"}
KINDS = (
    "dynamic", "total", "active", "neurocores", "power", "dynamic_power", "static_power", "time", "cores", "ratio",
    "arithmetic",
)  # fmt: skip


@dataclass(frozen=True)
class Measured:
    """One figure of a case, SI units.

    Attributes:
        low, high: equal for one value.
        unit, scale: as printed.
        within: share by which an estimate without a width may differ.
        charges: constants of the profile and how often each is met, where the counts are published as such.
        supplied: what of the profile came from this figure; empty if nothing did.
        profile: the only profile that it is compared with; empty for all of the case.
        holds_more: whether it holds more than what is estimated for it; the case's word where it has none of its own.
    """

    what: str
    kind: str
    low: float
    high: float
    unit: str
    scale: float
    within: float = 0.0
    charges: tuple[tuple[str, float], ...] = ()
    supplied: str = ""
    profile: str = ""
    holds_more: bool = False


@dataclass(frozen=True)
class Case:
    """A measured run; ``holds_more`` if the figure holds what no estimate does (host, x86, I/O)."""

    name: str
    title: str
    chip: str
    source: str
    grade: str
    condition: str
    holds: str
    profiles: tuple[str, ...]
    holds_more: bool
    missing: tuple[str, ...]
    network: str
    no_network: str
    note: str
    supplied: dict[str, str]
    measured: tuple[Measured, ...]


def shipped_cases() -> list[Case]:
    """All cases that come with the package, by name."""
    folder = resources.files("simulators.validation.cases")
    files = sorted((entry for entry in folder.iterdir() if entry.name.endswith(".toml")), key=lambda entry: entry.name)
    return [parse_case(entry.read_text(encoding="utf-8"), entry.name.removesuffix(".toml")) for entry in files]


def parse_case(text: str, name: str) -> Case:
    """A case from its TOML. Raises EstimateError."""
    where = f"case {name}"
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise EstimateError(f"{where}: not TOML ({error}); correct the file") from None
    _check(table, where)
    return Case(
        name=name,
        **{key: table[key] for key in TEXTS},
        profiles=tuple(table["profiles"]),
        holds_more=table.get("holds_more", False) is True,
        missing=tuple(table.get("missing", [])),
        network=table.get("network", ""),
        no_network=table.get("no_network", ""),
        note=table.get("note", ""),
        supplied=dict(table.get("supplied", {})),
        measured=tuple(_measured(entry, where, table.get("holds_more", False)) for entry in table["measured"]),
    )


def _check(table: dict[str, Any], where: str) -> None:
    if table.get("schema") != 1:
        raise EstimateError(f"{where}: schema {table.get('schema')!r}, this reader knows 1; correct it")
    if unknown := sorted(set(table) - TOP):
        raise EstimateError(f"{where}: unknown key {unknown[0]!r}; known: {', '.join(sorted(TOP))}")
    for key in TEXTS:
        if not isinstance(table.get(key), str) or not table[key].strip():
            raise EstimateError(f"{where}: {key} is missing; a case without it is refused, add it")
    if table["grade"] not in GRADES or table["grade"] == "M":
        raise EstimateError(f"{where}: grade {table['grade']!r}, allowed: P, Q, S, C; find a source")
    if bool(table.get("network")) == bool(table.get("no_network")):
        raise EstimateError(f"{where}: give either network or no_network with the reason")
    if not isinstance(table.get("profiles"), list) or not isinstance(table.get("measured"), list):
        raise EstimateError(f"{where}: profiles and [[measured]] must be lists; add them")
    if not table["measured"]:
        raise EstimateError(f"{where}: measured is empty; add a figure")


def _number(side: object, what: str) -> float:
    if isinstance(side, bool) or not isinstance(side, int | float) or not math.isfinite(side) or side < 0:
        raise EstimateError(f"{what}: {side!r} is not a non-negative number; give value, or low and high")
    return float(side)


def _measured(entry: dict[str, Any], where: str, holds_more: bool) -> Measured:
    what = f"{where}: {entry.get('what', 'a measured figure')}"
    if unknown := sorted(set(entry) - ITEM):
        raise EstimateError(f"{what}: unknown key {unknown[0]!r}; known: {', '.join(sorted(ITEM))}")
    if not isinstance(entry.get("what"), str) or entry.get("kind") not in KINDS:
        raise EstimateError(f"{what}: kind {entry.get('kind')!r}, allowed: {', '.join(KINDS)}; correct it")
    if entry.get("unit") not in UNITS:
        raise EstimateError(f"{what}: unit {entry.get('unit')!r} is missing or unknown; known: {', '.join(UNITS)}")
    low, high = (_number(entry.get(side, entry.get("value")), what) for side in ("low", "high"))
    if low > high:
        raise EstimateError(f"{what}: low {low} exceeds high {high}; swap them")
    scale = UNITS[entry["unit"]][1]
    return Measured(
        what=entry["what"],
        kind=entry["kind"],
        low=low * scale,
        high=high * scale,
        unit=entry["unit"],
        scale=scale,
        within=float(entry.get("within", 0.0)),
        charges=tuple((name, float(count)) for name, count in entry.get("charges", {}).items()),
        supplied=entry.get("supplied", ""),
        profile=entry.get("profile", ""),
        holds_more=entry.get("holds_more", holds_more) is True,
    )


def widened(estimate: Interval, within: float) -> Interval:
    """An estimate moved out by a share of itself."""
    low, nominal, high = estimate.sides
    return Interval(
        None if low is None else low * (1 - within),
        nominal,
        None if high is None else high * (1 + within),
        estimate.reason,
    )
