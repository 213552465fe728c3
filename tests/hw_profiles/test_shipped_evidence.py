"""Every figure of every shipped profile: a slipped prefix or missing evidence makes the check fail."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from hw_profiles import list_profiles
from hw_profiles.constants import parse_constants
from hw_profiles.discover import SHIPPED, find_profile
from hw_profiles.quantities import CAPACITY, CONSTANTS

SIDES = ("value", "low", "nominal", "high")
NAMES = [path.stem for path in sorted(SHIPPED.glob("*.toml"))]


def figures(name: str, group: str) -> dict[str, dict[str, Any]]:
    return tomllib.loads(find_profile(name).read_text(encoding="utf-8")).get(group, {})


def faults(group: str, quantity: str, entry: dict[str, Any]) -> list[str]:
    found: list[str] = []
    catalogue = CONSTANTS if group == "constants" else CAPACITY
    parse_constants({group: {quantity: entry}}, group, catalogue, "x", False, found)
    return found


def test_all_shipped_profiles_are_tried() -> None:
    assert len(NAMES) >= 20 and set(NAMES) <= set(list_profiles())


@pytest.mark.parametrize("name", NAMES)
def test_every_constant_off_by_a_thousand_is_refused(name: str) -> None:
    for quantity, entry in figures(name, "constants").items():
        assert faults("constants", quantity, entry) == []
        for side in set(SIDES) & set(entry):
            for factor in (1000, 0.001):
                # All sides slip together, as they do when the unit is mistyped.
                slipped = entry | {key: entry[key] * factor for key in set(SIDES) & set(entry)}
                if entry[side] != 0:
                    assert any("outside" in text for text in faults("constants", quantity, slipped)), (quantity, factor)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("group", ["constants", "capacity"])
def test_every_figure_without_a_piece_of_evidence_is_refused(name: str, group: str) -> None:
    for quantity, entry in figures(name, group).items():
        needed = ("unit", "grade", "condition", "source") + (("kind",) if group == "constants" else ())
        for field in needed:
            bare = {key: text for key, text in entry.items() if key != field}
            assert faults(group, quantity, bare) == [
                f"profile x: {group}.{quantity}: {field} is missing; a figure without it is refused, add it"
            ]


@pytest.mark.parametrize("name", NAMES)
def test_no_shipped_figure_is_from_memory(name: str) -> None:
    entries = [*figures(name, "constants").values(), *figures(name, "capacity").values()]
    assert "M" not in {entry["grade"] for entry in entries}


def test_no_plausible_range_is_as_wide_as_a_prefix() -> None:
    assert {name for name, q in CONSTANTS.items() if q.most / q.least >= 1000} == set()
