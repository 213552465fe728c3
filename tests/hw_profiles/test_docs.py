"""docs/profiles.md names every quantity as the catalogue has it, and its example is a profile."""

from __future__ import annotations

from pathlib import Path

from hw_profiles import parse_profile
from hw_profiles.quantities import CAPACITY, CONSTANTS, COUNTS

TEXT = (Path(__file__).parents[2] / "docs" / "profiles.md").read_text(encoding="utf-8")


def rows(start: str, end: str) -> dict[str, str]:
    """First cell to last cell of the table between two headings."""
    lines = TEXT.split(start)[1].split(end)[0].splitlines() if end else TEXT.split(start)[1].splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| `")]
    return {row[0].strip("`"): row[-1] for row in cells}


def test_the_tables_are_the_catalogue() -> None:
    assert rows("Constants, with", "Capacity:") == {name: q.meaning for name, q in CONSTANTS.items()}
    assert rows("Capacity:", "Counts that") == {name: q.meaning for name, q in CAPACITY.items()}
    assert rows("Counts that", "") == COUNTS


def test_the_example_is_a_profile() -> None:
    example = parse_profile(TEXT.split("```toml")[1].split("```")[0], "docs/profiles.md")
    assert example.constants["synaptic_event"].value.nominal == 12e-12
    assert example.limit("cores") == 64
