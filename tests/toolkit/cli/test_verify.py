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
    ended = command(
        "verify", small_bundle, "--against", small, "--samples", SAMPLES, "--backend", "simulator", "--json"
    )
    assert ended.status == 0 and ended.json["left_out"] == [] and ended.json["replay"] is None
    (entry,) = ended.json["equivalence"]  # type: ignore[misc]
    assert entry["backend"] == "simulator" and entry["samples"] == SAMPLES and entry["holds"]
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

    replay = tmp_path / "replay.npz"
    ended = command(
        "verify", small_bundle, "--against", student, "--samples", SAMPLES, "--backend", "simulator",
        "--replay", replay, "--json",
    )  # fmt: skip
    assert ended.status == 1
    entry: dict[str, Any] = ended.json["equivalence"][0]  # type: ignore[index]
    wrong = {layer["name"]: layer["mismatches"] for layer in entry["layers"]}
    assert {name: int((want[name] != have[name]).sum()) for name in want} | {"valid": 0} == wrong
    assert entry["logit_mismatches"] == (want_logits != have_logits).sum()
    differing = [name for name in want if wrong[name]]
    layer = differing[0] if differing else "readout"
    assert layer == {"encoder": "code"}.get(tensor.split(".", maxsplit=1)[0], tensor.rpartition(".")[0])
    # The reference is the tampered student, what was seen is the bundle of the whole one.
    pair = (have[layer], want[layer]) if differing else (have_logits, want_logits)
    expected = first_difference(*pair)
    assert expected is not None and entry["first_difference"] == {"layer": layer} | expected
    assert f"{entry['spike_mismatches']} of {entry['spikes_compared']} spikes" in ended.err
    check_replay(replay, entry["first_difference"])


def check_replay(path: Path, difference: dict[str, int]) -> None:
    """The bundle's own weights on what the reference sent: with nothing before it wrong, what the bundle gave."""
    with np.load(path, allow_pickle=False) as data:
        held = dict(data)
    assert {name: int(held[name]) for name in ("step", "expected", "seen")} == {
        name: difference[name] for name in ("step", "expected", "seen")
    }
    current = np.zeros(difference["step"] + 1)
    for name in {key.split("/")[1] for key in held if key.startswith("edge/")}:
        part = held.get(f"edge/{name}/current")
        current += held[f"edge/{name}/messages"] @ held[f"edge/{name}/weight"] if part is None else part
    v, fired = 0.0, False
    for value in current:
        v = 0.0 if fired else v
        v = (v + value) / 2
        fired = v >= held["theta"]
    if difference["layer"] not in ("code", "readout"):
        assert int(fired) == difference["seen"] != difference["expected"]
    if difference["layer"] == "readout":
        assert current[-1] == difference["seen"]


def test_an_sdsa_bundle_is_verified_too(command: Command, small_sdsa: Path, small_sdsa_bundle: Path) -> None:
    ended = command(
        "verify", small_sdsa_bundle, "--against", small_sdsa, "--samples", 3, "--json",
        "--backend", "simulator", "--backend", "onnx", "--backend", "snntorch",
    )  # fmt: skip
    assert ended.status == 0
    entries: list[dict[str, Any]] = ended.json["equivalence"]  # type: ignore[assignment]
    assert [entry["backend"] for entry in entries] == ["simulator", "onnx", "snntorch"]
    assert all(entry["student"] == "sdsa" and entry["holds"] for entry in entries)
    assert len({json.dumps(entry["layers"]) for entry in entries}) == 1


def test_a_bundle_is_a_reference_too_and_parts_make_the_whole(
    command: Command, small: Path, small_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    student = Path(shutil.copytree(small, tmp_path / "student"))
    weight = load_file(student / "student.safetensors")["block1.fc2.weight"]
    for channel in range(len(weight)):
        change_tensor(student, "block1.fc2.weight", (channel, 0), int(weight[channel, 0]) ^ 64)
    other = tmp_path / "other"
    assert command("export", "nir", other, "--student", student).status == 0
    options = ("verify", small_bundle, "--against", other, "--samples", SAMPLES, "--backend", "onnx", "--json")
    replay = ("--replay", tmp_path / "replay.npz")
    whole = command(*options, *replay)
    monkeypatch.setattr("toolkit.backends.choose.PART", 4)
    parts = command(*options, *replay)
    assert whole.status == parts.status == 1
    (a,), (b,) = whole.json["equivalence"], parts.json["equivalence"]  # type: ignore[misc]
    assert a["spike_mismatches"] > 0 and a["reference"] == f"simulator {other}"
    for changing in ("seconds",):
        a.pop(changing), b.pop(changing)
    assert a == b
    fraction = max(a["spike_mismatches"] / a["spikes_compared"], a["logit_mismatches"] / a["logits_compared"])
    for tolerance, status in ((1.0001 * fraction, 0), (0.9999 * fraction, 1)):
        assert command(*options, *replay, "--tolerance", tolerance).status == status


def test_accuracy_and_wesr_stand_beside_the_spikes(
    command: Command, small: Path, small_bundle: Path, tmp_path: Path
) -> None:
    texts = shipped(SAMPLES)
    labels = run_student(small, *word_pieces(texts, 8))[0].sum(axis=(1, 3)).argmax(axis=1)
    given = [int(label) if i else 1 - int(label) for i, label in enumerate(labels)]  # all right but the first
    rows = tmp_path / "rows.tsv"
    rows.write_text("text\tlabel\n" + "".join(f"{t}\t{n}\n" for t, n in zip(texts, given, strict=True)))
    ended = command(
        "verify", small_bundle, "--against", small, "--backend", "onnx", "--data", rows, "--samples", SAMPLES,
        "--demo-key", "--json",
    )  # fmt: skip
    assert ended.status == 0
    (entry,) = ended.json["equivalence"]  # type: ignore[misc]
    assert entry["accuracy"] == entry["accuracy_reference"] == pytest.approx((SAMPLES - 1) / SAMPLES)
    assert entry["wesr"] == entry["wesr_reference"] and 0 <= entry["wesr"] <= 1
    assert entry["samples"] > SAMPLES  # the queries are compared spike by spike like all sentences


def test_an_unknown_backend_is_refused(command: Command, small_bundle: Path) -> None:
    ended = command("verify", small_bundle, "--backend", "abacus")
    assert ended.status == 2 and "--backend abacus" in ended.error and "snntorch" in ended.error


def test_a_stock_reader_asked_for_by_name_refuses_a_native_attention(
    command: Command, small: Path, small_bundle: Path, tmp_path: Path
) -> None:
    native = tmp_path / "native"
    assert command("export", "nir", native, "--student", small, "--attention-body", "native").status == 0
    whole = command("verify", small_bundle, "--against", small, "--samples", 1, "--backend", "snntorch")
    assert whole.status == 0  # the same student in gates
    ended = command("verify", native, "--against", small, "--samples", 1, "--backend", "snntorch")
    assert ended.status == 2 and "nir.read refuses it" in " ".join(ended.err.split())


@pytest.mark.parametrize("interpreter", ["/nonexistent", sys.executable, "/bin/true"])
def test_without_lava_the_rest_runs_and_says_what_was_left_out(
    command: Command, small: Path, small_bundle: Path, monkeypatch: pytest.MonkeyPatch, interpreter: str
) -> None:
    monkeypatch.setenv("SPIKEPORT_LAVA_PYTHON", interpreter)
    ended = command("verify", small_bundle, "--against", small, "--samples", 2, "--json")
    assert ended.status == 0
    ran = [entry["backend"] for entry in ended.json["equivalence"]]  # type: ignore[attr-defined]
    assert ran[:2] == ["simulator", "onnx"] and "lava" not in ran
    missing = {entry["what"]: entry for entry in ended.json["left_out"]}  # type: ignore[attr-defined]
    assert "make lava-env" in missing["lava"]["next_step"]
    assert "lava left out" in ended.err


def test_where_lava_is_asked_for_by_name_its_absence_is_status_3(
    command: Command, small_bundle: Path, small_sdsa_bundle: Path, light_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPIKEPORT_LAVA_PYTHON", "/nonexistent")
    ended = command(
        "watermark", "verify", "--bundle", small_bundle, "--backend", "lava",
        "--clean", small_sdsa_bundle, "--clean", light_bundle, "--json",
    )  # fmt: skip
    assert ended.status == 3
    assert "/nonexistent" in ended.error and "make lava-env" in ended.error


def test_the_json_of_a_difference_is_still_one_object(
    command: Command, small: Path, small_bundle: Path, tmp_path: Path
) -> None:
    student = Path(shutil.copytree(small, tmp_path / "student"))
    bias = load_file(student / "student.safetensors")["readout.bias"]
    change_tensor(student, "readout.bias", (0,), int(bias[0]) + 2)
    ended = command(
        "verify", small_bundle, "--against", student, "--samples", 1, "--backend", "simulator",
        "--replay", tmp_path / "replay.npz", "--json",
    )  # fmt: skip
    assert ended.status == 1
    assert json.loads(ended.out) == ended.json and ended.out.startswith("{") and ended.out.endswith("}\n")
    pieces = int(word_pieces(shipped(1), 8)[1].sum())
    assert ended.json["equivalence"][0]["logit_mismatches"] == 4 * pieces  # type: ignore[index]
