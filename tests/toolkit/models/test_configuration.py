"""A configuration comes back as it went, and anything else is refused in one line."""

from __future__ import annotations

from typing import Any

import pytest

from tests.toolkit.models.tiny import tiny_config
from toolkit.errors import SpikeportError
from toolkit.models.configuration import StudentConfig


def test_round_trip() -> None:
    config = tiny_config("sdsa")
    assert StudentConfig.from_dict(config.to_dict()) == config  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"heads": 3}, ["width 16", "heads 3"]),
        ({"steps": 5}, ["steps 5", "4"]),
        ({"steps": 0}, ["steps", "0"]),
        ({"attention": "softmax"}, ["softmax", "ssa"]),
        ({"width": "16"}, ["width", "'16'"]),
        ({"width": 16.0}, ["width", "16.0"]),
        ({"labels": True}, ["labels", "True"]),
        ({"heads": 0}, ["heads", "0"]),
        ({"tokens": -8}, ["tokens", "-8"]),
        ({"layers": None}, ["layers", "None"]),
        ({"attention_threshold": 0}, ["attention_threshold", "0"]),
        ({"encoder_threshold": 0}, ["encoder_threshold", "0"]),
        ({"encoder_threshold": 10**6}, ["encoder_threshold", "1000000"]),
        ({"depth": 3}, ["depth"]),
    ],
)
def test_a_bad_value_is_refused_by_name(change: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(SpikeportError) as refused:
        StudentConfig.from_dict({**tiny_config("ssa").to_dict(), **change})
    assert "\n" not in str(refused.value)
    assert all(word in str(refused.value) for word in words)


def test_a_missing_field_is_refused_by_name() -> None:
    values = tiny_config("ssa").to_dict()
    del values["expansion"]
    with pytest.raises(SpikeportError, match="expansion"):
        StudentConfig.from_dict(values)  # type: ignore[arg-type]
