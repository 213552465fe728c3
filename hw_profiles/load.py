"""Read a chip profile from TOML and refuse figures without unit, grade or source."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

from hw_profiles.constants import parse_constants
from hw_profiles.discover import SHIPPED, find_profile
from hw_profiles.quantities import CAPACITY, CONSTANTS, COUNTS
from hw_profiles.schema import Model, Profile, ProfileError, Unpriced

SCHEMA = 1
_TEXTS = ("name", "title", "model", "operating_point", "note", "attention", "synapse_format")
_TOP = {"schema", *_TEXTS, "constants", "capacity", "unpriced"}
_CHOICES = {
    "model": ("spiking", "gpu", "cpu", "literature"),
    "attention": ("none", "gates", "product_neurons", "dense"),
    "synapse_format": ("sparse", "dense"),
}


def load_profile(name_or_path: str | Path, *, allow_memory: bool = False) -> Profile:
    """A profile by name, or by the path of a TOML file.

    Args:
        name_or_path: one of ``list_profiles()``, or a file.
        allow_memory: accept grade M (no source found); estimates then carry that grade.

    Raises:
        ProfileError: no such profile, not TOML, or a figure that the schema does not admit.
    """
    path = Path(name_or_path)
    if path.suffix == ".toml":
        return _parsed(read_profile(path), str(path), allow_memory)
    path = find_profile(str(name_or_path))
    profile = _parsed(read_profile(path), str(name_or_path), allow_memory)
    if profile.name != path.stem:
        raise ProfileError(f"profile {path}: its name is {profile.name!r}, its file's {path.stem!r}; make them equal")
    return profile


@lru_cache(maxsize=128)
def _parsed(text: str, origin: str, allow_memory: bool) -> Profile:
    """Parsed once a process: a profile is priced often, and TOML is slow to read."""
    return parse_profile(text, origin, allow_memory=allow_memory)


def check_file(path: Path, *, allow_memory: bool = False) -> tuple[Profile | None, list[str]]:
    """A user's file with all its faults, among them the name of a shipped profile."""
    try:
        text = read_profile(path)
    except ProfileError as error:
        return None, [str(error)]
    profile, faults = check_text(text, str(path), allow_memory=allow_memory)
    if profile and path.resolve().parent != SHIPPED.resolve() and (SHIPPED / f"{profile.name}.toml").exists():
        faults = [f"profile {path}: name {profile.name!r} is that of a shipped profile; choose another"]
    return (None if faults else profile), faults


def parse_profile(text: str, origin: str, *, allow_memory: bool = False) -> Profile:
    """A profile from the text of its TOML; ``origin`` names it in errors. Raises ProfileError at the first fault."""
    profile, faults = check_text(text, origin, allow_memory=allow_memory)
    if profile is None:
        raise ProfileError(faults[0])
    return profile


def check_text(text: str, origin: str, *, allow_memory: bool = False) -> tuple[Profile | None, list[str]]:
    """A profile from the text of its TOML, or None with every fault, one line each."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        return None, [f"profile {origin}: not TOML ({error}); correct the file"]
    faults = list(_top_faults(table, origin))
    constants, capacity = (
        parse_constants(_table(table, group), group, catalogue, origin, allow_memory, faults)
        for group, catalogue in (("constants", CONSTANTS), ("capacity", CAPACITY))
    )
    unpriced = table.get("unpriced", [])
    entries = [_unpriced(e, origin, faults) for e in unpriced] if isinstance(unpriced, list) else []
    if {c.kind for c in constants.values()} >= {"marginal", "all_in"}:
        faults.append(f"profile {origin}: holds marginal and all_in figures, which never add up; split it in two")
    if faults:
        return None, faults
    texts = {key: table[key] for key in _TEXTS if key != "model"}
    model = cast(Model, table["model"])
    unpriced_terms = tuple(entry for entry in entries if entry)
    return Profile(model=model, **texts, constants=constants, capacity=capacity, unpriced=unpriced_terms), []


def read_profile(path: Path) -> str:
    """The text of a profile's file. Raises ProfileError."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ProfileError(f"profile {path}: cannot be read ({type(error).__name__}); check the path") from None


def _table(table: dict[str, Any], group: str) -> dict[str, Any]:
    return {group: table[group]} if isinstance(table.get(group), dict) else {}


def _top_faults(table: dict[str, Any], origin: str) -> Iterator[str]:
    if table.get("schema") != SCHEMA:
        yield f"profile {origin}: schema {table.get('schema')!r}, this reader knows {SCHEMA}; update it"
    for key in sorted(set(table) - _TOP):
        yield f"profile {origin}: unknown key {key!r}; known: {', '.join(sorted(_TOP))}"
    for key in _TEXTS:
        if not isinstance(table.get(key), str) or not table[key].strip():
            yield f"profile {origin}: {key} is missing or not a text; add it"
        elif table[key] not in _CHOICES.get(key, (table[key],)):
            yield f"profile {origin}: {key} {table[key]!r} is not one of {', '.join(_CHOICES[key])}; choose one"
    for key, form in (("constants", dict), ("capacity", dict), ("unpriced", list)):
        if not isinstance(table.get(key, form()), form):
            shape = "table" if form is dict else "list of tables"
            yield f"profile {origin}: {key} is not a {shape}; correct the file"


def _unpriced(entry: object, origin: str, faults: list[str]) -> Unpriced | None:
    keys = ("term", "count", "scope", "reason")
    texts = isinstance(entry, dict) and all(isinstance(v, str) and v.strip() for v in entry.values())
    if not isinstance(entry, dict) or not texts or sorted(entry) != sorted(keys):
        faults.append(f"profile {origin}: unpriced entry {entry!r}: needs the texts {', '.join(keys)}; correct it")
        return None
    if entry["count"] not in COUNTS or entry["scope"] not in ("core", "outside"):
        faults.append(
            f"profile {origin}: unpriced {entry['term']!r}: count must be one of {', '.join(COUNTS)}, "
            "scope core or outside; correct it"
        )
        return None
    return Unpriced(**entry)
