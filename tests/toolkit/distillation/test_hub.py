"""Data sets of the Hub: local folders go through the code that a download goes through."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from toolkit.distillation.corpus import read_examples
from toolkit.distillation.hub import HELD_OUT, HUB_SETS, POLARITY, SPLITS, HubSet, fetch
from toolkit.errors import MissingComponentError, SpikeportError

SUBJECTIVITY = (("objective",), ("subjective",))


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is left in the user's cache; only where ``datasets`` is."""
    config = pytest.importorskip("datasets").config
    monkeypatch.setattr(config, "HF_DATASETS_CACHE", tmp_path / "cache")


def publish(folder: Path, **splits: list[dict[str, object]]) -> str:
    folder.mkdir(parents=True)
    for split, rows in splits.items():
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(folder)


def rows(count: int, start: int = 0) -> list[dict[str, object]]:
    return [{"text": f"sentence {i}", "label": i % 2} for i in range(start, start + count)]


def pairs(path: Path) -> list[tuple[str, int]]:
    return [(example.text, example.label) for example in read_examples(path)]


def refused(tmp_path: Path, source: HubSet, name: str = "set") -> str:
    with pytest.raises(SpikeportError) as caught:
        fetch(name, tmp_path / "out", {"set": source})
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "out").rglob("*.tsv"))
    return str(caught.value)


def test_published_splits_are_written_as_they_are(tmp_path: Path) -> None:
    odd: list[dict[str, object]] = [{"text": ' two\twords\n"here" ', "label": 1}, {"text": " ", "label": 0}]
    source = HubSet(publish(tmp_path / "hub", train=rows(20) + odd, validation=rows(5, 20), test=rows(6, 30)), POLARITY)
    assert fetch("set", tmp_path / "out", {"set": source}) == tmp_path / "out"
    folder = tmp_path / "out" / "set"
    assert pairs(folder / "train.tsv") == [(f"sentence {i}", i % 2) for i in range(20)] + [('two words "here"', 1)]
    assert pairs(folder / "validation.tsv") == [(f"sentence {i}", i % 2) for i in range(20, 25)]
    assert pairs(folder / "test.tsv") == [(f"sentence {i}", i % 2) for i in range(30, 36)]
    assert sorted(p.name for p in folder.iterdir()) == sorted(f"{split}.tsv" for split in SPLITS)


def test_what_is_there_is_not_downloaded_again(tmp_path: Path) -> None:
    source = HubSet(publish(tmp_path / "hub", train=rows(4), validation=rows(4), test=rows(4)), POLARITY)
    fetch("set", tmp_path / "out", {"set": source})
    fetch("set", tmp_path / "out", {"set": HubSet(str(tmp_path / "absent"), POLARITY)})
    (tmp_path / "out" / "set" / "train.tsv").unlink()
    with pytest.raises(SpikeportError, match="cannot be downloaded"):
        fetch("set", tmp_path / "out", {"set": HubSet(str(tmp_path / "absent"), POLARITY)})


def test_a_validation_split_is_cut_from_training_rows(tmp_path: Path) -> None:
    everything = rows(HELD_OUT + 200)
    source = HubSet(publish(tmp_path / "hub", train=everything, test=rows(3, 9000)), POLARITY)
    fetch("set", tmp_path / "out", {"set": source})
    train, validation = (pairs(tmp_path / "out" / "set" / f"{split}.tsv") for split in ("train", "validation"))
    assert len(validation) == HELD_OUT and len(train) == 200
    assert sorted(train + validation) == sorted((str(r["text"]), r["label"]) for r in everything)
    assert {label for _, label in validation[:100]} == {0, 1}
    small = HubSet(publish(tmp_path / "small", train=rows(HELD_OUT), test=rows(3)), POLARITY)
    assert "no validation split" in refused(tmp_path / "b", small)


def test_the_name_of_a_label_decides(tmp_path: Path) -> None:
    swapped = [
        {"text": "a fact", "label": 1, "label_text": "objective"},
        {"text": "taste", "label": 0, "label_text": "subjective"},
    ]
    source = HubSet(publish(tmp_path / "hub", train=swapped, validation=swapped, test=swapped), SUBJECTIVITY)
    fetch("set", tmp_path / "out", {"set": source})
    assert pairs(tmp_path / "out" / "set" / "test.tsv") == [("a fact", 0), ("taste", 1)]


def test_named_classes_of_a_published_feature(tmp_path: Path) -> None:
    from datasets import ClassLabel, Dataset, Features, Value

    features = Features({"text": Value("string"), "label": ClassLabel(names=["pos", "neg"])})
    table = Dataset.from_dict({"text": ["good", "bad"], "label": [0, 1]}, features=features)
    (tmp_path / "hub").mkdir()
    for split in SPLITS:
        table.to_parquet(str(tmp_path / "hub" / f"{split}.parquet"))
    fetch("set", tmp_path / "out", {"set": HubSet(str(tmp_path / "hub"), POLARITY)})
    assert pairs(tmp_path / "out" / "set" / "train.tsv") == [("good", 1), ("bad", 0)]


def test_phrases_keep_away_from_what_is_measured_on(tmp_path: Path) -> None:
    phrases = [{"sentence": f"sentence {i} ", "label": i % 2} for i in range(12)]
    source = HubSet(
        publish(tmp_path / "hub", train=rows(6), validation=rows(2, 6), test=rows(2, 8)),
        POLARITY,
        phrases=HubSet(publish(tmp_path / "glue", train=phrases), POLARITY, text="sentence"),
    )
    fetch("set", tmp_path / "out", {"set": source})
    found = pairs(tmp_path / "out" / "set_phrases" / "train.tsv")
    assert found == [(f"sentence {i}", i % 2) for i in (0, 1, 2, 3, 4, 5, 10, 11)]


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"label": 2}, "label 2"),
        ({"label": -1}, "label -1"),
        ({"label_text": "neutral"}, "'neutral'"),
    ],
)
def test_other_labels_are_refused(tmp_path: Path, fault: dict[str, object], words: str) -> None:
    bad = [{"text": "a", "label": 0, "label_text": ""}, {"text": "b", "label": 1, "label_text": "", **fault}]
    good = [{**row, "label_text": ""} for row in rows(3)]
    message = refused(tmp_path, HubSet(publish(tmp_path / "hub", train=good, validation=good, test=bad), POLARITY))
    assert "split test, row 1" in message and words in message


def test_other_layouts_are_refused(tmp_path: Path) -> None:
    no_test = HubSet(publish(tmp_path / "a", train=rows(3), validation=rows(3)), POLARITY)
    assert "split test" in refused(tmp_path, no_test)
    wrong = HubSet(publish(tmp_path / "b", train=rows(3), validation=rows(3), test=rows(3)), POLARITY, text="body")
    assert "no column 'body'" in refused(tmp_path, wrong)
    assert "needs one of set" in refused(tmp_path, wrong, name="other")


def test_the_recipes_data_sets_are_known() -> None:
    assert set(HUB_SETS) == {"sst2", "mr", "subj", "chnsenticorp"}
    assert all(len(source.labels) == 2 for source in HUB_SETS.values())


def test_a_missing_datasets_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingComponentError, match="pip install"):
        fetch("glue/sst2", tmp_path)
