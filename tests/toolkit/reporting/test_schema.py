"""The record's check: the hand-made report passes, each wrong field is named."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from toolkit.errors import SpikeportError
from toolkit.reporting import validate

Path = tuple[str | int, ...]
# Objects whose keys are data, and fields that a report may do without.
FREE = {"accuracy", "baselines", "examples_by_form", "breakdown", "apart", "versions", "probabilities"}
OPTIONAL = {"examples_by_form", "priced", "apart", "placement", "reason"}


def fields(value: Any, path: Path = ()) -> Iterator[Path]:
    """Every field and list item of a nested record, by path."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*path, key)
        yield from fields(inner, (*path, key))


def at(value: Any, path: Path) -> Any:
    for key in path:
        value = value[key]
    return value


def written(path: Path) -> str:
    return re.sub(r"^\.", "", "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path))


def required(path: Path) -> bool:
    keyed = isinstance(path[-1], str) and path[-1] not in OPTIONAL
    in_free = len(path) > 1 and (path[-2] in FREE or path[:-1] == ("environment", "seconds"))
    return keyed and not in_free


def shorten(report: dict[str, Any]) -> None:
    """One entry of each kind is enough where every field is broken in turn."""
    report["equivalence"], report["energy"] = report["equivalence"][:1], report["energy"][:2]
    report["equivalence"][0]["layers"] = report["equivalence"][0]["layers"][:2]
    report["activity"] = report["activity"][:1]


def test_accepts_the_report_and_its_json(report: dict[str, Any]) -> None:
    validate(report)
    validate(json.loads(json.dumps(report)))


def test_accepts_what_may_be_absent(report: dict[str, Any]) -> None:
    report["watermark"] = None
    del report["task"]["examples_by_form"]
    for name in ("equivalence", "energy", "left_out", "sentences", "activity"):
        report[name] = []
    validate(report)


def test_names_each_missing_field(report: dict[str, Any]) -> None:
    shorten(report)
    text, checked = json.dumps(report), 0
    for path in [path for path in fields(report) if required(path)]:
        broken = json.loads(text)
        del at(broken, path[:-1])[path[-1]]
        with pytest.raises(SpikeportError, match=rf"^report field {re.escape(written(path))}: missing"):
            validate(broken)
        checked += 1
    assert checked > 100


def test_names_each_mistyped_field(report: dict[str, Any]) -> None:
    shorten(report)
    text, wrong = json.dumps(report), object()  # no field of any kind allows such an object
    for path in fields(report):
        broken = json.loads(text)
        at(broken, path[:-1])[path[-1]] = wrong
        outer = written(path[:-1]) if "probabilities" in path[:-1] or path[:-1] == ("environment", "seed") else None
        with pytest.raises(SpikeportError, match=rf"^report field {re.escape(outer or written(path))}: "):
            validate(broken)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("schema",), "spikeport.report/2", "schema: 'spikeport.report/2' is not 'spikeport.report/1'"),
        (("task", "examples"), True, "task.examples: True is not a whole number"),
        (("task", "examples"), 1.5, "task.examples: 1.5 is not a whole number"),
        (("task", "examples"), -1, "task.examples: -1 is not at least 0"),
        (("task", "name"), " ", "task.name: ' ' is not a text that says something"),
        (("task", "largest_class"), 50.9, "task.largest_class: 50.9 is not between 0 and 1"),
        (("task", "accuracy", "lava"), float("nan"), "task.accuracy.lava: nan is not a number"),
        (("energy", 0, "joules", "low"), float("inf"), "energy[0].joules.low: inf is not a number"),
        (("energy", 1, "joules", "low"), 0.5, "energy[1].joules.low: 0.5 is above nominal 0.00011"),
        (("energy", 2, "joules", "high"), 1e-6, "energy[2].joules.low: 9.9e-05 is above high 1e-06"),
        (
            ("equivalence", 0, "spike_mismatches"),
            10**9,
            "equivalence[0].spike_mismatches: 1000000000 of 7340032",
        ),
        (("equivalence", 0, "layers", 2, "mismatches"), 3, "equivalence[0].spike_mismatches: 0 while layer"),
        (("watermark", "backends", 0, "hits"), 201, "watermark.backends[0].hits: 201 of 200 queries"),
        (("watermark", "controls", 0, "key_level", "passes"), 2001, "key_level.passes: 2001 of 2000 keys"),
        (
            ("watermark", "backends", 0, "p_value"),
            None,
            "watermark.backends[0].p_value: None is not a number",
        ),
    ],
)
def test_refuses_values_out_of_range(report: dict[str, Any], path: Path, value: Any, message: str) -> None:
    at(report, path[:-1])[path[-1]] = value
    with pytest.raises(SpikeportError, match=re.escape(message)) as caught:
        validate(report)
    assert "\n" not in str(caught.value)
    assert "write the report again" in str(caught.value)


@pytest.mark.parametrize("value", [None, [], "report", 3])
def test_refuses_what_is_no_record(value: Any) -> None:
    with pytest.raises(SpikeportError, match="whole report"):
        validate(value)


def test_names_the_first_wrong_field_in_the_order_of_the_format(report: dict[str, Any]) -> None:
    report["environment"]["device"] = 3
    report["task"]["split"] = 3
    with pytest.raises(SpikeportError, match=r"task\.split"):
        validate(report)
