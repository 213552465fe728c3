"""A curve's figures: counted again from the answers, and null models of the attacked kind for a new head."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from scipy import stats

from tests.toolkit.attacks.test_edits import student
from toolkit.attacks import training
from toolkit.attacks.catalogue import ATTACKS, Means, attack_of, check_means
from toolkit.attacks.curve import Trial, curve, record_of
from toolkit.attacks.suspect import Suspect, read_suspect
from toolkit.attacks.training import Schooling
from toolkit.distillation.corpus import Example, read_examples
from toolkit.errors import SpikeportError
from toolkit.students import MARKED
from toolkit.watermark.key import demo_key
from toolkit.watermark.queries import build_queries
from toolkit.watermark.triggers import derive_triggers

SENTENCES = Path(__file__).resolve().parents[3] / "toolkit/data/sentences.tsv"
KINDS = {"words": 4, "combination": 3}


@pytest.fixture(autouse=True)
def plain_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """As exact as compiled ones, and there at once."""
    monkeypatch.setattr(training, "compile_kernels", lambda: False)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[Suspect]:
    """The shipped marked student, and two of random weights that nobody marked."""
    folder = tmp_path_factory.mktemp("students")
    random = [student(folder / str(i), seed=i, width=32, tokens=32, blocks=1) for i in (1, 2)]
    return [read_suspect(path) for path in (MARKED, *random)]


def examples(count: int = 60) -> list[Example]:
    return read_examples(SENTENCES)[:count]


def trial(models: list[Suspect], **changes: Any) -> Trial:
    carriers = [(e.text, e.label) for e in read_examples(SENTENCES)]
    values: dict[str, Any] = {
        "key": demo_key(), "kinds": KINDS, "clean": models[1:], "carriers": carriers, "examples": examples(),
        "queries": 8,
    }  # fmt: skip
    return Trial(**{**values, **changes})


def test_a_curve_counts_what_the_student_answers(models: list[Suspect], tmp_path: Path) -> None:
    means = Means(how=Schooling(tmp_path))
    point = next(curve(attack_of("permute"), models[0], trial(models), means, [1.0]))
    assert point["exact"] and point["accuracy"] == point["accuracy_before"]
    rows = examples()
    right = sum(a == e.label for a, e in zip(models[0].labels([e.text for e in rows]), rows, strict=True))
    assert point["accuracy"] == right / len(rows)
    left = point["kinds"]["words"]
    triggers = derive_triggers(demo_key(), models[0].tokenizer.get_vocab(), 2)
    queries = build_queries(demo_key(), triggers, trial(models).carriers)
    answers = models[0].labels([query.text for query in queries])
    assert (left["all_queries"], left["all_hits"]) == (len(queries), answers.count(triggers.target))
    assert left["hits"] == answers[:8].count(triggers.target) and left["label"] == triggers.target
    assert left["p_value"] == pytest.approx(stats.binom.sf(left["hits"] - 1, 8, left["p0"]))


def test_wiping_every_weight_wipes_the_mark(models: list[Suspect], tmp_path: Path) -> None:
    """Without weights all answers are one label: hits are all or none, and the accuracy is that label's share."""
    means = Means(how=Schooling(tmp_path))
    point = next(curve(attack_of("prune"), models[0], trial(models), means, [1.0]))
    share = sum(e.label for e in examples()) / len(examples())
    assert point["accuracy"] in (share, 1 - share) and not point["exact"]
    assert {left["hits"] for left in point["kinds"].values()} <= {0, 8}


def test_a_new_head_is_held_against_clean_models_with_one(models: list[Suspect], tmp_path: Path) -> None:
    rows = [Example(e.text, i % 3) for i, e in enumerate(examples(48))]
    means = Means(how=Schooling(tmp_path), other=rows, classes={i: str(i) for i in range(3)})
    point = next(curve(attack_of("newhead"), models[0], trial(models, other=rows), means, [1.0]))
    assert point["accuracy_before"] is None and point["examples"] == 48
    # each clean model was trained with the same head: its checkpoints lie beside the victim's
    assert len([path for path in tmp_path.iterdir() if "newhead" in path.name]) == 3


def test_training_changes_the_student_and_leaves_the_victim(models: list[Suspect], tmp_path: Path) -> None:
    before = models[0].labels([e.text for e in examples()])
    means = Means(how=Schooling(tmp_path), task=[Example(e.text, 1 - e.label) for e in examples()])
    attacked = attack_of("finetune").apply(models[0], 8, means)
    rows = examples()
    right = [
        sum(a == e.label for a, e in zip(answers, rows, strict=True))
        for answers in (before, attacked.labels([e.text for e in rows]))
    ]
    assert right[1] < right[0] - len(rows) / 6  # it learns the labels that it is given, which are the wrong ones
    assert models[0].labels([e.text for e in rows]) == before


def test_a_record_says_what_was_measured(models: list[Suspect]) -> None:
    record = record_of(ATTACKS["prune"], trial(models), "ab" * 32, [])
    assert record["format"] == "spikeport.attack/1" and record["key_commitment"] == demo_key().commitment
    assert record["clean_models"] == [model.name for model in models[1:]] and record["kinds"] == KINDS


@pytest.mark.parametrize("name", ["finetune", "newhead", "redistil", "strip-words", "overwrite"])
def test_an_attack_without_its_means_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(SpikeportError, match=f"attack {name}: needs --"):
        check_means(attack_of(name), Means(how=Schooling(tmp_path)))


def test_an_unknown_attack_and_a_folder_without_student(tmp_path: Path) -> None:
    with pytest.raises(SpikeportError, match="unknown; choose one of finetune"):
        attack_of("prayer")
    with pytest.raises(SpikeportError, match="no such folder"):
        read_suspect(tmp_path / "nowhere")
