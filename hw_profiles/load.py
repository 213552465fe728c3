"""Read a chip profile from TOML and refuse figures without unit, grade or source."""

from __future__ import annotations

import tomllib
from importlib import resources
from pathlib import Path
from typing import Any, cast

from hw_profiles.constants import parse_constants
from hw_profiles.quantities import CAPACITY, CONSTANTS, COUNTS
from hw_profiles.schema import Model, Profile, ProfileError, Unpriced

SCHEMA = 1
_TOP = {"schema", "name", "title", "model", "operating_point", "note", "attention", "synapse_format"}
_TOP |= {"constants", "capacity", "unpriced"}
_CHOICES = {
    "model": ("spiking", "gpu", "literature"),
    "attention": ("none", "gates", "product_neurons", "dense"),
    "synapse_format": ("sparse", "dense"),
}


def list_profiles() -> list[str]:
    """Names of the profiles that come with the package."""
    folder = resources.files("hw_profiles.chips")
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


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
        return parse_profile(_read(path), str(path), allow_memory=allow_memory)
    if str(name_or_path) not in list_profiles():
        known = ", ".join(list_profiles())
        raise ProfileError(f"profile {str(name_or_path)!r}: not found; known: {known}; or give a .toml file")
    text = (resources.files("hw_profiles.chips") / f"{name_or_path}.toml").read_text(encoding="utf-8")
    return parse_profile(text, str(name_or_path), allow_memory=allow_memory)


def parse_profile(text: str, origin: str, *, allow_memory: bool = False) -> Profile:
    """A profile from the text of its TOML; ``origin`` names it in errors. Raises ProfileError."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ProfileError(f"profile {origin}: not TOML ({error}); correct the file") from None
    _check_top(table, origin)
    constants = parse_constants(table, "constants", CONSTANTS, origin, allow_memory)
    if {c.kind for c in constants.values()} >= {"marginal", "all_in"}:
        raise ProfileError(f"profile {origin}: holds marginal and all_in figures, which never add up; split it in two")
    return Profile(
        name=table["name"],
        title=table["title"],
        model=cast(Model, table["model"]),
        operating_point=table["operating_point"],
        note=table["note"],
        attention=table["attention"],
        synapse_format=table["synapse_format"],
        constants=constants,
        capacity=parse_constants(table, "capacity", CAPACITY, origin, allow_memory),
        unpriced=tuple(_unpriced(entry, origin) for entry in table.get("unpriced", [])),
    )


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ProfileError(f"profile {path}: cannot be read ({type(error).__name__}); check the path") from None


def _check_top(table: dict[str, Any], origin: str) -> None:
    if table.get("schema") != SCHEMA:
        raise ProfileError(f"profile {origin}: schema {table.get('schema')!r}, this reader knows {SCHEMA}; update it")
    if unknown := sorted(set(table) - _TOP):
        raise ProfileError(f"profile {origin}: unknown key {unknown[0]!r}; known: {', '.join(sorted(_TOP))}")
    for key in sorted(_TOP - {"schema", "constants", "capacity", "unpriced"}):
        if not isinstance(table.get(key), str) or not table[key].strip():
            raise ProfileError(f"profile {origin}: {key} is missing or not a text; add it")
    for key, choices in _CHOICES.items():
        if table[key] not in choices:
            raise ProfileError(f"profile {origin}: {key} {table[key]!r} is not one of {', '.join(choices)}; choose one")
    for key, form in (("constants", dict), ("capacity", dict), ("unpriced", list)):
        if not isinstance(table.get(key, form()), form):
            shape = "table" if form is dict else "list of tables"
            raise ProfileError(f"profile {origin}: {key} is not a {shape}; correct the file")


def _unpriced(entry: object, origin: str) -> Unpriced:
    keys = ("term", "count", "scope", "reason")
    if (
        not isinstance(entry, dict)
        or sorted(entry) != sorted(keys)
        or not all(isinstance(v, str) for v in entry.values())
    ):
        raise ProfileError(f"profile {origin}: unpriced entry {entry!r}: needs the texts {', '.join(keys)}; correct it")
    if entry["count"] not in COUNTS or entry["scope"] not in ("core", "outside"):
        raise ProfileError(
            f"profile {origin}: unpriced {entry['term']!r}: count must be one of {', '.join(COUNTS)}, "
            "scope core or outside; correct it"
        )
    return Unpriced(**entry)
