"""``simulate --out``: parts, a process killed in the middle, damaged parts; figures against plain numpy."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from simulators.activity import Activity, NodeActivity
from simulators.record import read_record
from tests.toolkit.conftest import Command, snapshot
from tests.toolkit.small_students import run_student, word_pieces
from toolkit.simulation.part import activity_from, content_of

WORDS = ("good", "bad", "a gripping , funny film", "it goes nowhere", "slow and long , with no end at all", "fine")
RESULTS = ("result.json", "logits.npz")


def rows(folder: Path, samples: int, *, labelled: bool = True) -> tuple[Path, list[str]]:
    path = folder / "rows.tsv"
    texts = [f"{WORDS[i % 6]} {WORDS[i // 6 % 6]} {i}" for i in range(samples)]
    lines = [f"{text}\t{i % 2}" if labelled else text for i, text in enumerate(texts)]
    path.write_text("\n".join(["text\tlabel" if labelled else "text", *lines, ""]))
    return path, texts


def parts(out: Path) -> dict[str, int]:
    """Inode of every part: another one stands for a file that was written again."""
    return {path.name: path.stat().st_ino for path in sorted(out.glob("part-*.npz"))}


def test_a_run_in_parts_gives_what_numpy_gives(
    command: Command, light: Path, light_bundle: Path, tmp_path: Path
) -> None:
    data, texts = rows(tmp_path, 11)
    out = tmp_path / "run"
    ended = command(
        "simulate", data, "--bundle", light_bundle, "--out", out, "--part-size", 4, "--batch-size", 3, "--record",
        "--device", "cpu", "--memory-limit", "1GiB", "--trace", "--json",
    )  # fmt: skip
    assert ended.status == 0, ended.err
    logits, spikes = run_student(light, *word_pieces(texts, 8))
    sums = logits.sum(axis=(1, 3))
    assert list(parts(out)) == ["part-00000.npz", "part-00001.npz", "part-00002.npz"]
    with np.load(out / "logits.npz") as seen:
        assert np.array_equal(seen["logits"], sums)
        assert np.array_equal(seen["labels"], sums.argmax(1)) and seen["truth"].tolist() == [i % 2 for i in range(11)]
    result = json.loads((out / "result.json").read_text())
    assert result["accuracy"] == pytest.approx(np.mean(sums.argmax(1) == np.arange(11) % 2))
    nodes = {node["name"]: node for node in result["activity"]["nodes"]}
    for name, expected in spikes.items():
        recorded = [read_record(out / f"spikes-0000{i}.npz") for i in range(3)]
        if name != "code":  # the input's
            assert nodes[name]["per_step"]["spikes"] == expected.sum(axis=(0, 2, 3)).tolist(), name
            assert np.array_equal(np.concatenate([part[name] for part in recorded]), expected), name
    assert ended.json["out"] == str(out) and {layer["name"] for layer in ended.json["trace"]} >= {"block0.q"}  # type: ignore[attr-defined]


def test_inputs_encoded_before_and_no_folder_give_the_same(
    command: Command, light_bundle: Path, tmp_path: Path
) -> None:
    data, _ = rows(tmp_path, 9, labelled=False)
    common = ("--bundle", light_bundle, "--device", "cpu", "--json")
    assert command("encode", rows(tmp_path, 9)[0], "--bundle", light_bundle, "--out", tmp_path / "x.npz").status == 0
    rows(tmp_path, 9, labelled=False)
    whole = command("simulate", data, *common)
    assert whole.status == 0 and whole.json["accuracy"] is None
    encoded = command("simulate", tmp_path / "x.npz", *common, "--out", tmp_path / "a", "--part-size", 2)
    assert encoded.json | {"out": 0, "truncated": 0} == whole.json | {"out": 0, "truncated": 0}
    assert command("simulate", data, *common, "--out", tmp_path / "b").status == 0
    first, second = (json.loads((tmp_path / name / "result.json").read_text()) for name in "ab")
    assert first["activity"] == second["activity"] and first["activity"]["host_lookups"] > 0


def test_an_activity_comes_back_from_json_as_it_was() -> None:
    nodes = (
        NodeActivity.of("a", "neuron", 2, {"spikes": (3, 4), "updates_idle": (0, 2**60)}, neurons=5, bytes=7),
        NodeActivity("a.weight", "synapse", weights=6, window=3, macs=9),
    )
    activity = Activity(2, 2, 8, nodes, host_lookups=11, input_spikes=12)
    assert activity_from(json.loads(json.dumps(content_of(activity)))) == activity


def test_a_killed_run_goes_on_to_the_same_result(
    command: Command, repository: Path, light_bundle: Path, tmp_path: Path
) -> None:
    data, _ = rows(tmp_path, 300)
    out, whole = tmp_path / "run", tmp_path / "whole"
    words = ["simulate", data, "--bundle", light_bundle, "--device", "cpu", "--part-size", "2"]
    environment = {**os.environ, "PYTHONPATH": str(repository)}
    process = subprocess.Popen(
        [sys.executable, "-m", "toolkit", *map(str, words), "--out", str(out)],
        cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while not (out / "part-00003.npz").exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    before = parts(out)
    assert 4 <= len(before) < 150 and not (out / "result.json").exists()
    assert command(*words, "--out", out).status == 0
    assert command(*words, "--out", whole).status == 0
    assert before.items() <= parts(out).items()  # none was simulated twice
    for name in RESULTS:
        assert (out / name).read_bytes() == (whole / name).read_bytes(), name


def test_damaged_parts_are_simulated_again_and_only_they(command: Command, light_bundle: Path, tmp_path: Path) -> None:
    data, _ = rows(tmp_path, 20)
    out = tmp_path / "run"
    words = ("simulate", data, "--bundle", light_bundle, "--out", out, "--device", "cpu", "--part-size", 4, "--record")
    assert command(*words).status == 0
    before, results = parts(out), [(out / name).read_bytes() for name in RESULTS]
    whole = (out / "part-00001.npz").read_bytes()
    (out / "part-00001.npz").write_bytes(whole[: len(whole) // 2])
    with np.load(out / "part-00002.npz") as found:  # a sound file with other figures
        np.savez(out / "part-00002.npz", **{**found, "logits": found["logits"] + 1})
    spikes = bytearray((out / "spikes-00003.npz").read_bytes())
    spikes[len(spikes) // 2] ^= 1
    (out / "spikes-00003.npz").write_bytes(spikes)
    ended = command(*words)
    assert ended.status == 0 and "2 of 5 parts were there already" in ended.err
    assert [(out / name).read_bytes() for name in RESULTS] == results
    same = {name for name, inode in parts(out).items() if inode == before[name]}
    assert same >= {"part-00000.npz", "part-00004.npz"} and "part-00003.npz" not in same


REFUSED = {
    "data": "another data, sha256",
    "bundle": "another bundle",
    "settings": "another settings, part_size was 4 and is 5",
}


@pytest.mark.parametrize("what", REFUSED)
def test_another_run_is_refused_and_nothing_is_lost(
    command: Command, light_bundle: Path, small_bundle: Path, tmp_path: Path, what: str
) -> None:
    data, _ = rows(tmp_path, 8)
    out = tmp_path / "run"
    words = ["simulate", data, "--out", out, "--device", "cpu", "--json", "--bundle", light_bundle, "--part-size", 4]
    assert command(*words).status == 0
    before = snapshot(out)
    if what == "data":
        data.write_text(data.read_text().replace("film", "movie"))
    words[-3:] = [small_bundle if what == "bundle" else light_bundle, "--part-size", 5 if what == "settings" else 4]
    ended = command(*words)
    assert ended.status == 2 and REFUSED[what] in ended.error and str(out) in ended.error
    assert snapshot(out) == before
