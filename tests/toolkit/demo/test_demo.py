"""The demo from end to end on random students: what it writes, what it leaves out, how it ends."""

from __future__ import annotations

import json
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
    assert any("stock nir.read refuses" in entry["why"] for entry in report["left_out"])

    labels = run_student(stand_ins, *word_pieces([row[0] for row in rows], 8))[0].sum(axis=(1, 3)).argmax(1)
    assert report["task"]["examples"] == 40 and report["task"]["split"] == "own.tsv"
    assert report["task"]["accuracy"]["integer"] == pytest.approx((labels == [int(row[1]) for row in rows]).mean())
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "<script src" not in page and "http-equiv" not in page and page.lstrip().lower().startswith("<!doctype")
    again = command("classify", "good", "--bundle", out / "bundle", "--json")
    assert again.status == 0


def test_no_lava_is_said_and_a_second_run_overwrites_the_first(
    command: Command, stand_ins: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ownership, "QUERIES", 8)  # quicker; the verdict is not the matter here
    out = tmp_path / "out"
    first = command("demo", "--out", out, "--no-lava")
    bundle = snapshot(out / "bundle")
    second = command("demo", "--out", out, "--no-lava", "--json")
    assert (first.status, second.status) == (1, 1) and first.out == ""
    assert snapshot(out / "bundle") == bundle
    entry = next(e for e in report_of(second, out)["left_out"] if e["what"] == "Lava")
    assert "--no-lava" in entry["why"]
    assert "a check failed" in second.err and str(out / "report.html") in " ".join(first.err.split())
