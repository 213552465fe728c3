"""Bad input to ``spikeport distill`` and ``spikeport teacher``: exit status 2 and one line that says what to do."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("transformers")

from transformers import AutoModelForSequenceClassification, AutoTokenizer

from tests.toolkit.conftest import Command, Ended
from tests.toolkit.distillation.world import RECIPE, World, make_world, tiny_bert

BARE = """
name = "bare"
language = "en"
labels = ["negative", "positive"]
[data]
train = ["train.tsv"]
validation = "validation.tsv"
test = "test.tsv"
[student]
width = 16
layers = 1
heads = 2
tokens = 12
steps = 2
[tokenizer]
vocabulary = 200
[stage2]
epochs = 1
batch_size = 8
learning_rate = 1e-2
labels = 1.0
"""
"""Without a teacher: labels alone."""


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(autouse=True)
def plain(plain_kernels: None) -> None:
    """No compilation in this file."""


@pytest.fixture
def plain_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    from toolkit.distillation import distil

    monkeypatch.setattr(distil, "compile_kernels", lambda: False)


class Bench:
    """A data folder of its own and the verb ``distill`` on it."""

    def __init__(self, command: Command, world: World, folder: Path) -> None:
        self.command, self.world, self.folder = command, world, folder
        self.data = Path(shutil.copytree(world.folder, folder / "data"))
        self.recipe = folder / "recipe.toml"
        self.recipe.write_text(BARE, encoding="utf-8")

    def distill(self, *options: object) -> Ended:
        return self.command(
            "distill", self.folder / "out", "--data", self.data, "--recipe", self.recipe, "--work",
            self.folder / "work", "--cpu", "--quiet", *options,
        )  # fmt: skip

    def refused(self, *options: object) -> str:
        """The one line, whatever progress was told before it."""
        ended = self.distill(*options)
        assert ended.status == 2 and ended.out == "", ended.err[-2000:]
        assert "Traceback" not in ended.err
        last = ended.err.rstrip("\n").split("\n")[-1]
        assert last.startswith("spikeport: "), ended.err[-2000:]
        assert not (self.folder / "out").exists()
        return last


@pytest.fixture
def bench(command: Command, here: World, tmp_path: Path) -> Bench:
    return Bench(command, here, tmp_path)


RECIPE_FAULTS: dict[str, tuple[Any, str]] = {
    "no TOML": (lambda text: text + "= 3", "not a recipe"),
    "unknown field": (lambda text: text.replace("epochs = 1", "epoch = 1"), "unknown field 'epoch'"),
    "unknown student field": (lambda text: text.replace("width = 16", "wide = 16"), "'wide'"),
    "unknown table": (lambda text: text + "[stage4]\n", "unknown field 'stage4'"),
    "no data": (lambda text: text.replace("[data]", "[date]"), "[data] is missing"),
    "no student": (lambda text: text.replace("[student]", "[pupil]"), "[student] is missing"),
    "no stage 2": (lambda text: text.replace("[stage2]", "[stage3]"), "[stage2] is missing"),
    "no learning rate": (lambda text: text.replace("learning_rate = 1e-2", ""), "learning_rate"),
    "no labels": (lambda text: text.replace('labels = ["negative", "positive"]', ""), "labels"),
    "a label alone": (lambda text: text.replace('["negative", "positive"]', '"negative"'), "labels"),
    "a file alone": (lambda text: text.replace('["train.tsv"]', '"train.tsv"'), "train"),
    "a stage that is a number": (lambda text: "stage1 = 3\n" + text, "stage1"),
    "a teacher that is a number": (lambda text: "teacher = 3\n" + text, "teacher"),
    "augment that is a number": (lambda text: "augment = 3\n" + text, "augment"),
    "data that is a number": (lambda text: 'data = 3\n' + text.replace("[data]", "[x]"), "data"),
    "rate of words": (lambda text: text.replace("1e-2", '"fast"'), "learning_rate"),
    "rate of nothing": (lambda text: text.replace("1e-2", "0.0"), "learning_rate = 0.0"),
    "rate not a number": (lambda text: text.replace("1e-2", "nan"), "learning_rate = nan"),
    "no clipping": (lambda text: text + "clip = 0\n", "clip = 0"),
    "half a batch": (lambda text: text.replace("batch_size = 8", "batch_size = 7.5"), "batch_size"),
    "negative weight": (lambda text: text.replace("labels = 1.0", "labels = -1.0"), "labels = -1.0"),
    "all weights 0": (lambda text: text.replace("labels = 1.0", "labels = 0.0"), "all are 0"),
    "weights without a teacher": (lambda text: text + "logits = 1.0\n", "[teacher] is missing"),
    "unknown form": (lambda text: text.replace("[student]", '[student]\nform = "alien"'), "form = 'alien'"),
    "no integers for SpikeBERT": (
        lambda text: text.replace("[student]", '[student]\nform = "spikebert"') + "[stage3]\nlabels = 1.0\n",
        "[stage3]",
    ),
    "tokens in words": (lambda text: text.replace("tokens = 12", 'tokens = "many"'), "tokens"),
    "heads that do not divide": (lambda text: text.replace("heads = 2", "heads = 3"), "heads 3"),
    "accumulation": (lambda text: text + "accumulation = 3\n", "batch_size 8: not a multiple"),
    "small vocabulary": (lambda text: text.replace("width = 16", "width = 16\nvocabulary = 20"), "vocabulary"),
    "unknown tokenizer field": (lambda text: text.replace("vocabulary = 200", "size = 200"), "unknown field 'size'"),
}  # fmt: skip


@pytest.mark.parametrize(("fault", "said"), RECIPE_FAULTS.values(), ids=RECIPE_FAULTS)
def test_a_faulty_recipe(bench: Bench, fault: Any, said: str) -> None:
    bench.recipe.write_text(fault(BARE), encoding="utf-8")
    assert said in bench.refused()


def rewrite(name: str, text: str) -> Any:
    return lambda bench: (bench.data / name).write_text(text, encoding="utf-8")


SPLITS = ("train", "validation", "test")
PAIRS = "text\tpair\tlabel\na b\tc d\t0\nc\td\t1\n"
DATA_FAULTS: dict[str, tuple[Any, str]] = {
    "label outside the range": (rewrite("train.tsv", "text\tlabel\ngood film\t2\n"), "line 2: label '2'"),
    "negative label": (rewrite("train.tsv", "text\tlabel\ngood film\t-1\n"), "line 2: label '-1'"),
    "label in validation": (rewrite("validation.tsv", "text\tlabel\na\t0\ngood film\t7\n"), "line 3: label '7'"),
    "empty file": (rewrite("train.tsv", ""), "train.tsv"),
    "header only": (rewrite("train.tsv", "text\tlabel\n"), "0 examples"),
    "empty validation": (rewrite("validation.tsv", "text\tlabel\n"), "0 examples"),
    "empty test": (rewrite("test.tsv", "text\tlabel\n"), "0 examples"),
    "no file": (lambda bench: (bench.data / "train.tsv").unlink(), "no such file"),
    "no folder": (lambda bench: shutil.rmtree(bench.data), "no such file"),
    "not UTF-8": (lambda bench: (bench.data / "train.tsv").write_bytes(b"text\tlabel\n\xff\xfe\t1\n"), "UTF-8"),
    "pairs unannounced": (lambda bench: [rewrite(f"{name}.tsv", PAIRS)(bench) for name in SPLITS], "pairs"),
}  # fmt: skip


@pytest.mark.parametrize(("fault", "said"), DATA_FAULTS.values(), ids=DATA_FAULTS)
def test_faulty_data(bench: Bench, fault: Any, said: str) -> None:
    fault(bench)
    assert said in bench.refused()


def test_pairs_that_the_data_does_not_have(bench: Bench) -> None:
    bench.recipe.write_text("pairs = true\n" + BARE, encoding="utf-8")
    assert "pair" in bench.refused()


def test_a_corpus_of_one_sentence_trains(bench: Bench) -> None:
    for name in SPLITS:
        rewrite(f"{name}.tsv", "text\tlabel\na good film\t1\n")(bench)
    ended = bench.distill()
    assert ended.status == 0, ended.err[-2000:]
    assert (bench.folder / "out" / "model.safetensors").is_file()


def test_an_earlier_run_needs_resume(bench: Bench) -> None:
    assert bench.distill().status == 0
    shutil.rmtree(bench.folder / "out")
    line = bench.refused()
    assert str(bench.folder / "work") in line and "--resume" in line
    line = bench.refused("--resume", "--seed", "1")
    assert "seed = 0" in line and "this one has 1" in line
    ended = bench.distill("--resume")
    assert ended.status == 0, ended.err[-2000:]


@pytest.mark.parametrize("option", ["--base", "--teacher"])
def test_a_teacher_for_a_recipe_without_one(bench: Bench, option: str) -> None:
    assert "[teacher]" in bench.refused(option, bench.world.base)


def empty(folder: Path) -> Path:
    folder.mkdir()
    return folder


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


NO_MODELS = {
    "no folder": lambda folder: folder / "nowhere",
    "an empty folder": lambda folder: empty(folder / "empty"),
    "an empty configuration": lambda folder: written(empty(folder / "broken") / "config.json", "{}").parent,
}  # fmt: skip


@pytest.mark.parametrize("option", ["--base", "--teacher"])
@pytest.mark.parametrize("make", NO_MODELS.values(), ids=NO_MODELS)
def test_a_teacher_that_is_none(bench: Bench, tmp_path: Path, option: str, make: Any) -> None:
    bench.recipe.write_text(RECIPE, encoding="utf-8")
    folder = make(tmp_path)
    line = bench.refused(option, folder)
    assert str(folder) in line and "model folder" in line


def test_the_verb_teacher_refuses_in_the_same_way(bench: Bench, command: Command, tmp_path: Path) -> None:
    def refused(*options: object) -> str:
        ended = command("teacher", tmp_path / "t", "--data", bench.data, "--recipe", bench.recipe, "--cpu", *options)
        assert ended.status == 2 and "Traceback" not in ended.err, ended.err[-2000:]
        return ended.err.rstrip("\n").split("\n")[-1]

    assert "has no [teacher]" in refused()
    bench.recipe.write_text(RECIPE, encoding="utf-8")
    assert "model folder" in refused("--base", tmp_path / "nowhere")
    assert "model folder" in refused("--base", empty(tmp_path / "empty"))
    done = tmp_path / "t"
    shutil.copytree(bench.world.teacher, done)
    assert "--resume" in refused("--base", bench.world.base)
    rewrite("train.tsv", "text\tlabel\n")(bench)
    assert "0 examples" in refused("--base", bench.world.base)


def another_teacher(folder: Path, world: World, **sizes: Any) -> Path:
    """A classifier of other sizes with the tokenizer of the world."""
    shutil.copytree(world.base, folder)
    tiny_bert(folder, sizes.pop("vocabulary", len(AutoTokenizer.from_pretrained(folder))), **sizes)
    AutoModelForSequenceClassification.from_pretrained(folder, num_labels=2).save_pretrained(folder)
    return folder


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ({"positions": 8}, "tokens 12"),
        ({"layers": 1}, "teacher layer 2"),
        ({"width": 16}, "hidden size"),
        ({"vocabulary": 30}, "word"),
    ],
    ids=["too few positions", "too few layers", "raw and tuned teacher of two widths", "too few words"],
)
def test_a_teacher_that_does_not_fit(bench: Bench, tmp_path: Path, sizes: dict[str, Any], said: str) -> None:
    bench.recipe.write_text(RECIPE, encoding="utf-8")
    misfit = another_teacher(tmp_path / "misfit", bench.world, **sizes)
    assert said in bench.refused("--teacher", misfit, "--base", bench.world.base)


def test_a_teacher_of_another_number_of_classes(bench: Bench) -> None:
    bench.recipe.write_text(
        RECIPE.replace('["negative", "positive"]', '["negative", "neutral", "positive"]'), encoding="utf-8"
    )
    line = bench.refused("--teacher", bench.world.teacher, "--base", bench.world.base)
    assert "2 classes" in line and "3" in line


@pytest.mark.parametrize("option", [("--precision", "fp8"), ("--seed", "-1"), ("--threads", "0")])
def test_an_option_out_of_range(bench: Bench, option: tuple[str, str]) -> None:
    ended = bench.distill(*option)
    assert ended.status == 2 and "Traceback" not in ended.err and not (bench.folder / "out").exists()
