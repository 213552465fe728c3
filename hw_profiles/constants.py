"""One figure of a profile: the fields that it must have, and the checks that it must pass."""

from __future__ import annotations

import math
from typing import Any, cast

from hw_profiles.interval import Interval
from hw_profiles.quantities import UNITS, Quantity
from hw_profiles.schema import GRADES, Constant, Kind, ProfileError

SIDES = ("low", "nominal", "high")
TERMS = ("synapse", "neuron", "routing", "memory", "static", "host_io")
_FIELDS = {"value", *SIDES, "unit", "kind", "grade", "condition", "source"}
_FIELDS |= {"reason", "covers", "chips", "inferred", "unusual"}


def parse_constants(
    table: dict[str, Any], group: str, catalogue: dict[str, Quantity], origin: str, allow_memory: bool
) -> dict[str, Constant]:
    """The figures of one group of a profile by quantity, in SI units. Raises ProfileError."""
    found = {}
    for name, entry in table.get(group, {}).items():
        where = f"profile {origin}: {group}.{name}"
        if name not in catalogue:
            raise ProfileError(f"{where}: unknown quantity; known: {', '.join(catalogue)}")
        found[name] = _constant(name, entry, catalogue[name], where, group, allow_memory)
    return found


def _constant(name: str, entry: object, quantity: Quantity, where: str, group: str, allow_memory: bool) -> Constant:
    if not isinstance(entry, dict):
        raise ProfileError(f"{where}: {entry!r} has no unit, grade or source; write a table with them")
    if unknown := sorted(set(entry) - _FIELDS):
        raise ProfileError(f"{where}: unknown field {unknown[0]!r}; known: {', '.join(sorted(_FIELDS))}")
    entry = {"kind": "capacity", "condition": "per chip"} | entry if group == "capacity" else entry
    for key in ("unit", "kind", "grade", "condition", "source"):
        if not isinstance(entry.get(key), str) or not entry[key].strip():
            raise ProfileError(f"{where}: {key} is missing; a figure without it is refused, add it")
    scale = _scale(entry["unit"], quantity, where)
    _check_evidence(entry, quantity, where, allow_memory)
    value = _interval(entry, where) * scale
    _check_magnitude(value, entry, quantity, scale, where)
    return Constant(
        name=name,
        value=value,
        unit=entry["unit"],
        scale=scale,
        kind=cast(Kind, entry["kind"]),
        grade=entry["grade"],
        condition=entry["condition"],
        source=entry["source"],
        covers=_covers(entry, where),
        chips=_chips(entry, where),
        inferred=entry.get("inferred", False) is True,
    )


def _scale(unit: str, quantity: Quantity, where: str) -> float:
    if unit not in UNITS:
        raise ProfileError(f"{where}: unknown unit {unit!r}; known: {', '.join(UNITS)}")
    dimension, scale = UNITS[unit]
    if dimension != quantity.dimension:
        fitting = ", ".join(u for u, (d, _) in UNITS.items() if d == quantity.dimension)
        raise ProfileError(f"{where}: unit {unit!r} measures {dimension}, not {quantity.dimension}; use {fitting}")
    return scale


def _check_evidence(entry: dict[str, Any], quantity: Quantity, where: str, allow_memory: bool) -> None:
    if entry["kind"] not in quantity.kinds:
        raise ProfileError(f"{where}: kind {entry['kind']!r}, allowed: {', '.join(quantity.kinds)}; correct it")
    if entry["grade"] not in GRADES:
        raise ProfileError(f"{where}: grade {entry['grade']!r}, allowed: {', '.join(GRADES)}; correct it")
    if entry["grade"] == "M" and not allow_memory:
        raise ProfileError(f"{where}: grade M, from memory; find a source, or opt in with allow_memory")


def _interval(entry: dict[str, Any], where: str) -> Interval:
    given = [key for key in ("value", *SIDES) if key in entry]
    if not given or ("value" in given and len(given) > 1):
        raise ProfileError(f"{where}: give either value, or some of low, nominal, high; found {given or 'none'}")
    for key in given:
        number = entry[key]
        if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number) or number < 0:
            raise ProfileError(f"{where}: {key} {number!r} is not a non-negative finite number; correct it")
    sides = [entry.get("value", entry.get(side)) for side in SIDES]
    known = [float(side) for side in sides if side is not None]
    if known != sorted(known):
        raise ProfileError(f"{where}: low, nominal, high are {known}, not in ascending order; correct them")
    reason = entry.get("reason", "")
    if len(known) < len(SIDES) and not (isinstance(reason, str) and reason.strip()):
        raise ProfileError(f"{where}: a side is missing without a reason; say why in reason")
    return Interval.of((None if side is None else float(side) for side in sides), str(reason))


def _check_magnitude(value: Interval, entry: dict[str, Any], quantity: Quantity, scale: float, where: str) -> None:
    if isinstance(entry.get("unusual"), str) and entry["unusual"].strip():
        return
    for side, number in zip(SIDES, value.sides, strict=True):
        if number is None or (number == 0 and side == "low"):
            continue
        if not quantity.least <= number <= quantity.most:
            limits = f"{quantity.least / scale:g} to {quantity.most / scale:g} {entry['unit']}"
            raise ProfileError(
                f"{where}: {side} {number / scale:g} {entry['unit']} is outside {limits}; "
                "check the unit's prefix, or say in unusual why it is right"
            )


def _covers(entry: dict[str, Any], where: str) -> tuple[str, ...]:
    covers = entry.get("covers", [])
    if not isinstance(covers, list) or any(term not in TERMS for term in covers):
        raise ProfileError(f"{where}: covers {covers!r}, allowed: a list of {', '.join(TERMS)}; correct it")
    return tuple(covers)


def _chips(entry: dict[str, Any], where: str) -> int:
    chips = entry.get("chips", 0)
    if isinstance(chips, bool) or not isinstance(chips, int) or chips < 0:
        raise ProfileError(f"{where}: chips {chips!r} is not a whole number from 0; correct it")
    return chips
