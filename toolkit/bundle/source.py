"""A student folder in any of its three forms: float, integer in training, deployed."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from toolkit.bundle.encoder import TOKENIZER_FILE
from toolkit.bundle.manifest import sha256
from toolkit.errors import SpikeportError
from toolkit.models.layers import IntegerLinear, Integers
from toolkit.models.storage import (
    CONFIGURATION,
    MODEL_TYPE,
    TRANSFORMERS_NAMES,
    load_facts,
    load_student,
    save_student,
    student_hash,
)
from toolkit.models.student import SpikingStudent

Form = Literal["float", "integer", "deployed"]
OF_THE_FILE = ("student", "thresholds", "format", *TRANSFORMERS_NAMES)  # the rest of a student's JSON is provenance
MODEL_WEIGHTS = "model.safetensors"  # as transformers calls them


@dataclass(frozen=True, eq=False)
class Source:
    """A student and where it came from.

    Attributes:
        folder: which also holds the tokenizer.
        form: ``deployed`` (int8 weights and their thresholds, kept as they are), ``integer`` (float weights with
            the thresholds of stage 3) or ``float``.
        student: in evaluation mode.
        labels: class names, in order of label.
        facts: provenance.
        sha256: of the weights file.
    """

    folder: Path
    form: Form
    student: SpikingStudent
    labels: list[str]
    facts: dict[str, Any]
    sha256: str


def open_source(folder: Path) -> Source:
    """Read a student folder, of ours or of ``save_pretrained``.

    Raises:
        SpikeportError: what is wrong with it, in one line.
    """
    if _is_pretrained(folder):
        return _pretrained(folder)
    facts = load_facts(folder)
    student = load_student(folder)
    labels = facts.get("labels")
    names = labels if isinstance(labels, list) and len(labels) == student.config.labels else None
    kept = {name: value for name, value in facts.items() if name not in OF_THE_FILE}
    named = [str(name) for name in names or range(student.config.labels)]
    return Source(folder, "deployed", student, named, kept, student_hash(folder))


def save_deployed(source: Source, integers: dict[str, Integers], folder: Path) -> str:
    """Write the lowered student in deployed form, for ``verify --against``; its weights' sha256 is returned.

    Raises:
        SpikeportError: the folder is the student's own.
    """
    if folder.resolve() == source.folder.resolve():
        raise SpikeportError(f"{folder}: is the student's own folder; name another one for its deployed form")
    student = copy.deepcopy(source.student)
    for name, layer in integers.items():
        student.replace(name, IntegerLinear.from_integers(layer))
    save_student(student, folder, {**source.facts, "labels": source.labels, "lowered_from": source.form})
    shutil.copyfile(source.folder / TOKENIZER_FILE, folder / TOKENIZER_FILE)
    return student_hash(folder)


def _is_pretrained(folder: Path) -> bool:
    """Whether ``save_pretrained`` wrote the folder; one that cannot be read is left to ``load_facts`` to refuse."""
    try:
        content = json.loads((folder / CONFIGURATION).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and content.get("model_type") == MODEL_TYPE and "format" not in content


@contextmanager
def _without_bars() -> Iterator[None]:
    """No progress bar for what takes a moment."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _pretrained(folder: Path) -> Source:
    from toolkit.distillation.model_folder import reading
    from toolkit.models.modeling import SpikingStudentForSequenceClassification

    weights = folder / MODEL_WEIGHTS
    if not weights.is_file():
        raise SpikeportError(f"{weights}: no such file; save the student with save_pretrained, in one file")
    with reading(folder), _without_bars():
        model = SpikingStudentForSequenceClassification.from_pretrained(folder)
    student: SpikingStudent = model.student.eval()
    form: Form = "float" if model.config.thresholds is None else "integer"
    labels = [str(model.config.id2label[i]) for i in range(student.config.labels)]
    facts = {k: v for k, v in (model.config.facts or {}).items() if k not in (*OF_THE_FILE, "labels")}
    return Source(folder, form, student, labels, facts, sha256(weights))
