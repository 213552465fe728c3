"""``verify`` finds what differs and where, names what it could not run, and says so in its exit status."""

from __future__ import annotations

import itertools
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.toolkit.conftest import Command
from tests.toolkit.small_students import change_tensor, run_student, word_pieces
from toolkit.demo.run import SENTENCES

SAMPLES = 6


def shipped(count: int) -> list[str]:
    return [line.split("\t")[0] for line in SENTENCES.read_text(encoding="utf-8").splitlines()[1 : count + 1]]


def first_difference(want: np.ndarray, have: np.ndarray) -> dict[str, int] | None:
    """By plain search in order of sample, step, token, channel."""
    samples, steps, channels, tokens = want.shape
    for s, t, n, c in itertools.product(range(samples), range(steps), range(tokens), range(channels)):
        if want[s, t, c, n] != have[s, t, c, n]:
            place = {"sample": s, "step": t, "channel": c, "token": n}
            return place | {"expected": int(want[s, t, c, n]), "seen": int(have[s, t, c, n])}
    return None


def test_equal_runs_end_with_status_0(command: Command, small: Path, small_bundle: Path) -> None:
    ended = command("verify", small_bundle, "--student", small, "--samples", SAMPLES, "--no-lava", "--json")
    assert ended.status == 0 and ended.json["left_out"] == []
    (entry,) = ended.json["equivalence"]  # type: ignore[misc]
    assert entry["backend"] == "torch" and entry["samples"] == SAMPLES
    assert (entry["spike_mismatches"], entry["logit_mismatches"], entry["first_difference"]) == (0, 0, None)
    _, spikes = run_student(small, *word_pieces(shipped(SAMPLES), 8))
    compared = {layer["name"]: layer["compared"] for layer in entry["layers"]}
    assert set(compared) == set(spikes) | {"valid"}
    assert all(compared[name] == s.size for name, s in spikes.items())
    assert entry["spikes_compared"] == sum(compared.values())
    assert entry["logits_compared"] == SAMPLES * 4 * 2 * 8


def tampered(small: Path, folder: Path, tensor: str, ids: np.ndarray, valid: np.ndarray) -> Path:
    """A copy of the student with one entry changed, so that its logits differ in numpy."""
    logits, _ = run_student(small, ids, valid)
    original = load_file(small / "student.safetensors")[tensor]
    for place in np.ndindex(original.shape):
        student = Path(shutil.copytree(small, folder / "x".join(map(str, place))))
        change_tensor(student, tensor, place, int(original[place]) ^ 64)
        if not np.array_equal(run_student(student, ids, valid)[0], logits):
            return student
        shutil.rmtree(student)
    raise AssertionError("no change shows")


@pytest.mark.parametrize(
    "tensor", ["block0.q.weight", "block0.fc1.weight", "block1.v.bias", "encoder.positions", "readout.weight"]
)
def test_one_changed_number_is_found_where_numpy_finds_it(
    command: Command, small: Path, small_bundle: Path, tmp_path: Path, tensor: str
) -> None:
    ids, valid = word_pieces(shipped(SAMPLES), 8)
    student = tampered(small, tmp_path, tensor, ids, valid)
    want_logits, want = run_student(small, ids, valid)
    have_logits, have = run_student(student, ids, valid)

    ended = command("verify", small_bundle, "--student", student, "--samples", SAMPLES, "--no-lava", "--json")
    assert ended.status == 1
    entry: dict[str, Any] = ended.json["equivalence"][0]  # type: ignore[index]
    wrong = {layer["name"]: layer["mismatches"] for layer in entry["layers"]}
    assert {name: int((want[name] != have[name]).sum()) for name in want} | {"valid": 0} == wrong
    assert entry["logit_mismatches"] == (want_logits != have_logits).sum()
    differing = [name for name in want if wrong[name]]
    layer = differing[0] if differing else "readout"
    assert layer == {"encoder": "code"}.get(tensor.split(".", maxsplit=1)[0], tensor.rpartition(".")[0])
    pair = (want[layer], have[layer]) if differing else (want_logits, have_logits)
    expected = first_difference(*pair)
    assert expected is not None and entry["first_difference"] == {"layer": layer} | expected
    assert f"{entry['spike_mismatches']} of {entry['spikes_compared']} spikes" in ended.err


def test_an_sdsa_bundle_is_verified_too(command: Command, small_sdsa: Path, small_sdsa_bundle: Path) -> None:
    ended = command("verify", small_sdsa_bundle, "--student", small_sdsa, "--samples", 3, "--no-lava", "--json")
    assert ended.status == 0
    assert ended.json["equivalence"][0]["student"] == "sdsa"  # type: ignore[index]


@pytest.mark.parametrize("interpreter", ["/nonexistent", sys.executable, "/bin/true"])
def test_without_lava_the_rest_runs_and_says_what_was_left_out(
    command: Command, small: Path, small_bundle: Path, monkeypatch: pytest.MonkeyPatch, interpreter: str
) -> None:
    monkeypatch.setenv("SPIKEPORT_LAVA_PYTHON", interpreter)
    ended = command("verify", small_bundle, "--student", small, "--samples", 2, "--json")
    assert ended.status == 0
    assert [entry["backend"] for entry in ended.json["equivalence"]] == ["torch"]  # type: ignore[attr-defined]
    (missing,) = ended.json["left_out"]  # type: ignore[misc]
    assert missing["what"] == "Lava" and "make lava-env" in missing["next_step"]
    assert "Lava left out" in ended.err


def test_where_lava_is_asked_for_by_name_its_absence_is_status_3(
    command: Command, small_bundle: Path, small_sdsa_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPIKEPORT_LAVA_PYTHON", "/nonexistent")
    ended = command(
        "watermark", "verify", "--bundle", small_bundle, "--backend", "lava",
        "--clean", small_sdsa_bundle, "--clean", small_bundle, "--json",
    )  # fmt: skip
    assert ended.status == 3
    assert "/nonexistent" in ended.error and "make lava-env" in ended.error


def test_the_json_of_a_difference_is_still_one_object(
    command: Command, small: Path, small_bundle: Path, tmp_path: Path
) -> None:
    student = Path(shutil.copytree(small, tmp_path / "student"))
    bias = load_file(student / "student.safetensors")["readout.bias"]
    change_tensor(student, "readout.bias", (0,), int(bias[0]) + 2)
    ended = command("verify", small_bundle, "--student", student, "--samples", 1, "--no-lava", "--json")
    assert ended.status == 1
    assert json.loads(ended.out) == ended.json and ended.out.startswith("{") and ended.out.endswith("}\n")
    pieces = int(word_pieces(shipped(1), 8)[1].sum())
    assert ended.json["equivalence"][0]["logit_mismatches"] == 4 * pieces  # type: ignore[index]
