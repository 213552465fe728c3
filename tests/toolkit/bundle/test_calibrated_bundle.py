"""A calibrated bundle says so, and refuses the one sentence that overflows, on its way to every backend."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer

from exporters.lava import PlanError, build_plan
from tests.toolkit.conftest import Command, Ended, edit_manifest
from tests.toolkit.small_students import TOKENIZER, run_student, word_pieces, write_student
from toolkit.bundle.reader import open_bundle
from toolkit.bundle.writer import GOLDEN_SENTENCES
from toolkit.demo.classify import classify
from toolkit.demo.function import check_golden
from toolkit.errors import SpikeportError

WIDTH, TOKENS, LAYER = 80, 12, "block0.q"
CURRENT = WIDTH * 254  # 20,320: every channel of the word below, into a neuron of full weights
LOUD, QUIET = "a storm", "a quiet day"
SENTENCES = ["a warm film", QUIET, "the plot goes nowhere", "bad", "not bad , but long"]


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Neuron 0 of one layer has nothing but full weights, and one word lights every channel."""
    folder = write_student(tmp_path_factory.mktemp("calibrated") / "student", width=WIDTH, tokens=TOKENS, blocks=1)
    tensors = load_file(folder / "student.safetensors")
    tensors[f"{LAYER}.weight"][0], tensors[f"{LAYER}.bias"][0] = 127, 0
    tensors["encoder.tokens"][Tokenizer.from_file(str(TOKENIZER)).token_to_id("storm")] = 30000
    save_file(tensors, folder / "student.safetensors")
    return folder


@pytest.fixture(scope="module")
def sentences(student: Path) -> Path:
    path = student.with_name("sentences.txt")
    path.write_text("\n".join(SENTENCES) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def bundle(student: Path, sentences: Path) -> Path:
    from toolkit.bundle.writer import write_bundle

    out = student.with_name("bundle")
    write_bundle(student, out, attention_body="native", calibrated=sentences, margin=1.25)  # a body takes long to read
    return out


def rows(path: Path, *texts: str) -> Path:
    path.write_text("text\tlabel\n" + "".join(f"{text}\t{i % 2}\n" for i, text in enumerate(texts)), encoding="utf-8")
    return path


def measured(student: Path, texts: list[str]) -> tuple[int, int]:
    """Extremes of the layer's currents by numpy: its input is the spike code alone."""
    ids, valid = word_pieces(texts, TOKENS)
    code = run_student(student, ids, valid)[1]["code"].astype(np.int64)
    tensors = load_file(student / "student.safetensors")
    weight, bias = 2 * tensors[f"{LAYER}.weight"].astype(np.int64), tensors[f"{LAYER}.bias"].astype(np.int64)
    current = (np.einsum("oc,stcn->ston", weight, code) + bias[:, None]) * valid[:, None, None]
    return min(int(current.min()), 0), max(int(current.max()), 0)


def test_without_data_the_student_is_refused_with_layer_value_and_limit(
    command: Command, student: Path, tmp_path: Path
) -> None:
    ended = command("export", "nir", tmp_path / "out", "--student", student)
    assert ended.status == 2 and not (tmp_path / "out").exists()
    assert all(word in ended.error for word in (LAYER, str(CURRENT), "16384", "--calibrated"))


def test_the_manifest_has_what_numpy_measures(student: Path, bundle: Path) -> None:
    bounds = json.loads((bundle / "manifest.json").read_text())["bounds"]
    low, high = measured(student, [*SENTENCES, *GOLDEN_SENTENCES])
    assert bounds[LAYER] == {
        "low": low, "high": high, "limit": 16384, "kind": "calibrated", "margin": 1.25, "samples": len(SENTENCES) + 4,
    }  # fmt: skip
    assert 4000 < high < 16384 / 1.25
    assert {bound["kind"] for name, bound in bounds.items() if name != LAYER} == {"proved"}


def test_bundle_card_and_command_say_that_it_is_calibrated(
    command: Command, student: Path, sentences: Path, bundle: Path, tmp_path: Path
) -> None:
    opened = open_bundle(bundle)
    assert opened.manifest.calibrated and opened.graph.metadata["bounds"] == "calibrated"
    card = (bundle / "README.md").read_text()
    assert "Calibrated, not proved" in card and LAYER in card and "is proved to stay" not in card
    options = ("--student", student, "--calibrated", sentences, "--attention-body", "native")
    told = command("export", "nir", tmp_path / "a", *options)
    assert told.status == 0 and "CALIBRATED: in 1 of 8 layers" in told.err and "margin of 1.25" in told.err
    wide = command("export", "nir", tmp_path / "b", *options, "--margin", "1", "--json").json
    assert wide["bounds"][LAYER]["kind"] == "calibrated" and wide["bounds"][LAYER]["margin"] == 1
    assert wide["layers"][LAYER]["kind"] == "calibrated"


def test_a_margin_that_does_not_fit_is_refused(
    command: Command, student: Path, sentences: Path, tmp_path: Path
) -> None:
    _, high = measured(student, [*SENTENCES, *GOLDEN_SENTENCES])
    margin = 2 * 16384 / high
    ended = command(
        "export", "nir", tmp_path / "o", "--student", student, "--calibrated", sentences, "--margin", margin
    )
    assert ended.status == 2 and LAYER in ended.error and "16384" in ended.error and not (tmp_path / "o").exists()
    low = command("export", "nir", tmp_path / "o", "--student", student, "--calibrated", sentences, "--margin", "0.5")
    assert low.status == 2 and "margin 0.5" in low.error
    loud = tmp_path / "loud.txt"
    loud.write_text(LOUD)
    overflowing = command("export", "nir", tmp_path / "o", "--student", student, "--calibrated", loud)
    assert overflowing.status == 2 and str(round(CURRENT * 1.25)) in overflowing.error
    empty = tmp_path / "empty.txt"
    empty.write_text("\n \n")
    assert "0 sentences" in command("export", "nir", tmp_path / "o", "--student", student, "--calibrated", empty).error


def refused_as_overflow(error: str) -> bool:
    return all(word in error for word in (LOUD, f"layer {LAYER}", str(CURRENT), "16384", "calibrated"))


def test_classify_refuses_the_sentence_that_overflows(command: Command, bundle: Path) -> None:
    ended = command("classify", QUIET, LOUD, "--bundle", bundle)
    assert ended.status == 2 and refused_as_overflow(ended.error)
    assert command("classify", QUIET, "--bundle", bundle).status == 0


@pytest.mark.parametrize("verb", ["encode", "simulate", "energy"])
def test_so_do_the_verbs_on_files(command: Command, bundle: Path, tmp_path: Path, verb: str) -> None:
    out = ("--out", tmp_path / "inputs.npz") if verb == "encode" else ()

    def run(data: Path) -> Ended:
        return command(verb, *((bundle, "--data", data) if verb == "energy" else (data, "--bundle", bundle)), *out)

    ended = run(rows(tmp_path / "loud.tsv", QUIET, LOUD))
    assert ended.status == 2 and refused_as_overflow(ended.error)
    assert not (tmp_path / "inputs.npz").exists()
    assert run(rows(tmp_path / "quiet.tsv", QUIET, "bad")).status == 0


def test_verify_refuses_it_before_any_backend_runs(
    command: Command, student: Path, bundle: Path, tmp_path: Path
) -> None:
    loud, quiet = rows(tmp_path / "l.tsv", QUIET, LOUD), rows(tmp_path / "q.tsv", QUIET, "bad")
    common = ("--against", student, "--backend", "simulator", "--backend", "onnx", "--samples", 2)
    ended = command("verify", bundle, *common, "--data", loud)
    assert ended.status == 2 and refused_as_overflow(ended.error)
    assert command("verify", bundle, *common, "--data", quiet).status == 0
    other = command("verify", bundle, "--against", bundle, "--backend", "simulator", "--samples", 2, "--data", quiet)
    assert other.status == 0


def test_a_reference_that_would_overflow_is_refused_too(command: Command, bundle: Path, tmp_path: Path) -> None:
    """The bundle under test is proved: its student has the loud neuron at half weight."""
    from toolkit.bundle.writer import write_bundle

    calm = shutil.copytree(bundle.with_name("student"), tmp_path / "calm")
    tensors = load_file(calm / "student.safetensors")
    tensors[f"{LAYER}.weight"][0] = 60
    save_file(tensors, calm / "student.safetensors")
    write_bundle(calm, tmp_path / "proved", attention_body="native")
    data = rows(tmp_path / "l.tsv", QUIET, LOUD)
    common = ("--backend", "simulator", "--samples", 2, "--data", data)
    ended = command("verify", tmp_path / "proved", "--against", bundle, *common)
    assert ended.status == 2 and all(word in ended.error for word in (LAYER, str(CURRENT), "16384", "sentence 2"))


def test_what_does_not_overflow_gives_numpys_logits(student: Path, bundle: Path) -> None:
    opened = open_bundle(bundle)
    check_golden(opened)
    ids, valid = word_pieces(SENTENCES, TOKENS)
    expected = run_student(student, ids, valid)[0].sum(axis=(1, 3))
    assert np.array_equal(classify(opened, SENTENCES).sums, expected)


def test_lava_plans_it_as_calibrated_only(bundle: Path) -> None:
    graph = open_bundle(bundle).graph
    with pytest.raises(PlanError, match="may reach 20320"):
        build_plan(graph)
    assert build_plan(graph, calibrated=True).processes


def test_export_lava_takes_it(command: Command, bundle: Path, tmp_path: Path) -> None:
    assert command("export", "lava", tmp_path / "plan", "--bundle", bundle).status == 0


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"kind": "proved"}, "not by the manifest"),
        ({"kind": "hoped for"}, "bound of"),
        ({"margin": 0.5}, "bound of"),
        ({"margin": True}, "bound of"),
        ({"samples": 0}, "bound of"),
        ({"high": 14000}, "bound of"),
        ({"limit": 2.5}, "bound of"),
    ],
)
def test_a_manifest_that_hides_or_spoils_a_bound_is_refused(
    bundle: Path, tmp_path: Path, change: dict[str, Any], word: str
) -> None:
    copy = Path(shutil.copytree(bundle, tmp_path / "copy"))
    edit_manifest(copy, lambda m: m["bounds"][LAYER].update(change))
    with pytest.raises(SpikeportError) as refused:
        open_bundle(copy)
    assert str(copy) in str(refused.value)
    assert "not by the graph" in str(refused.value) if word.startswith("not") else word in str(refused.value)


def test_a_bound_of_a_layer_that_is_not_there_is_refused(bundle: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(bundle, tmp_path / "copy"))
    edit_manifest(copy, lambda m: m["bounds"].update({"block7.q": m["bounds"][LAYER]}))
    with pytest.raises(SpikeportError, match=r"block7\.q is not in the graph"):
        open_bundle(copy)
