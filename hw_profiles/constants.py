"""One figure of a profile: the fields that it must have, and the checks that it must pass."""

from __future__ import annotations

import math
from typing import Any, cast

from hw_profiles.interval import Interval
from hw_profiles.quantities import UNITS, Quantity
from hw_profiles.schema import GRADES, Constant, Kind, ProfileError

SIDES = ("low", "nominal", "high")
PREFIX = 1000.0
HOLDS = ("least_events_per_step", "most_updates_per_event")
TERMS = ("synapse", "neuron", "routing", "memory", "static", "host_io")
_FIELDS = {"value", *SIDES, "unit", "kind", "grade", "condition", "source"}
_FIELDS |= {"reason", "covers", "chips", "inferred", "unusual", "by_tiles", "holds"}


def parse_constants(
    table: dict[str, Any],
    group: str,
    catalogue: dict[str, Quantity],
    origin: str,
    allow_memory: bool,
    faults: list[str],
) -> dict[str, Constant]:
    """The figures of one group of a profile by quantity, in SI units; what is wrong is added to ``faults``."""
    found = {}
    for name, entry in table.get(group, {}).items():
        where = f"profile {origin}: {group}.{name}"
        try:
            if name not in catalogue:
                raise ProfileError(f"{where}: unknown quantity; known: {', '.join(catalogue)}")
            if complete := _complete(entry, where, group, faults):
                found[name] = _constant(name, complete, catalogue[name], where, allow_memory)
        except ProfileError as error:
            faults.append(str(error))
    return found


def _complete(entry: object, where: str, group: str, faults: list[str]) -> dict[str, Any] | None:
    """The fields of a figure, or None with a fault for each that is missing or unknown."""
    if not isinstance(entry, dict):
        raise ProfileError(f"{where}: {entry!r} has no unit, grade or source; write a table with them")
    entry = {"kind": "capacity"} | entry if group == "capacity" else entry
    known = ", ".join(sorted(_FIELDS))
    wrong = [f"{where}: unknown field {key!r}; known: {known}" for key in sorted(set(entry) - _FIELDS)]
    wrong += [
        f"{where}: {key} is missing; a figure without it is refused, add it"
        for key in ("unit", "kind", "grade", "condition", "source")
        if not isinstance(entry.get(key), str) or not entry[key].strip()
    ]
    faults += wrong
    return None if wrong else entry


def _constant(name: str, entry: dict[str, Any], quantity: Quantity, where: str, allow_memory: bool) -> Constant:
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
        by_tiles=_by_tiles(entry, value * (1 / scale), where, scale),
        holds=_holds(entry, where),
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
    own = "unusual" in entry
    least, most = _own_limits(entry["unusual"], where) if own else (quantity.least / scale, quantity.most / scale)
    for side, number in zip(SIDES, value.sides, strict=True):
        if number is None or (number == 0 and side == "low"):
            continue
        figure = number / scale
        if not least <= figure * (1 + 1e-9) or not figure * (1 - 1e-9) <= most:
            limits = f"{least:g} to {most:g} {entry['unit']}" + (" of unusual" if own else "")
            raise ProfileError(
                f"{where}: {side} {figure:g} {entry['unit']} is outside {limits}; "
                "check the unit's prefix, or give unusual = { least, most, reason } around a figure that is right"
            )


def _own_limits(unusual: object, where: str) -> tuple[float, float]:
    """Limits that a figure brings itself, in its own unit; narrower than a prefix, so that a slip still shows."""
    form = f"{where}: unusual {unusual!r}: needs least, most (in the unit of the figure) and a reason; correct it"
    if not isinstance(unusual, dict) or sorted(unusual) != ["least", "most", "reason"]:
        raise ProfileError(form)
    least, most, reason = unusual["least"], unusual["most"], unusual["reason"]
    numbers = all(isinstance(n, int | float) and not isinstance(n, bool) for n in (least, most))
    if not numbers or not 0 < least < most or not isinstance(reason, str) or not reason.strip():
        raise ProfileError(form)
    if most >= PREFIX * least:
        raise ProfileError(f"{where}: unusual spans {most / least:g}, limit below {PREFIX:g}; narrow least and most")
    return float(least), float(most)


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


def _by_tiles(entry: dict[str, Any], value: Interval, where: str, scale: float) -> tuple[tuple[int, float], ...]:
    """Figures by the number of tiles in use, from the fewest; they span the interval that is stated."""
    table = entry.get("by_tiles", [])
    form = f"{where}: by_tiles {table!r:.80}: needs [tiles, figure] pairs, both ascending from low to high; correct it"
    try:
        pairs = [(int(tiles), float(figure)) for tiles, figure in table]
    except (TypeError, ValueError):
        raise ProfileError(form) from None
    if not pairs:
        return ()
    tiles, figures = ([pair[i] for pair in pairs] for i in (0, 1))
    ascending = tiles == sorted(set(tiles)) and figures == sorted(figures) and tiles[0] >= 1
    ends = all(
        side is not None and math.isclose(side, figure)
        for side, figure in ((value.low, figures[0]), (value.high, figures[-1]))
    )
    if len(pairs) < 2 or not ascending or not ends:
        raise ProfileError(form)
    return tuple((number, figure * scale) for number, figure in pairs)


def _holds(entry: dict[str, Any], where: str) -> dict[str, float]:
    """The operating range of an all-in figure, each limit a positive number."""
    holds = entry.get("holds", {})
    if not isinstance(holds, dict) or any(
        name not in HOLDS or isinstance(limit, bool) or not isinstance(limit, int | float) or not limit > 0
        for name, limit in holds.items()
    ):
        raise ProfileError(f"{where}: holds {holds!r:.80}: needs positive numbers of {', '.join(HOLDS)}; correct it")
    return {name: float(limit) for name, limit in holds.items()}
