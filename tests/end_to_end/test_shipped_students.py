"""The trained students that ship with the package: size, form, accuracy, equality everywhere, ownership."""

from __future__ import annotations

import csv
import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file
from scipy.stats import beta, binom

from tests.toolkit.small_students import run_student, word_pieces
from toolkit import students
from toolkit.backends.simulator import Simulator
from toolkit.backends.torch_student import TorchStudent
from toolkit.bundle.manifest import GRAPH_FILE, MANIFEST_FILE
from toolkit.bundle.reader import Bundle, open_bundle
from toolkit.bundle.writer import write_bundle
from toolkit.cli.main import run
from toolkit.demo.classify import classify
from toolkit.demo.ownership import chip_labels, make_test
from toolkit.demo.run import SENTENCES
from toolkit.distillation.corpus import read_examples
from toolkit.verification.compare import compare
from toolkit.watermark.certificate import commit
from toolkit.watermark.key import demo_key
from toolkit.watermark.ownership import OwnershipTest

FOLDERS = (students.MARKED, students.UNMARKED, students.UNMARKED_SDSA)
NAIVE = 0.75  # share of the shipped sentences that counting words with a sign gets right
MEGABYTES = 10 * 10**6
each = pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)


def rows() -> list[dict[str, str]]:
    with SENTENCES.open(encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, Bundle]:
    """Every shipped student's bundle."""
    out = tmp_path_factory.mktemp("shipped")
    for folder in FOLDERS:
        write_bundle(folder, out / folder.name)
    return {folder: open_bundle(out / folder.name) for folder in FOLDERS}


@each
def test_a_folder_is_small_and_holds_no_pickle(folder: Path) -> None:
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= MEGABYTES
    assert {path.suffix for path in files} <= {".json", ".safetensors", ".md"}


@each
def test_weights_are_int8_and_tables_int16(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))["student"]
    assert (config["layers"], config["width"], config["steps"], config["tokens"]) == (2, 128, 4, 32)
    assert config["attention"] == ("sdsa" if folder == students.UNMARKED_SDSA else "ssa")
    tensors = load_file(folder / "student.safetensors")
    dtypes = {name: str(tensor.dtype) for name, tensor in tensors.items()}
    assert dtypes.pop("encoder.tokens") == dtypes.pop("encoder.positions") == "int16"
    assert {d for name, d in dtypes.items() if name.endswith(".weight")} == {"int8"}
    assert {d for name, d in dtypes.items() if name.endswith(".bias")} == {"int32"}
    assert len(dtypes) == 2 * (2 * 6 + 1)


@each
def test_the_card_names_what_a_user_must_know(folder: Path) -> None:
    card = (folder / "README.md").read_text(encoding="utf-8")
    facts = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert "no data licence" in card
    assert hashlib.sha256((folder / "student.safetensors").read_bytes()).hexdigest() in card
    assert f"{100 * facts['accuracy']['integer']:.2f} %" in card and "naive Bayes" in card and "82.76 %" in card
    assert str(facts["recipe"]) in card
    assert facts["watermarked"] == (folder == students.MARKED)
    assert ("proves nothing" in card) == (folder == students.MARKED)


@each
def test_integer_accuracy_on_the_shipped_sentences(folder: Path, bundles: dict[Path, Bundle]) -> None:
    labels = [int(row["label"]) for row in rows()]
    answer = classify(bundles[folder], [row["text"] for row in rows()])
    assert np.mean(answer.labels == labels) > NAIVE


@each
def test_torch_and_simulator_give_numpys_spikes_in_every_layer(folder: Path, bundles: dict[Path, Bundle]) -> None:
    texts = [row["text"] for row in rows()][:16]
    batch = bundles[folder].encoder.encode(texts)
    torch = TorchStudent(folder).run(batch, record=True)
    simulated = Simulator(bundles[folder].graph).run(batch, record=True)
    found = compare(torch, simulated, backend="simulator", version="", mode="", student=folder.name)
    assert found.holds, found.first_difference
    logits, spikes = run_student(folder, *word_pieces(texts[:4], 32))
    assert np.array_equal(torch.logits[:4], logits)
    assert set(torch.spikes) == set(spikes) | {"valid"}
    for name, expected in spikes.items():
        assert expected.any(), f"{name} is silent"
        assert np.array_equal(simulated.spikes[name][:4], expected), name


@each
def test_a_padded_token_is_silent_in_every_layer(folder: Path, bundles: dict[Path, Bundle]) -> None:
    batch = bundles[folder].encoder.encode([row["text"] for row in rows()][:8])
    seen = Simulator(bundles[folder].graph).run(batch, record=True)
    for name, spikes in {**seen.spikes, "logits": seen.logits}.items():
        assert not spikes[np.broadcast_to(~batch.valid[:, None, None], spikes.shape)].any(), name


def test_stock_snntorch_gives_the_sdsa_students_spikes(bundles: dict[Path, Bundle]) -> None:
    pytest.importorskip("snntorch")
    from toolkit.backends.snntorch_reader import SnnTorchReader

    bundle = bundles[students.UNMARKED_SDSA]
    batch = bundle.encoder.encode([row["text"] for row in rows()][:8])
    stock = SnnTorchReader(bundle.folder / "model.nir").run(batch, record=True)
    torch = TorchStudent(students.UNMARKED_SDSA).run(batch, record=True)
    for name in stock.spikes:
        assert np.array_equal(stock.spikes[name], torch.spikes[name]), name
    assert np.array_equal(stock.logits, torch.logits)
    assert {"code", "valid", "block0.attention", "block1.fc2"} <= set(stock.spikes)


@pytest.mark.lava
@pytest.mark.slow
def test_real_lava_gives_the_same_spikes_by_the_command_line(
    bundles: dict[Path, Bundle], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = bundles[students.MARKED].folder
    backends = ["--backend", "simulator", "--backend", "onnx", "--backend", "lava"]
    status = run(["verify", str(folder), "--against", str(students.MARKED), "--samples", "4", "--json", *backends])
    report = json.loads(capsys.readouterr().out)
    assert status == 0 and report["left_out"] == []
    simulator, onnx, lava = report["equivalence"]
    assert (simulator["backend"], onnx["backend"], lava["backend"]) == ("simulator", "onnx", "lava")
    assert lava["version"] == "0.10.0" and lava["samples"] == 4
    assert lava["layers"] == simulator["layers"] == onnx["layers"]
    assert (lava["spike_mismatches"], lava["logit_mismatches"]) == (0, 0)


@pytest.fixture(scope="module")
def ownership(bundles: dict[Path, Bundle]) -> OwnershipTest:
    """The demo's test with as few random keys as a proof may have."""
    clean = [chip_labels(folder.name, bundles[folder]) for folder in FOLDERS[1:]]
    demo = make_test(bundles[students.MARKED], clean, read_examples(SENTENCES))
    plan = replace(demo.plan, null_keys=59)
    return OwnershipTest(plan, bundles[students.MARKED].encoder.tokenizer.get_vocab(), demo.carriers, clean)


def check_figures(entry: dict[str, Any]) -> None:
    """Rates and p by scipy from the counts: Clopper-Pearson limit of the null, exact binomial tail."""
    limits = [
        1.0 if m["hits"] == m["queries"] else beta.ppf(0.95, m["hits"] + 1, m["queries"] - m["hits"])
        for m in [*entry["clean_models"], *([entry["bare"]] if entry["bare"] else [])]
    ]
    assert entry["p0"] == pytest.approx(max(limits)) and entry["wesr"] == entry["hits"] / entry["queries"]
    tail = binom.sf(entry["hits"] - 1, entry["queries"], max(limits))
    assert entry["p_value"] == pytest.approx(max(tail, np.finfo(float).tiny), rel=1e-6)


@pytest.mark.slow
def test_the_marked_student_is_proven_on_the_simulated_chip(
    ownership: OwnershipTest, bundles: dict[Path, Bundle]
) -> None:
    marked = bundles[students.MARKED]
    committed = commit(
        demo_key(), marked.folder / GRAPH_FILE, marked.folder / MANIFEST_FILE, ownership.plan,
        owner="Ada", release="1", tool_version="0",
    )  # fmt: skip
    entry = ownership.evidence(demo_key(), chip_labels("marked", marked), certificate=committed).to_dict()
    check_figures(entry)
    assert entry["wesr"] >= 0.95 and entry["p_value"] < 1e-6
    assert entry["verdict"].startswith("proven (demo key, proves nothing; model: ")
    assert len(entry["clean_models"]) == 2
    assert entry["key_level"]["passes"] == 0
    assert entry["key_level"]["bound"] == pytest.approx(1 - 0.05 ** (1 / 59))  # no pass among 59


@pytest.mark.slow
def test_the_same_key_does_not_claim_the_unmarked_students(ownership: OwnershipTest) -> None:
    for control in ownership.clean:
        entry = ownership.control(demo_key(), control).to_dict()
        check_figures(entry)
        assert entry["verdict"] == "not proven (demo key, proves nothing)", control.name
