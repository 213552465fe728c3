"""``export nir --calibrate-norm``: a SpikeBERT folder to an approximate bundle that says so, with its figures."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.toolkit.conftest import Command, edit_manifest, snapshot
from tests.toolkit.lowering.spikeberts import write_spikebert
from toolkit.backends.simulator import Simulator
from toolkit.backends.snntorch_reader import SnnTorchReader
from toolkit.backends.torch_student import TorchStudent
from toolkit.bundle.approximation import approximation_fault
from toolkit.bundle.manifest import Manifest
from toolkit.bundle.reader import open_bundle
from toolkit.cli.main import run
from toolkit.demo.function import check_golden
from toolkit.demo.run import SENTENCES
from toolkit.distillation.corpus import read_examples
from toolkit.errors import SpikeportError
from toolkit.verification.compare import compare


@pytest.fixture(scope="module")
def spikebert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random SpikeBERT; not to be changed."""
    folder = tmp_path_factory.mktemp("spikeberts") / "two-blocks"
    return write_spikebert(folder, id2label={0: "bad", 1: "good"}, label2id={"bad": 0, "good": 1})


@pytest.fixture(scope="module")
def exported(spikebert: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Its bundle and the student kept beside it; not to be changed."""
    folder = tmp_path_factory.mktemp("exported")
    bundle, student = folder / "bundle", folder / "student"
    arguments = ["--student", spikebert, "--calibrate-norm", SENTENCES, "--deployed", student]
    assert run(["export", "nir", str(bundle), *map(str, arguments), "--attention-body", "gates"]) == 0
    return bundle, student


def test_every_backend_gives_the_spikes_of_the_frozen_student(exported: tuple[Path, Path]) -> None:
    bundle, student = exported
    opened = open_bundle(bundle)
    check_golden(opened)
    texts = [" ".join(e.text.split()[: 1 + i % 9]) for i, e in enumerate(read_examples(SENTENCES)[:24])]
    batch = opened.encoder.encode(texts)
    assert len(set(batch.valid.sum(axis=1))) > 3  # of different lengths, so most are padded
    reference = TorchStudent(student).run(batch, record=True)
    for backend in (Simulator(opened.graph, device="cpu"), SnnTorchReader(bundle / "model.nir")):
        seen = backend.run(batch, record=True)
        found = compare(reference, seen, backend=backend.name, version="", mode="", student="ssa")
        assert found.holds and found.spikes_compared > 0
    for name, spikes in reference.spikes.items():
        at_padding = np.moveaxis(spikes, 3, 1)[~batch.valid]
        assert at_padding.size and not at_padding.any(), name
        assert name == "valid" or spikes.any(), name
    assert len(np.unique(reference.labels)) == 2


def test_the_bundle_says_that_it_is_approximate(exported: tuple[Path, Path], spikebert: Path) -> None:
    bundle, student = exported
    manifest = Manifest.read(bundle)
    mark = manifest.approximation
    assert mark["of"] == "the SpikeBERT two-blocks"
    assert mark["original_sha256"] == hashlib.sha256((spikebert / "model.safetensors").read_bytes()).hexdigest()
    assert mark["samples"] == mark["calibrated_on"]["sentences"] == 64  # half of 128 each
    assert "padded" in mark["padding"]
    layers = {f"block{b}.{name}" for b in range(2) for name in ("q", "k", "v", "attention", "o", "fc1", "fc2")}
    for form in ("float", "integer"):
        shares = mark["spike_agreement_per_layer"][form]
        assert set(shares) == layers | {"code"} and shares["code"] == 1.0
        assert mark["spike_agreement"][form] == pytest.approx(np.mean([shares[name] for name in layers]))
    assert manifest.labels == ["bad", "good"] and "approximation" not in manifest.facts
    card = (bundle / "README.md").read_text(encoding="utf-8")
    assert card.split("\n\n")[1].startswith("**APPROXIMATE: LayerNorms frozen into affine maps of the SpikeBERT two-b")
    assert f"{100 * mark['label_agreement']['integer']:.1f} % of its labels" in card
    assert json.loads((student / "config.json").read_text(encoding="utf-8"))["approximation"] == mark


def test_the_labels_that_agree_are_counted_right(exported: tuple[Path, Path], spikebert: Path) -> None:
    """Sentence by sentence: stock tokenizer, the original model, and the bundle on the simulator."""
    import torch
    from tokenizers import Tokenizer
    from transformers import AutoModelForSequenceClassification

    opened = open_bundle(exported[0])
    examples = read_examples(SENTENCES)[1::2]
    tokenizer = Tokenizer.from_file(str(spikebert / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(12)
    model = AutoModelForSequenceClassification.from_pretrained(spikebert).eval()
    result = Simulator(opened.graph, device="cpu").run(opened.encoder.encode([e.text for e in examples]))
    divisor = opened.manifest.logit_divisor * 4
    same, differences, right = 0, [], 0
    for i, example in enumerate(examples):
        ids = tokenizer.encode(example.text).ids
        with torch.no_grad():
            logits = model(torch.tensor([ids])).logits[0].double().numpy()
        same += int(np.argmax(logits) == result.labels[i])
        right += int(np.argmax(logits) == example.label)
        differences.append(np.abs(logits - result.summed[i] / (divisor * len(ids))))
    mark = opened.manifest.approximation
    assert mark["label_agreement"]["integer"] == pytest.approx(same / len(examples))
    assert mark["accuracy"]["original"] == pytest.approx(right / len(examples))
    assert mark["logit_difference"]["integer"] == pytest.approx(np.mean(differences), abs=1e-5)


def test_the_verbs_say_so_and_the_kept_student_carries_the_mark(
    exported: tuple[Path, Path], command: Command, tmp_path: Path
) -> None:
    bundle, student = exported
    ended = command("classify", "a fine film .", "--bundle", bundle)
    assert ended.status == 0 and ended.err.startswith("APPROXIMATE: ")
    ended = command("verify", bundle, "--against", student, "--backend", "simulator", "--samples", "4", "--json")
    assert ended.status == 0 and "APPROXIMATE: " in ended.err and ended.json["equivalence"]
    ended = command("export", "nir", tmp_path / "again", "--student", student, "--attention-body", "native", "--json")
    assert ended.status == 0 and "APPROXIMATE: " in ended.err
    assert ended.json["approximation"] == Manifest.read(tmp_path / "again").approximation
    assert ended.json["approximation"] == Manifest.read(bundle).approximation


def test_an_exact_bundle_has_no_mark(light_bundle: Path, command: Command) -> None:
    assert "approximation" not in json.loads((light_bundle / "manifest.json").read_text(encoding="utf-8"))
    assert Manifest.read(light_bundle).approximation == {}
    assert "APPROXIMATE" not in (light_bundle / "README.md").read_text(encoding="utf-8")
    assert "APPROXIMATE" not in command("classify", "a fine film .", "--bundle", light_bundle).err


GOOD: dict[str, Any] = {
    "of": "m", "method": "f", "original_sha256": "0", "samples": 3, "logit_difference": {"float": 2.5, "integer": 0},
    "label_agreement": {"float": 1.0, "integer": 0.5}, "spike_agreement": {"float": 1.0, "integer": 0.5},
}  # fmt: skip
BAD: dict[str, dict[str, Any]] = {
    "of is None, needs text": {"of": None},
    "samples is 0, needs an integer": {"samples": 0},
    "label_agreement, integer, is None": {"label_agreement": {"float": 1.0}},
    "spike_agreement, float, is 1.5, needs a number of at least 0 and at most 1": {
        "spike_agreement": {"float": 1.5, "integer": 0.5}
    },
    "logit_difference, float, is -1": {"logit_difference": {"float": -1, "integer": 0}},
    "logit_difference, float, is None": {"logit_difference": 3.0},
}


@pytest.mark.parametrize(("said", "change"), BAD.items(), ids=BAD)
def test_a_damaged_mark_is_refused(said: str, change: dict[str, Any], spoilt: Path) -> None:
    assert approximation_fault(GOOD) is None
    edit_manifest(spoilt, lambda content: content.update(approximation=GOOD | change))
    with pytest.raises(SpikeportError) as refusal:
        Manifest.read(spoilt)
    assert said in str(refusal.value) and str(refusal.value).endswith("copy the bundle again")


def test_refusals(spikebert: Path, light: Path, command: Command, tmp_path: Path) -> None:
    out = tmp_path / "out"

    def refused(*arguments: object, student: Path = spikebert) -> str:
        ended = command("export", "nir", out, "--student", student, *arguments)
        assert ended.status == 2 and not out.exists()
        return ended.error

    plain = refused()
    assert "spikeport distill" in plain and "--calibrate-norm DATA" in plain and "LayerNorm" in plain
    assert "leave --calibrate-norm out" in refused("--calibrate-norm", SENTENCES, student=light)
    assert "no such file" in refused("--calibrate-norm", SENTENCES, student=tmp_path / "nowhere")
    assert "no such file" in refused("--calibrate-norm", tmp_path / "nowhere.tsv")
    assert "--tokens 13" in refused("--calibrate-norm", SENTENCES, "--tokens", "13")
    assert "is the bundle's folder" in refused("--calibrate-norm", SENTENCES, "--deployed", out)
    assert "never overwritten" in refused("--calibrate-norm", SENTENCES, "--deployed", spikebert)
    few = tmp_path / "few.tsv"
    few.write_text("text\tlabel\n" + "".join(f"film {i % 31}\t1\n" for i in range(60)), encoding="utf-8")
    assert "31 different sentences, needs at least 32" in refused("--calibrate-norm", few)
    pairs = tmp_path / "pairs.tsv"
    pairs.write_text("text\tpair\tlabel\na film\tanother\t1\n", encoding="utf-8")
    assert "has 1 segment" in refused("--calibrate-norm", pairs)
    damaged = Path(shutil.copytree(spikebert, tmp_path / "damaged"))
    (damaged / "tokenizer.json").unlink()
    assert "tokenizer.json: no such file" in refused("--calibrate-norm", SENTENCES, student=damaged)
    before = snapshot(spikebert)
    ended = command("export", "nir", spikebert, "--student", spikebert, "--calibrate-norm", SENTENCES)
    assert ended.status == 2 and "is the student's own folder" in ended.error
    assert snapshot(spikebert) == before
