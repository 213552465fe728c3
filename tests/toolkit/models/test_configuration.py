"""A configuration comes back as it went, and anything else is refused in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.toolkit.models.tiny import float_student, tiny_config
from toolkit.errors import SpikeportError
from toolkit.lowering.fold_norms import to_integer_form
from toolkit.models.configuration import StudentConfig
from toolkit.models.storage import save_student


def test_round_trip() -> None:
    config = tiny_config("sdsa")
    assert StudentConfig.from_dict(config.to_dict()) == config  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"heads": 3}, ["width 16", "heads 3"]),
        ({"steps": 65}, ["steps 65", "64"]),
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
        ({"norm": "rms"}, ["norm", "rms", "layer"]),
        ({"norm": None}, ["norm", "None"]),
        ({"positions": "rotary"}, ["positions", "rotary", "none"]),
        ({"tau": 0.5}, ["tau", "0.5"]),
        ({"tau": "2"}, ["tau", "'2'"]),
        ({"tau": float("nan")}, ["tau", "nan"]),
        ({"tau": float("inf")}, ["tau", "inf"]),
        ({"tau": True}, ["tau", "True"]),
        ({"segments": 3}, ["segments 3", "1 or 2"]),
        ({"segments": 0}, ["segments", "0"]),
        ({"window": 6}, ["window 6", "1 to 5"]),
        ({"window": 0}, ["window", "0"]),
        ({"window": "3"}, ["window", "'3'"]),
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


OLD = {
    "attention": "sdsa", "attention_threshold": 1, "encoder_threshold": 1024, "expansion": 4, "heads": 4, "labels": 2,
    "layers": 2, "steps": 4, "tokens": 32, "vocabulary": 30522, "width": 128,
}  # fmt: skip


def test_a_file_from_before_the_later_fields_means_what_it_meant() -> None:
    config = StudentConfig.from_dict(OLD)  # type: ignore[arg-type]
    assert (config.norm, config.positions, config.tau, config.segments, config.window) == (
        "batch",
        "learned",
        2.0,
        1,
        1,
    )
    assert config.to_dict() == OLD  # and an older version reads what is written now


@pytest.mark.parametrize(
    "change", [{"norm": "layer"}, {"positions": "none"}, {"tau": 4.0}, {"segments": 2}, {"window": 5}]
)
def test_a_later_field_that_changes_the_function_is_written(change: dict[str, Any]) -> None:
    config = StudentConfig.from_dict({**OLD, **change})
    assert config.to_dict() == {**OLD, **change}
    assert StudentConfig.from_dict(config.to_dict()) == config  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "words"),
    [({"norm": "layer"}, ["'layer'", "batch"]), ({"tau": 3.0}, ["tau 3", "tau = 2"]), ({"steps": 5}, ["steps 5", "4"])],
)
def test_what_has_no_integer_form_is_refused(change: dict[str, Any], words: list[str], tmp_path: Path) -> None:
    student = float_student("ssa", **change)
    for begin in (to_integer_form, lambda s: save_student(s, tmp_path / "out")):
        with pytest.raises(SpikeportError) as refused:
            begin(student)
        assert "\n" not in str(refused.value)
        assert all(word in str(refused.value) for word in words)
    assert not (tmp_path / "out").exists()
    assert not student.integers()


def test_what_has_an_integer_form_is_not_refused() -> None:
    assert len(to_integer_form(float_student("ssa", positions="none", segments=2, window=4)).integers()) == 14
