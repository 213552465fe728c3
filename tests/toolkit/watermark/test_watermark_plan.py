"""The test plan: round trip, digest, refusals."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from toolkit.errors import SpikeportError
from toolkit.watermark.plan import TestPlan

PLAN = TestPlan(queries=200, labels=2, clean_models=("clean 1", "clean 2"))


def test_round_trip_keeps_the_digest(tmp_path: Path) -> None:
    PLAN.save(tmp_path / "plan.json")
    loaded = TestPlan.load(tmp_path / "plan.json")
    assert loaded == PLAN
    assert loaded.sha256 == PLAN.sha256


def test_every_field_is_in_the_digest() -> None:
    changes = {
        "queries": 201,
        "labels": 3,
        "alpha": 1e-5,
        "kind": "combination",
        "triggers": 3,
        "null_keys": 101,
        "key_rate_limit": 0.06,
        "null_seed": "another",
        "unknown_head": True,
        "carriers_sha256": "ab" * 32,
        "clean_models": ("clean 1",),
        "null_sha256": "cd" * 32,
    }
    base = PLAN.to_dict()
    base.pop("format")
    assert changes.keys() == base.keys()
    base["clean_models"] = tuple(base["clean_models"])
    digests = {TestPlan(**{**base, name: value}).sha256 for name, value in changes.items()}
    assert len(digests | {PLAN.sha256}) == len(changes) + 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"queries": 0}, "queries is 0"),
        ({"queries": 1.5}, "queries is 1.5"),
        ({"labels": 1}, "labels is 1"),
        ({"labels": True}, "labels is True"),
        ({"alpha": 0.0}, "alpha is 0.0"),
        ({"alpha": float("nan")}, "alpha is nan"),
        ({"key_rate_limit": 1}, "key_rate_limit is 1"),
        ({"null_keys": 58}, "58 null keys bound the key-level rate at 0.0503 at best"),
        ({"null_seed": 3}, "null_seed"),
        ({"unknown_head": 1}, "unknown_head"),
        ({"clean_models": "one"}, "clean_models"),
    ],
)
def test_values_out_of_range(change: dict[str, object], message: str) -> None:
    with pytest.raises(SpikeportError, match=message):
        TestPlan(**{"queries": 100, "labels": 2, **change})  # type: ignore[arg-type]


def test_59_null_keys_suffice_for_the_default_limit() -> None:
    assert TestPlan(queries=100, labels=2, null_keys=59).null_keys == 59


def test_load_refuses_other_fields_and_formats(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    for change, message in (
        ({"queries": None}, "queries is None"),
        ({"extra": 1}, "missing or unknown: extra"),
        ({"format": "spikeport.test-plan/9"}, "reads spikeport.test-plan/9"),
        ({"clean_models": 5}, "clean_models"),
    ):
        path.write_text(json.dumps({**PLAN.to_dict(), **change}))
        with pytest.raises(SpikeportError, match=message):
            TestPlan.load(path)
    with pytest.raises(SpikeportError, match="cannot be written"):
        PLAN.save(tmp_path)
