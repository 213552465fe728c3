"""``--json``: one JSON object on standard output and nothing else there; its figures against numpy."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from tests.toolkit.conftest import Command, snapshot
from tests.toolkit.small_students import run_student, word_pieces
from toolkit.cli import io

SENTENCES = ["a gripping , funny film", "bad", "it goes nowhere and takes its time about it"]


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.tsv"
    path.write_text("label\tnote\ttext\n" + "".join(f"{i % 2}\t-\t{text}\n" for i, text in enumerate(SENTENCES)))
    return path


def test_classify(command: Command, small: Path, small_bundle: Path) -> None:
    ended = command("classify", *SENTENCES, "--bundle", small_bundle, "--json")
    assert ended.status == 0
    logits, _ = run_student(small, *word_pieces(SENTENCES, 8))
    results = ended.json["results"]
    assert isinstance(results, list) and [r["text"] for r in results] == SENTENCES
    for result, sums in zip(results, logits.sum(axis=(1, 3)).tolist(), strict=True):
        assert result["integer_logits"] == sums
        assert result["label"] == f"label {int(np.argmax(sums))}"
        assert sum(result["probabilities"].values()) == pytest.approx(1)
        assert max(result["probabilities"], key=result["probabilities"].get) == result["label"]


def test_classify_for_a_person_says_the_same(command: Command, small: Path, small_bundle: Path) -> None:
    ended = command("classify", *SENTENCES, "--bundle", small_bundle)
    logits, _ = run_student(small, *word_pieces(SENTENCES, 8))
    lines = ended.out.splitlines()
    assert ended.status == 0 and len(lines) == 3
    for line, text, sums in zip(lines, SENTENCES, logits.sum(axis=(1, 3)), strict=True):
        assert line.startswith(f"label {sums.argmax()} ") and line.endswith(text)


def test_simulate(command: Command, small: Path, small_bundle: Path, rows: Path) -> None:
    ended = command("simulate", rows, "--bundle", small_bundle, "--json")
    assert ended.status == 0
    logits, spikes = run_student(small, *word_pieces(SENTENCES, 8))
    labels = logits.sum(axis=(1, 3)).argmax(1)
    assert ended.json["examples"] == 3 and ended.json["truncated"] == 1
    assert ended.json["accuracy"] == pytest.approx(np.mean(labels == [0, 1, 0]))
    rates = {row["name"]: row["firing_rate"] for row in ended.json["layers"]}  # type: ignore[attr-defined]
    for name, expected in spikes.items():
        assert rates[name] == pytest.approx(expected.mean()), name


def test_encode(command: Command, small: Path, small_bundle: Path, rows: Path, tmp_path: Path) -> None:
    out = tmp_path / "inputs.npz"
    ended = command("encode", rows, "--bundle", small_bundle, "--out", out, "--json")
    assert ended.status == 0 and ended.json == {"inputs": str(out), "samples": 3, "truncated": 1}
    ids, valid = word_pieces(SENTENCES, 8)
    _, spikes = run_student(small, ids, valid)
    with np.load(out, allow_pickle=False) as data:
        assert data.files == ["spikes"] and data["spikes"].dtype == np.bool_
        assert np.array_equal(data["spikes"][:, :, :-1], spikes["code"])
        assert np.array_equal(data["spikes"][:, :, -1], np.repeat(valid[:, None], 4, axis=1))


def test_export_nir(command: Command, small: Path, small_bundle: Path, tmp_path: Path) -> None:
    ended = command("export", "nir", tmp_path / "out", "--student", small, "--json")
    assert ended.status == 0 and ended.json["bundle"] == str(tmp_path / "out")
    assert snapshot(tmp_path / "out") == snapshot(small_bundle)
    bounds = json.loads((tmp_path / "out" / "manifest.json").read_text())["bounds"]
    assert ended.json["bounds"] == {n: {k: b[k] for k in ("low", "high", "limit", "kind")} for n, b in bounds.items()}


@pytest.mark.parametrize("tokens", [16, 64])
def test_export_nir_for_other_lengths(command: Command, light: Path, tmp_path: Path, tokens: int) -> None:
    out = tmp_path / "out"
    assert command("export", "nir", out, "--student", light, "--tokens", tokens, "--json").status == 0
    assert json.loads((out / "manifest.json").read_text())["tokens"] == tokens
    ended = command("classify", *SENTENCES[:2], "--bundle", out, "--json")
    logits, _ = run_student(light, *word_pieces(SENTENCES[:2], 8))
    assert [r["integer_logits"] for r in ended.json["results"]] == logits.sum(axis=(1, 3)).tolist()  # type: ignore[attr-defined]
    verified = command("verify", out, "--against", light, "--samples", 4, "--backend", "simulator", "--json")
    assert verified.status == 0, verified.err


def test_export_lava(command: Command, light_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPIKEPORT_LAVA_PYTHON", "/nonexistent")  # a plan needs no Lava
    ended = command("export", "lava", tmp_path / "plan", "--bundle", light_bundle, "--json")
    assert ended.status == 0 and ended.json["plan"] == str(tmp_path / "plan")
    assert any((tmp_path / "plan").iterdir())


def test_watermark_verify_on_a_random_student(
    command: Command, light_bundle: Path, small_sdsa_bundle: Path, another_bundle: Path
) -> None:
    clean = ("--clean", small_sdsa_bundle, "--clean", another_bundle)
    ended = command("watermark", "verify", "--bundle", light_bundle, *clean, "--queries", 16, "--json")
    assert ended.status == 1
    entry = ended.json["backends"][0]  # type: ignore[index]
    assert entry["verdict"] == "not proven (demo key, proves nothing)"
    assert {len(str(model["name"])) for model in entry["clean_models"]} == {len("clean ") + 12}


def test_watermark_commit(
    command: Command, light_bundle: Path, small_sdsa_bundle: Path, another_bundle: Path, tmp_path: Path
) -> None:
    clean = ("--clean", small_sdsa_bundle, "--clean", another_bundle)
    out = tmp_path / "commitment.json"
    arguments = ("watermark", "commit", out, "--owner", "me", "--release", "1", "--bundle", light_bundle, *clean)
    ended = command(*arguments, "--json")
    assert ended.status == 0 and ended.json == json.loads(out.read_text())
    before = out.read_bytes()
    assert command(*arguments).status == 2 and out.read_bytes() == before


@pytest.mark.parametrize("arguments", [("doctor",), ("profiles", "list")])
def test_verbs_without_input(command: Command, arguments: tuple[str, ...]) -> None:
    ended = command(*arguments, "--json")
    assert ended.status == 0 and ended.json


@pytest.mark.parametrize("talk", [io.tell, io.say])
def test_peoples_text_is_shown_as_it_is(talk: object, capsys: pytest.CaptureFixture[str]) -> None:
    text = "a [b] [/red] \\[x] :smile: C:\\[d] 3.0 'q' " + "long " * 60 + "end"
    talk(text)  # type: ignore[operator]
    out, err = capsys.readouterr()
    assert out == "" and err.rstrip("\n").endswith(text)
    assert isinstance(io.people, Console)
