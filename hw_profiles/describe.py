"""A profile as a table for people."""

from __future__ import annotations

from typing import Any

from hw_profiles.lacking import lacking
from hw_profiles.schema import Constant, Profile


def describe(profile: Profile) -> str:
    """Title, operating point, model, then one line per figure: sides, unit, kind, grade, condition, source."""
    lines = [
        f"{profile.name}: {profile.title}",
        f"operating point: {profile.operating_point}",
        f"model: {profile.model}; attention: {profile.attention}; synapse format: {profile.synapse_format}",
        profile.note,
        "",
    ]
    for heading, group in (("constants", profile.constants), ("capacity of one chip", profile.capacity)):
        if group:
            lines += [heading, *_table(list(group.values())), ""]
    if profile.unpriced:
        lines.append("no public price")
        lines += [f"  {entry.term} (per {entry.count}): {entry.reason}" for entry in profile.unpriced]
    if lacks := lacking(profile):
        lines += ["", f"no figure for: {', '.join(lacks)}"]
    return "\n".join(lines).rstrip() + "\n"


def as_dict(profile: Profile) -> dict[str, Any]:
    """The same for JSON: figures in the unit of their source and in SI units, what has no price, what lacks."""
    texts = ("name", "title", "model", "operating_point", "note", "attention", "synapse_format", "basis")
    return {
        **{key: getattr(profile, key) for key in texts},
        "constants": {name: _figure(constant) for name, constant in profile.constants.items()},
        "capacity": {name: _figure(constant) for name, constant in profile.capacity.items()},
        "unpriced": [
            {"term": e.term, "count": e.count, "scope": e.scope, "reason": e.reason} for e in profile.unpriced
        ],
        "lacks": lacking(profile),
    }


def _figure(constant: Constant) -> dict[str, Any]:
    keys = ("unit", "kind", "grade", "condition", "source", "chips", "inferred")
    return {
        "text": figure(constant),
        "si": constant.value.to_dict(),
        **{key: getattr(constant, key) for key in keys},
        "covers": list(constant.covers),
    }


def _table(constants: list[Constant]) -> list[str]:
    names = max(len(c.name) for c in constants)
    figures = max(len(figure(c)) for c in constants)
    lines = []
    for c in constants:
        mark = ", inferred" if c.inferred else ""
        lines.append(f"  {c.name:<{names}}  {figure(c):<{figures}}  {c.kind}{mark}, grade {c.grade}: {c.condition}")
        lines.append(f"  {'':<{names}}  source: {c.source}")
        if not c.value.complete:
            lines.append(f"  {'':<{names}}  no other side: {c.value.reason}")
    return lines


def figure(constant: Constant) -> str:
    """The figure in the unit of its source: ``23.6 pJ or more``, ``52 to 81 pJ``, ``4.6 pJ``."""
    low, nominal, high = (None if s is None else f"{s / constant.scale:g}" for s in constant.value.sides)
    if low == high and low is not None:
        text = low
    elif low and high:
        text = f"{low} to {high}" + (f" (nominal {nominal})" if nominal else "")
    elif low:
        text = f"{low} or more" + (f" (nominal {nominal})" if nominal else "")
    elif high:
        text = f"{high} or less" + (f" (nominal {nominal})" if nominal else "")
    else:
        text = f"{nominal} (no bounds)"
    return f"{text} {constant.unit}"
