"""Other forms of student and task: faithful SpikeBERT, five classes, sentence pairs, and every packaged recipe."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("transformers")

from safetensors.torch import load_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from tests.toolkit.distillation.world import BAD, GOOD, MACHINE, OTHER, World
from toolkit.distillation.command import answered_right
from toolkit.distillation.corpus import read_examples
from toolkit.distillation.distil import new_student
from toolkit.distillation.prepare import Corpus, augmented, prepare
from toolkit.distillation.recipe import Recipe
from toolkit.distillation.teacher import fine_tune
from toolkit.distillation.tokenizer import train_tokenizer
from toolkit.errors import SpikeportError
from toolkit.lowering.pipeline import lower
from toolkit.models.spikebert import SpikeBertForSequenceClassification

RECIPES = sorted((Path(__file__).parents[3] / "toolkit" / "recipes").glob("*.toml"))

SPIKEBERT: dict[str, Any] = {
    "student": {
        "form": "spikebert", "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
        "intermediate_ratio": 2, "max_tokens": 12, "steps": 2,
        **dict.fromkeys(("width", "layers", "heads", "expansion", "tokens")),
    },
    "stage1": {"steps": 3, "evaluations": 1}, "stage2": {"epochs": 1, "evaluations": 2}, "stage3": None,
}  # fmt: skip


def spikebert(world: World, **changes: Any) -> Recipe:
    from tests.toolkit.distillation.world import changed

    content = changed({**SPIKEBERT, **changes})
    content["student"] = {name: value for name, value in content["student"].items() if value is not None}
    return Recipe.from_dict(content)


@pytest.mark.usefixtures("plain_kernels")
def test_spikebert_goes_through_its_two_stages(world: World, tmp_path: Path) -> None:
    trained = world.distil(spikebert(world), tmp_path)
    assert type(trained.student) is SpikeBertForSequenceClassification and trained.integer is None
    assert 0 <= trained.floating <= 1
    weights = load_file(tmp_path / "stage1" / "final.safetensors"), load_file(tmp_path / "stage2" / "final.safetensors")
    moved = [name for name in weights[0] if not torch.equal(weights[0][name], weights[1][name])]
    assert any(name.startswith("student.") for name in moved) and any("alignment.heads" in name for name in moved)
    trained.student.save_pretrained(tmp_path / "out")
    tokenizer = AutoTokenizer.from_pretrained(world.base)
    loaded = AutoModelForSequenceClassification.from_pretrained(tmp_path / "out")
    examples = read_examples(world.folder / "validation.tsv")
    assert answered_right(loaded, tokenizer, examples, 12) == answered_right(trained.student, tokenizer, examples, 12)


def test_a_field_that_spikebert_does_not_have_is_refused(world: World) -> None:
    recipe = spikebert(world, student={**SPIKEBERT["student"], "wide": 3})
    with pytest.raises(SpikeportError, match="'wide'"):
        new_student(recipe, AutoTokenizer.from_pretrained(world.base), None, 0)


FIVE = ("awful", "poor", "so", "fine", "great")


def five_classes(folder: Path) -> None:
    draw = random.Random(5)
    for name, count in (("train", 40), ("validation", 20), ("test", 20)):
        labels = [draw.randrange(5) for _ in range(count)]
        rows = [f"{' '.join(draw.choices(OTHER[:6], k=3))} {FIVE[label]}\t{label}" for label in labels]
        (folder / f"{name}.tsv").write_text("text\tlabel\n" + "\n".join(rows) + "\n", encoding="utf-8")


def pairs(folder: Path) -> None:
    """Whether two opinions agree."""
    draw = random.Random(6)
    for name, count in (("train", 40), ("validation", 20), ("test", 20)):
        rows = []
        for _ in range(count):
            sides = draw.randint(0, 1), draw.randint(0, 1)
            words = [f"{draw.choice(OTHER)} {draw.choice((BAD, GOOD)[side])}" for side in sides]
            rows.append(f"{words[0]}\t{words[1]}\t{int(sides[0] == sides[1])}")
        (folder / f"{name}.tsv").write_text("text\tpair\tlabel\n" + "\n".join(rows) + "\n", encoding="utf-8")


@pytest.fixture
def other_world(world: World, tmp_path: Path) -> World:
    folder = tmp_path / "world"
    shutil.copytree(world.folder, folder, ignore=shutil.ignore_patterns("teacher", "answers"))
    return World(folder)


def teach(world: World, recipe: Recipe) -> dict[str, Any]:
    corpus, tokenizer = Corpus.read(recipe, world.folder), AutoTokenizer.from_pretrained(world.base)
    assert recipe.teacher is not None
    return fine_tune(
        world.base, tokenizer, corpus.train, corpus.validation, world.teacher, recipe.teacher,
        labels=recipe.labels, machine=MACHINE,
    )  # fmt: skip


SHORT: dict[str, Any] = {
    "teacher": {"epochs": 1},
    "stage1": {"steps": 2, "evaluations": 1},
    "stage2": {"epochs": 1, "evaluations": 2},
    "stage3": {"evaluations": 1},
}


@pytest.mark.usefixtures("plain_kernels")
def test_five_classes(other_world: World, tmp_path: Path) -> None:
    five_classes(other_world.folder)
    recipe = other_world.recipe(**SHORT, labels=["1", "2", "3", "4", "5"])
    teach(other_world, recipe)
    trained = other_world.distil(recipe, tmp_path / "work")
    assert trained.student.config.num_labels == 5 and trained.student.config.id2label[4] == "5"
    assert trained.student.student.readout.weight.shape == (5, 16)
    assert lower(trained.student.student).bounds.keys() >= {"readout"}


@pytest.mark.usefixtures("plain_kernels")
def test_sentence_pairs(other_world: World, tmp_path: Path) -> None:
    """Teacher, its answers and the student are told which sentence a token is of; single ones are mixed in."""
    pairs(other_world.folder)
    recipe = other_world.recipe(**SHORT, pairs=True, labels=["differ", "agree"])
    teach(other_world, recipe)
    tokenizer = AutoTokenizer.from_pretrained(other_world.base)
    made = prepare(
        recipe, Corpus.read(recipe, other_world.folder), tokenizer,
        base=other_world.base, teacher=other_world.teacher, work=other_world.folder / "answers",
    )  # fmt: skip
    row = made.train[0]
    second = next(i for i, token in enumerate(row["ids"]) if token == tokenizer.sep_token_id) + 1
    assert list(row["segments"]) == [0] * second + [1] * (len(row["ids"]) - second)
    trained = other_world.distil(recipe, tmp_path / "work")
    model = trained.student.eval()
    assert model.student.config.segments == 2
    ids, mask = torch.tensor([list(row["ids"])] * 2), torch.ones(2, len(row["ids"]), dtype=torch.int64)
    with torch.no_grad():
        model.student.encoder.segments.weight[1] += 2.0
        types = torch.stack([torch.tensor(list(row["segments"])), torch.zeros(len(row["ids"]), dtype=torch.int64)])
        logits = model(input_ids=ids, attention_mask=mask, token_type_ids=types).logits
    assert not torch.equal(logits[0], logits[1])


def test_pairs_cannot_be_augmented(world: World) -> None:
    recipe = world.recipe(pairs=True, augment={"variants": 2, "tagger": "none"})
    assert recipe.augment is not None
    with pytest.raises(SpikeportError, match="pairs cannot be augmented"):
        augmented(recipe, recipe.augment, [], "[MASK]")


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_packaged_recipe_builds_its_student(path: Path, tmp_path: Path) -> None:
    """Of the recipe's own sizes, with a vocabulary of a few words."""
    recipe = Recipe.load(path)
    assert recipe.name and "stage2" in recipe.stages and len(recipe.labels) >= 2
    tokenizer = train_tokenizer(["a good film", "a bad film", "a good film"], {"vocabulary": 40}, tmp_path)
    for table in (recipe.tokenizer or {},):
        train_tokenizer(["a good film", "a good film"], table, tmp_path / "own")
    student = new_student(recipe, tokenizer, torch.randn(len(tokenizer), 24), 0)
    sizes = {
        **dict(recipe.student), "vocab_size": len(tokenizer), "num_labels": len(recipe.labels),
    }  # fmt: skip
    for name, value in sizes.items():
        assert getattr(student.config, name) == value, name
    table = student.get_input_embeddings().weight
    assert table.shape == (len(tokenizer), student.config.hidden_size)
    ids = torch.randint(len(tokenizer), (2, recipe.tokens))
    with torch.no_grad():
        output = student.eval()(input_ids=ids, attention_mask=torch.ones_like(ids), output_hidden_states=True)
    assert output.logits.shape == (2, len(recipe.labels)) and len(output.hidden_states) == recipe.blocks
    if "stage3" in recipe.stages:
        student.student.config.require_integer_form()


def test_there_are_packaged_recipes() -> None:
    assert {"sst2", "mr", "subj", "chnsenticorp", "spikebert"} <= {path.stem for path in RECIPES}
