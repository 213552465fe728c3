"""``spikeport energy``: its counts against a direct simulation, its files added up again, its refusals."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path
from typing import Any

import pytest

from hw_profiles import load_profile
from simulators import simulate
from simulators.deployment import deployed
from tests.toolkit.conftest import Command, snapshot
from toolkit.bundle.reader import open_bundle
from toolkit.cli.main import run

SENTENCES = ["a gripping , funny film", "bad", "it goes nowhere and takes its time about it"]
PICOJOULE = 1e-12


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "rows.tsv"
    path.write_text("text\tlabel\n" + "".join(f"{text}\t{i % 2}\n" for i, text in enumerate(SENTENCES)))
    return path


@pytest.fixture(scope="module")
def written(light_bundle: Path, rows: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A record over every shipped profile; not to be changed."""
    out = tmp_path_factory.mktemp("priced") / "out"
    assert run(["energy", str(light_bundle), "--data", str(rows), "--out", str(out), "--no-plots"]) == 0
    return out


def table_of(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO((folder / "energy.csv").read_text())))


def test_the_header_counts_what_a_direct_simulation_counts(command: Command, light_bundle: Path, rows: Path) -> None:
    ended = command("energy", light_bundle, "--data", rows, "--profile", "loihi1", "--json")
    bundle = open_bundle(light_bundle)
    result = simulate(bundle.graph, bundle.encoder.encode(SENTENCES).spikes, record=True)
    spikes = sum(int(x.sum()) for x in result.spikes.values())
    ran: Any = ended.json["simulated"]
    assert ran["sentences"] == 3 and ran["steps"] == 4 and ran["spikes"] == spikes
    assert ran["synaptic_operations"] == sum(node.synops for node in result.activity.nodes)
    assert f"3 sentences x 4 steps, {spikes:,} spikes" in ended.err
    assert "No figure was measured on a chip" in ended.err and "everything in joules and seconds" in ended.err


def test_loihi1_by_hand(command: Command, light_bundle: Path, rows: Path) -> None:
    """23.6 pJ or more an event, 52 to 81 pJ an update (Davies 2018), for the counts of a direct simulation.

    The chip runs the attention as threshold gates, whose events and updates cost as much as any. A nearly full matrix
    (inputs of a token x outputs) takes less memory with its zeros stored, and they are walked then.
    """
    ended = command("energy", light_bundle, "--data", rows, "--profile", "loihi1", "--json")
    bundle = open_bundle(light_bundle)
    counted = simulate(bundle.graph, bundle.encoder.encode(SENTENCES).spikes).activity
    nodes = deployed(counted, load_profile("loihi1")).nodes
    outputs = {"q": 16, "k": 16, "v": 16, "o": 16, "fc1": 64, "fc2": 16}
    events = 0.0
    for node in (node for node in nodes if node.kind == "synapse"):
        out = outputs.get(node.name.split(".")[1]) if node.name.startswith("block0") else None
        walked = node.axons / 8 * out / node.weights if out else 1  # 8 tokens
        events += node.synops * walked / 3
    updates = sum(node.updates_active + node.updates_idle for node in nodes if node.kind == "neuron") / 3
    (entry,) = ended.json["energy"]  # type: ignore[misc]
    terms = entry["breakdown"]
    assert terms["synapse"]["low"] == pytest.approx(events * 23.6 * PICOJOULE)
    assert terms["synapse"]["high"] is None
    assert terms["neuron"]["low"] == pytest.approx(updates * 52 * PICOJOULE)
    assert terms["neuron"]["high"] == pytest.approx(updates * 81 * PICOJOULE)


def test_the_files_hold_the_same_and_add_up(written: Path) -> None:
    record = json.loads((written / "energy.json").read_text())
    table = table_of(written)
    for entry in record["energy"]:
        own = [row for row in table if row["profile"] == entry["profile"]]
        for side in ("low", "nominal", "high"):
            cells = [row[side] for row in own if row["part"] == "term"]
            (priced,) = (row[side] for row in own if row["part"] == "priced")
            (total,) = (row[side] for row in own if row["part"] == "total")
            assert total == ("" if entry["joules"][side] is None else repr(entry["joules"][side]))
            if priced:
                summed = math.fsum(float(cell) for cell in cells if cell)
                assert summed == pytest.approx(float(priced), rel=1e-12), entry["profile"]
        assert {row["term"] for row in own if row["part"] == "unpriced"} == {t["term"] for t in entry["unpriced"]}


def test_sides_are_in_order_and_priced_terms_name_their_sources(written: Path) -> None:
    record = json.loads((written / "energy.json").read_text())
    priced = 0
    for row in table_of(written):
        known = [float(row[side]) for side in ("low", "nominal", "high") if row[side]]
        assert known == pytest.approx(sorted(known), rel=1e-12), row  # equal sides may differ by a rounding
        if row["part"] in ("term", "apart") and any(known):
            priced += 1
            keys = row["sources"].split()
            assert keys and row["grade"], row
            assert all(record["sources"][key]["source"] for key in keys)
            assert all(record["sources"][key]["term"] == row["term"] for key in keys)
    assert priced > len(record["energy"]) / 2


def test_groups_stand_apart(command: Command, light_bundle: Path, rows: Path) -> None:
    err = command("energy", light_bundle, "--data", rows, "--profile", "loihi1,h200", "--profile", "cmos45-fp32").err
    places = [err.index(word) for word in ("loihi1 ", "Conventional devices", "Literature convention")]
    assert places == sorted(places)
    assert "memory, data movement" in err  # what the formula leaves out


def test_a_run_folder_is_priced_without_simulating_again(
    command: Command, light_bundle: Path, rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = ("--profile", "loihi1,h200,cmos45-fp32", "--json")
    direct = command("energy", light_bundle, "--data", rows, *few).json
    assert command("simulate", rows, "--bundle", light_bundle, "--out", tmp_path / "run").status == 0
    monkeypatch.setattr("toolkit.pricing.model.Simulator", None)  # a simulation would fail
    again = command("energy", light_bundle, "--result", tmp_path / "run", *few).json
    assert {**again, "model": ""} == {**direct, "model": ""}


def test_a_run_of_another_bundle_is_refused(
    command: Command, light_bundle: Path, small_bundle: Path, rows: Path, tmp_path: Path
) -> None:
    assert command("simulate", rows, "--bundle", light_bundle, "--out", tmp_path / "run").status == 0
    ended = command("energy", small_bundle, "--result", tmp_path / "run")
    assert ended.status == 2 and "another bundle" in ended.error


def test_a_longer_step_costs_more_static_energy(command: Command, light_bundle: Path, rows: Path) -> None:
    """4 steps of 1 ms are 4 ms, of 2 ms twice that: on the chip's static power alone."""
    found = []
    for step in ("1ms", "2000 us"):
        ended = command("energy", light_bundle, "--data", rows, "--profile", "loihi1", "--step-time", step, "--json")
        (entry,) = ended.json["energy"]  # type: ignore[misc]
        found.append((entry["seconds"]["nominal"], entry["breakdown"]["static"]["low"]))
        assert "assumed to take" in ended.err
    assert found[0][0] == pytest.approx(4e-3) and found[1][0] == pytest.approx(8e-3)
    assert found[1][1] == pytest.approx(2 * found[0][1]) and found[0][1] > 0


REFUSED = {
    "unknown profile": (("--profile", "loihi9"), "loihi9"),
    "empty name": (("--profile", "loihi1,,h200"), "empty name"),
    "negative step": (("--step-time", "-1ms"), "-1ms"),
    "zero step": (("--step-time", "0ms"), "0ms"),
    "no unit": (("--step-time", "1"), "units"),
}


@pytest.mark.parametrize(("options", "said"), REFUSED.values(), ids=REFUSED)
def test_bad_options_are_one_line_and_leave_nothing(
    command: Command, light_bundle: Path, rows: Path, tmp_path: Path, options: tuple[str, str], said: str
) -> None:
    ended = command("energy", light_bundle, "--data", rows, "--out", tmp_path / "out", *options)
    assert ended.status == 2 and said in ended.error
    assert not list(tmp_path.iterdir())


def test_neither_data_nor_result_or_both(command: Command, light_bundle: Path, rows: Path, tmp_path: Path) -> None:
    for options in ((), ("--data", rows, "--result", tmp_path)):
        ended = command("energy", light_bundle, *options)
        assert ended.status == 2 and "--data" in ended.error


def test_a_missing_bundle_and_a_table_without_rows(command: Command, light_bundle: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty.tsv"
    empty.write_text("text\tlabel\n")
    for bundle, data, said in ((tmp_path / "none", empty, "none"), (light_bundle, empty, "0 examples")):
        ended = command("energy", bundle, "--data", data, "--out", tmp_path / "out")
        assert ended.status == 2 and said in ended.error and not (tmp_path / "out").exists()


def test_a_folder_of_other_things_is_not_written_into(
    command: Command, light_bundle: Path, rows: Path, tmp_path: Path
) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    before = snapshot(tmp_path)
    for out in (tmp_path, tmp_path / "file", tmp_path / "file" / "below"):
        ended = command("energy", light_bundle, "--data", rows, "--out", out)
        assert ended.status == 2 and str(tmp_path) in ended.error
    assert snapshot(tmp_path) == before
