"""``spikeport check``: the table, the JSON, the exit status."""

from __future__ import annotations

import json
from pathlib import Path

import nir
import numpy as np
import pytest

from exporters.nir.write import write_graph
from tests.exporters.nir.files import student_graph
from toolkit.cli.main import run

TARGETS = ["integer", "stock", "snntorch", "spikingjelly", "norse", "lava"]


def foreign(path: Path, kind: str = "LI") -> Path:
    full = {key: np.full(3, value) for key, value in {"tau": 2e-4, "r": 1.0, "v_leak": 0.0}.items()}
    neuron = nir.LI(**full) if kind == "LI" else nir.Threshold(full["r"])
    nir.write(path, nir.NIRGraph.from_list(nir.Linear(np.eye(3)), neuron))
    return path


def test_json_says_it_of_every_target(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = foreign(tmp_path / "m.nir")
    assert run(["check", str(path), "--json"]) == 0
    told = capsys.readouterr()
    answer = json.loads(told.out)
    assert answer["file"] == str(path)
    rows = {row["target"]: row for row in answer["targets"]}
    assert list(rows) == TARGETS
    assert {name: row["runs"] for name, row in rows.items()} == {
        "integer": False, "stock": True, "snntorch": False, "spikingjelly": False, "norse": None, "lava": False,
    }  # fmt: skip
    assert rows["snntorch"]["reason"].startswith("li: type LI: snntorch maps no such node")
    assert "type LI is not supported" in rows["lava"]["reason"] or "type Linear" in rows["lava"]["reason"]


def test_people_get_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", str(foreign(tmp_path / "m.nir"))]) == 0
    told = capsys.readouterr()
    lines = told.err.splitlines()
    assert told.out == "" and [line.split()[0] for line in lines] == TARGETS
    assert [line.split()[1] for line in lines] == ["no", "yes", "no", "no", "unknown", "no"]


def test_our_own_file_is_planned_for_the_chip_too(small_sdsa_bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", str(small_sdsa_bundle / "model.nir"), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["targets"]
    assert all(row["runs"] for row in rows), rows


def test_a_plan_that_fails_is_the_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    graph = student_graph("sdsa")
    graph.metadata.pop("steps", None)
    write_graph(graph, tmp_path / "m.nir")
    assert run(["check", str(tmp_path / "m.nir"), "--json"]) == 0
    rows = {row["target"]: row for row in json.loads(capsys.readouterr().out)["targets"]}
    assert rows["integer"]["runs"] and not rows["lava"]["runs"] and "metadata 'steps'" in rows["lava"]["reason"]


def test_the_status_is_1_where_nobody_runs_it_and_2_where_there_is_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text.nir").write_text("no HDF5")
    assert run(["check", str(tmp_path / "text.nir")]) == 1
    capsys.readouterr()
    assert run(["check", str(tmp_path / "none.nir")]) == 2
    assert capsys.readouterr().err.startswith("spikeport: ")
