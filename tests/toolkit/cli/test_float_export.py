"""``export nir`` from a student in float form, and what it reports: thresholds, bounds, and the cost on data."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from tests.toolkit.conftest import Command
from tests.toolkit.models.tiny import float_student
from tests.toolkit.small_students import TOKENIZER, run_student, word_pieces
from toolkit.bundle.reader import open_bundle
from toolkit.demo.function import check_golden
from toolkit.lowering.fold_norms import to_integer_form
from toolkit.models.modeling import SpikingStudentConfig, SpikingStudentForSequenceClassification

TOKENS, LOUD = 12, "block1.fc1"
WORDS = ["a", "warm", "film", "bad", "plot", "goes", "nowhere", "takes", "time", "funny", "generous", "heart", "not"]


def some_texts(count: int, seed: int = 0) -> list[str]:
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, rng.integers(1, 14))) for _ in range(count)]


def write(folder: Path, integer: bool = False) -> Path:
    """What ``save_pretrained`` writes; one layer needs a lower threshold than its weights would."""
    student = float_student("sdsa", width=64, vocabulary=30522, tokens=TOKENS, labels=2)
    with torch.no_grad():
        student.blocks[1].fc1.weight.abs_()
        ids, valid = word_pieces(some_texts(40, seed=1), TOKENS)
        logits = student(torch.from_numpy(ids), torch.from_numpy(valid).float()).logits
        student.readout.bias[1] -= (
            logits[:, 1] - logits[:, 0]
        ).median()  # as many answers of one label as of the other
    if integer:
        to_integer_form(student)
    config = SpikingStudentConfig.of(
        student.config, id2label={0: "bad", 1: "good"}, facts={"recipe": "tiny", "seed": 3}
    )
    model = SpikingStudentForSequenceClassification(config)
    model.student = student
    model.save_pretrained(folder)
    shutil.copyfile(TOKENIZER, folder / "tokenizer.json")
    return folder


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("float") / "student")


@pytest.fixture(scope="module")
def data(student: Path) -> Path:
    """Random sentences; the label is the float form's for three in four, so that its accuracy says something."""
    texts = some_texts(80)
    labels = [int(y) if i % 4 else 1 - int(y) for i, y in enumerate(float_labels(student, texts))]
    path = student.with_name("data.tsv")
    path.write_text("text\tlabel\n" + "".join(f"{t}\t{y}\n" for t, y in zip(texts, labels, strict=True)))
    return path


def float_labels(folder: Path, texts: list[str]) -> np.ndarray:
    model = SpikingStudentForSequenceClassification.from_pretrained(folder).eval()
    ids, valid = word_pieces(texts, TOKENS)
    with torch.no_grad():
        logits = model(torch.from_numpy(ids), torch.from_numpy(valid.astype(np.int64))).logits
    return logits.argmax(-1).numpy()


def rows(path: Path) -> tuple[list[str], np.ndarray]:
    lines = [line.split("\t") for line in path.read_text().splitlines()[1:]]
    return [text for text, _ in lines], np.array([int(label) for _, label in lines])


@pytest.fixture(scope="module")
def exported(student: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Bundle, and the deployed student behind it."""
    from toolkit.bundle.writer import write_bundle

    out = tmp_path_factory.mktemp("exported")
    write_bundle(student, out / "bundle", data=data, deployed=out / "deployed")
    return out / "bundle", out / "deployed"


def test_the_bundle_runs_what_the_deployed_student_computes_in_numpy(
    command: Command, exported: tuple[Path, Path], data: Path
) -> None:
    bundle, deployed = exported
    opened = open_bundle(bundle)
    check_golden(opened)
    assert not opened.manifest.calibrated and opened.manifest.labels == ["bad", "good"]
    assert opened.manifest.facts["recipe"] == "tiny" and opened.manifest.facts["lowered_from"] == "float"
    config = json.loads((deployed / "config.json").read_text())
    assert config["thresholds"] == opened.graph.metadata["thresholds"]
    ended = command("verify", bundle, "--against", deployed, "--backend", "simulator", "--data", data, "--samples", 8)
    assert ended.status == 0 and "not the weights" not in ended.err


def test_the_drop_is_numpys_and_scipys(student: Path, exported: tuple[Path, Path], data: Path) -> None:
    bundle, deployed = exported
    texts, wanted = rows(data)
    ids, valid = word_pieces(texts, TOKENS)
    real = float_labels(student, texts)
    integer = run_student(deployed, ids, valid)[0].sum(axis=(1, 3)).argmax(1)
    drop = json.loads((bundle / "manifest.json").read_text())["facts"]["float_to_integer_at_export"]
    losses = 100.0 * ((real == wanted).astype(float) - (integer == wanted).astype(float))
    upper = losses.mean() + stats.t.ppf(0.95, 79) * losses.std(ddof=1) / np.sqrt(80)
    assert drop["rows"] == 80 and drop["refused"] == 0 and drop["form"] == "float"
    assert drop["accuracy"] == {"float": np.mean(real == wanted), "integer": np.mean(integer == wanted)}
    assert drop["disagreements"] == int((real != integer).sum()) > 0, "forms that agree show little"
    assert drop["only_float"] == int(((real == wanted) & (integer != wanted)).sum())
    assert drop["only_integer"] == int(((real != wanted) & (integer == wanted)).sum())
    assert drop["loss_points"] == pytest.approx(losses.mean())
    assert drop["loss_points_upper_95"] == pytest.approx(upper)
    full = [len(words.split()) for words in texts]
    assert drop["truncated"] == sum(n + 2 > TOKENS for n in full) > 0  # every word is one piece


def test_the_command_says_what_the_bound_costs_and_what_integers_cost(
    command: Command, student: Path, data: Path, tmp_path: Path
) -> None:
    ended = command("export", "nir", tmp_path / "out", "--student", student, "--data", data, "--json")
    found: dict[str, Any] = ended.json
    assert ended.status == 0 and found["form"] == "float"
    assert found["layers"].keys() == {
        *(f"block{i}.{name}" for i in range(2) for name in ("q", "k", "v", "o", "fc1", "fc2")), "readout"
    }  # fmt: skip
    loud = found["layers"][LOUD]
    assert loud["theta"] == loud["theta_by_proof"] < loud["theta_by_weights"]
    assert loud["bits_lost"] == pytest.approx(np.log2(loud["theta_by_weights"] / loud["theta"]))
    assert 0.98 * 16384 < loud["bound"] <= loud["limit"] == 16384
    shown = [loud[name] for name in ("theta_by_weights", "theta_by_proof", "theta")] + [f"{loud['bits_lost']:.2f}"]
    assert re.search(rf"{LOUD} +{' +'.join(map(str, shown))} +{loud['bound']} +16384 +proved", ended.err)
    for word in ("bits lost", "float accuracy", "loss", "upper 95 % limit", "80 rows"):
        assert word in ended.err
    assert found["float_to_integer"]["rows"] == 80
    assert all(found["readers"][name]["runs"] for name in ("integer", "stock", "snntorch"))


def test_measured_currents_leave_a_larger_threshold(
    command: Command, student: Path, data: Path, exported: tuple[Path, Path], tmp_path: Path
) -> None:
    ended = command(
        "export", "nir", tmp_path / "out", "--student", student, "--calibrated", data, "--data", data, "--json"
    )
    proved = open_bundle(exported[0]).graph.metadata["thresholds"]
    layers = ended.json["layers"]
    assert ended.json["bounds"][LOUD]["kind"] == "calibrated" and ended.json["bounds"][LOUD]["samples"] == 84
    assert layers[LOUD]["theta"] > proved[LOUD]
    assert ended.json["float_to_integer"]["refused"] == 0
    check_golden(open_bundle(tmp_path / "out"))


def test_an_integer_form_in_training_keeps_thresholds_that_are_proved(
    command: Command, data: Path, tmp_path: Path
) -> None:
    folder = write(tmp_path / "student", integer=True)
    chosen = json.loads((folder / "config.json").read_text())["thresholds"]
    ended = command("export", "nir", tmp_path / "out", "--student", folder, "--data", data, "--json")
    assert ended.json["form"] == "integer"
    assert {name: layer["theta"] for name, layer in ended.json["layers"].items()} == chosen
    assert "float" not in ended.json["float_to_integer"]["accuracy"]
    assert "float form is not in the student folder" in ended.err


def test_a_deployed_student_has_an_integer_accuracy_only(
    command: Command, light: Path, data: Path, tmp_path: Path
) -> None:
    ended = command("export", "nir", tmp_path / "out", "--student", light, "--data", data, "--json")
    texts, wanted = rows(data)
    labels = run_student(light, *word_pieces(texts, 8))[0].sum(axis=(1, 3)).argmax(1)
    drop: dict[str, Any] = ended.json["float_to_integer"]
    assert drop["accuracy"] == {"integer": float(np.mean(labels == wanted))} and drop["form"] == "deployed"
    assert "float form is not in the student folder" in ended.err


def test_what_cannot_be_exported_is_refused_in_one_line(
    command: Command, student: Path, data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    copy = Path(shutil.copytree(student, tmp_path / "copy"))
    (copy / "model.safetensors").unlink()
    gone = command("export", "nir", out, "--student", copy)
    assert gone.status == 2 and "model.safetensors: no such file" in gone.error
    (copy / "model.safetensors").write_bytes(b"damaged")
    assert command("export", "nir", out, "--student", copy).status == 2
    (copy / "tokenizer.json").unlink()
    shutil.copyfile(student / "model.safetensors", copy / "model.safetensors")
    assert "tokenizer.json" in command("export", "nir", out, "--student", copy).error
    wrong = tmp_path / "wrong.tsv"
    wrong.write_text("text\tlabel\ngood\t5\n")
    assert "label '5'" in command("export", "nir", out, "--student", student, "--data", wrong).error
    own = command("export", "nir", out, "--student", student, "--deployed", student)
    assert own.status == 2 and "own folder" in own.error
    assert not out.exists()
