"""The attack verb: a curve in words and as JSON; what it refuses, it refuses before anything is written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.toolkit.attacks.test_edits import student
from tests.toolkit.conftest import Command
from toolkit.models.storage import student_hash
from toolkit.students import MARKED

SENTENCES = Path(__file__).resolve().parents[3] / "toolkit/data/sentences.tsv"


@pytest.fixture
def options(tmp_path: Path) -> tuple[object, ...]:
    folders = [student(tmp_path / f"clean{i}", seed=i, width=16, tokens=32, blocks=1) for i in (1, 2)]
    clean = [item for folder in folders for item in ("--clean", folder)]
    return ("--student", MARKED, *clean, "--carriers", SENTENCES, "--queries", 8, "--kind", "words")


def test_a_curve_is_printed_and_written(command: Command, options: tuple[object, ...], tmp_path: Path) -> None:
    out = tmp_path / "curve.json"
    ended = command(
        "watermark", "attack", "requantise", *options, "--strength", 8, "--strength", 2, "--out", out, "--json"
    )
    assert ended.status == 0, ended.err
    record = json.loads(out.read_text())
    assert record == json.loads(ended.out)
    assert record["model_sha256"] == student_hash(MARKED) and record["attack"] == "requantise"
    eight, two = record["points"]
    assert (eight["strength"], two["strength"]) == (8.0, 2.0)
    assert abs(eight["accuracy"] - eight["accuracy_before"]) <= 0.02 and two["accuracy"] < two["accuracy_before"]
    assert "bits of a weight" in ended.err and "words" in ended.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("prayer",), "unknown; choose one of"),
        (("finetune",), "needs --task"),
        (("overwrite",), "needs --texts"),
        (("requantise", "--strength", "2.5"), "2.5 bits"),
        (("fewer-steps", "--strength", "9"), "9 steps"),
        (("prune", "--combination", "3", "--kind", "magic"), "unknown"),
    ],
)
def test_bad_input_is_one_line(
    command: Command, options: tuple[object, ...], tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    out = tmp_path / "curve.json"
    ended = command("watermark", "attack", *arguments, *options, "--out", out)
    assert ended.status == 2 and words in ended.error and not out.exists()


def test_a_curve_is_never_overwritten(command: Command, options: tuple[object, ...], tmp_path: Path) -> None:
    out = tmp_path / "curve.json"
    out.write_text("kept")
    ended = command("watermark", "attack", "prune", *options, "--out", out)
    assert ended.status == 2 and "exists" in ended.error and out.read_text() == "kept"


def test_clean_models_of_another_task_are_refused(
    command: Command, options: tuple[object, ...], tmp_path: Path
) -> None:
    three = student(tmp_path / "three", labels=3, tokens=32, blocks=1)
    ended = command("watermark", "attack", "prune", *options, "--clean", three)
    assert ended.status == 2 and "3 labels" in ended.error
