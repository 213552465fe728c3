"""``spikeport compare``: the same figures as ``energy``, side by side, with accuracy and ratio."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from tests.toolkit.conftest import Command

PROFILES = ("--profile", "loihi1,cmos45-fp32")


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.tsv"
    path.write_text("text\tlabel\na gripping , funny film\t1\nbad\t0\n")
    return path


def test_a_bundle_beside_a_run_folder_and_a_record(
    command: Command, light_bundle: Path, small_bundle: Path, rows: Path, tmp_path: Path
) -> None:
    run, record, out = tmp_path / "run", tmp_path / "priced", tmp_path / "out"
    simulated = command("simulate", rows, "--bundle", small_bundle, "--out", run, "--json").json
    priced = command("energy", light_bundle, "--data", rows, *PROFILES, "--out", record, "--no-plots", "--json").json
    models = (light_bundle, run, record / "energy.json")
    ended = command("compare", *models, "--data", rows, *PROFILES, "--out", out, "--json")
    assert ended.status == 0, ended.err
    found: Any = ended.json
    assert [m["accuracy"] for m in found["models"]] == [
        priced["accuracy"],
        simulated["accuracy"],
        priced["accuracy"],
    ]
    entries = {entry["profile"]: entry["joules"] for entry in priced["energy"]}  # type: ignore[attr-defined]
    for row in found["rows"]:
        first, second, third = row["models"]
        assert first["joules"] == third["joules"] == entries[row["profile"]]
        assert (second is None) == ("ANN" in row["profile"] or "a BERT" in row["profile"])
    (formula,) = (row for row in found["rows"] if row["profile"].endswith("spiking network"))
    a, b = (cell["joules"]["nominal"] for cell in formula["models"][:2])
    assert b == pytest.approx(0.9e-12 * simulated["synops_per_inference"])  # type: ignore[operator]
    assert [cell["ratio"] for cell in formula["models"]] == pytest.approx([1, b / a, 1])
    (chip,) = (row for row in found["rows"] if row["profile"] == "loihi1")
    assert [cell["ratio"] for cell in chip["models"]] == [None] * 3  # lower bounds have no ratio
    assert json.loads((out / "comparison.json").read_text()) == found
    with (out / "comparison.csv").open() as file:
        table = list(csv.DictReader(file))
    assert len(table) == 3 * len(found["rows"])


def test_refusals(command: Command, light_bundle: Path, rows: Path, tmp_path: Path) -> None:
    (tmp_path / "energy.json").write_text('{"schema": "spikeport.energy/1"}')
    (tmp_path / "nothing").mkdir()
    cases = {
        "two at least": (light_bundle, "--data", rows),
        "give --data": (light_bundle, light_bundle),
        "no spikeport.energy/1": (tmp_path / "energy.json", light_bundle),
        "no bundle, no folder of a run": (tmp_path / "nothing", light_bundle),
    }
    for said, arguments in cases.items():
        ended = command("compare", *arguments, "--profile", "loihi1", "--out", tmp_path / "out")
        assert ended.status == 2 and said in ended.error
        assert not (tmp_path / "out").exists()


def test_models_priced_under_different_assumptions_are_refused(
    command: Command, light_bundle: Path, rows: Path, tmp_path: Path
) -> None:
    for step in ("1ms", "2ms"):
        options = ("--data", rows, "--profile", "loihi1", "--step-time", step, "--no-plots", "--out", tmp_path / step)
        assert command("energy", light_bundle, *options).status == 0
    ended = command("compare", tmp_path / "1ms" / "energy.json", tmp_path / "2ms" / "energy.json")
    assert ended.status == 2 and "step_seconds" in ended.error
