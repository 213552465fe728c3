"""A card can be written whatever teacher there was: fine-tuned here, given ready, or none."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from toolkit import students
from toolkit.distillation.student_card import student_card
from toolkit.models.storage import load_facts, load_student, save_student

READY = {"name": "teacher", "layers": 6, "width": 384, "ffn": 1536, "heads": 12}


@pytest.mark.parametrize(
    ("teacher", "row"),
    [
        (READY | {"steps": 12, "validation_accuracy": 0.875}, "| teacher (12 steps) | 91.25 % | 87.50 % |"),
        (READY, "| teacher | 91.25 % | not measured |"),
        (None, "| no teacher: trained on the labels alone | | |"),
    ],
)
def test_the_card_says_which_teacher(tmp_path: Path, teacher: Any, row: str) -> None:
    folder = Path(shutil.copytree(students.MARKED, tmp_path / "student"))
    facts = load_facts(folder)
    facts["teacher"] = teacher
    facts["accuracy"] = {"integer": 0.5} | ({"teacher": 0.9125} if teacher else {})
    save_student(load_student(folder), folder, facts)
    assert row in student_card(folder).splitlines()
