"""The demo from end to end on random students: what it writes, what it leaves out, how it ends."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.toolkit.conftest import Command, Ended, snapshot
from tests.toolkit.small_students import run_student, word_pieces, write_student
from toolkit import students
from toolkit.demo import ownership
from toolkit.demo.run import SENTENCES, holds
from toolkit.reporting import validate


@pytest.fixture
def stand_ins(light: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Small students in the place of the shipped ones; the marked one is returned."""
    monkeypatch.setattr(ownership, "QUERIES", 16)  # quicker; no random student is proven by 48 either
    monkeypatch.setattr(students, "MARKED", light)
    monkeypatch.setattr(students, "UNMARKED", write_student(tmp_path / "a", seed=8, blocks=1))
    monkeypatch.setattr(students, "UNMARKED_SDSA", write_student(tmp_path / "b", seed=7, blocks=1, attention="sdsa"))
    return light


def report_of(ended: Ended, out: Path) -> dict[str, Any]:
    """The report, which is the same on standard output and on disk."""
    written = json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert ended.json == written
    validate(written)
    return written


def test_a_random_student_is_equal_everywhere_and_nobodys(
    command: Command, stand_ins: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("snntorch")
    monkeypatch.setenv("SPIKEPORT_LAVA_PYTHON", "/nonexistent")
    rows = [line.split("\t") for line in SENTENCES.read_text(encoding="utf-8").splitlines()[1:41]]
    data = tmp_path / "own.tsv"
    data.write_text("text\tlabel\n" + "".join("\t".join(row) + "\n" for row in rows))
    out = tmp_path / "out"
    ended = command("demo", "--out", out, "--data", data, "--json")
    report = report_of(ended, out)

    assert ended.status == 1 and not holds(report)  # a random student carries no mark
    seen = {(entry["backend"], entry["student"]) for entry in report["equivalence"]}
    assert seen == {("torch", "ssa"), ("torch", "sdsa"), ("snntorch", "sdsa")}
    for entry in report["equivalence"]:
        assert entry["spikes_compared"] > 0 and entry["samples"] >= 32
        assert (entry["spike_mismatches"], entry["logit_mismatches"]) == (0, 0)
    mark = report["watermark"]
    assert [entry["backend"] for entry in mark["backends"]] == ["torch", "simulator"]
    assert len(mark["controls"]) == 2
    for entry in (*mark["backends"], *mark["controls"]):
        assert entry["verdict"] == "not proven (demo key, proves nothing)"

    (lava,) = [entry for entry in report["left_out"] if entry["what"] == "Lava"]
    assert "/nonexistent" in lava["why"] and "make lava-env" in lava["next_step"]
    # The stand-ins are small enough for a body of gates, which stock readers do not refuse.
    assert not any("stock nir.read refuses" in entry["why"] for entry in report["left_out"])

    labels = run_student(stand_ins, *word_pieces([row[0] for row in rows], 8))[0].sum(axis=(1, 3)).argmax(1)
    assert report["task"]["examples"] == 40 and report["task"]["split"] == "own.tsv"
    assert report["task"]["accuracy"]["integer"] == pytest.approx((labels == [int(row[1]) for row in rows]).mean())
    assert (out / "report.html").read_text(encoding="utf-8").lower().startswith("<!doctype html>")
    assert command("classify", "good", "--bundle", out / "bundle", "--json").status == 0


def test_a_second_run_overwrites_the_first_and_no_lava_is_said(
    command: Command, stand_ins: Path, light_bundle: Path, tmp_path: Path
) -> None:
    rows = SENTENCES.read_text(encoding="utf-8").splitlines()[1:]
    _, valid = word_pieces([row.split("\t")[0] for row in rows], 9)  # a ninth piece is one too many
    out = tmp_path / "out"
    shutil.copytree(light_bundle, out / "bundle")
    (out / "commitment.json").write_text("of an earlier run")
    ended = command("demo", "--out", out, "--no-lava")
    assert ended.status == 1 and ended.out == ""
    assert f"{sum(valid[:, -1])} of them cut to 8 word pieces" in ended.err
    assert snapshot(out / "bundle") == snapshot(light_bundle)
    assert json.loads((out / "commitment.json").read_text())["digest"]
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    entry = next(e for e in report["left_out"] if e["what"] == "Lava")
    assert "--no-lava" in entry["why"]
    assert "a check failed" in ended.err and str(out / "report.html") in ended.err
