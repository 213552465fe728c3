"""``--lava-mode`` in every verb that knows Lava, and ``verify --results``: runs made elsewhere, held to the bundle."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from exporters.lava import EXECUTORS, MODES
from exporters.lava.launch import RUNTIME
from tests.toolkit.conftest import Command
from tests.toolkit.small_students import run_student, word_pieces
from toolkit.bundle.reader import open_bundle
from toolkit.cli import lava_options
from toolkit.demo.run import SENTENCES

SAMPLES = 4


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first shipped sentences as a file of their own."""
    path = tmp_path_factory.mktemp("data") / "rows.tsv"
    path.write_text("\n".join(SENTENCES.read_text(encoding="utf-8").splitlines()[: SAMPLES + 1]) + "\n")
    return path


def sentences(rows: Path) -> list[str]:
    return [line.split("\t")[0] for line in rows.read_text(encoding="utf-8").splitlines()[1:]]


def write_results(
    path: Path, bundle: Path, student: Path, rows: Path, *, record: bool = True, flip: tuple[str, int] | None = None
) -> Path:
    """A results file as the runtime's README lays it out, filled by the published equations in numpy."""
    texts = sentences(rows)
    logits, spikes = run_student(student, *word_pieces(texts, 8))
    opened = open_bundle(bundle)
    inputs = opened.encoder.encode(texts).spikes
    relays = opened.golden().spikes["valid"].shape[2]
    valid = np.broadcast_to(inputs[:, :, -1:], (*inputs.shape[:2], relays, inputs.shape[3]))
    arrays = {"logits": logits.astype(np.int32), "versions": np.array(json.dumps({"lava-nc": "0.10.0"}))}
    digest = hashlib.sha256(repr(inputs.shape[1:]).encode() + inputs.tobytes()).hexdigest()
    origin = {
        "format": "spikeport.lava-results/1", "mode": "stock", "executor": "multi-process",
        "graph_sha256": hashlib.sha256((bundle / "model.nir").read_bytes()).hexdigest(), "inputs_sha256": digest,
    }  # fmt: skip
    arrays["origin"] = np.array(json.dumps(origin))
    for layer, values in {**spikes, "valid": valid}.items() if record else ():
        planes = np.array(values, bool, order="C")
        if flip and flip[0] == layer:
            planes.reshape(-1)[flip[1]] ^= True
        arrays[f"spikes/{layer}"] = np.packbits(planes.reshape(*planes.shape[:2], -1), axis=-1)
        arrays[f"shape/{layer}"] = np.array(planes.shape[2:])
    np.savez_compressed(path, **arrays)
    return path


def verify(command: Command, bundle: Path, student: Path, results: Path, rows: Path):  # type: ignore[no-untyped-def]
    return command("verify", bundle, "--against", student, "--results", results, "--data", rows, "--json")


def test_results_from_elsewhere_are_compared_spike_by_spike(
    command: Command, light: Path, light_bundle: Path, rows: Path, tmp_path: Path
) -> None:
    ended = verify(command, light_bundle, light, write_results(tmp_path / "r.npz", light_bundle, light, rows), rows)
    assert ended.status == 0, ended.err
    (entry,) = ended.json["equivalence"]  # type: ignore[misc]
    assert (entry["backend"], entry["version"], entry["samples"]) == ("lava", "0.10.0", SAMPLES)
    assert entry["mode"] == "stock, fixed_pt, multi-process, run elsewhere"
    _, spikes = run_student(light, *word_pieces(sentences(rows), 8))
    assert {layer["name"] for layer in entry["layers"]} == set(spikes) | {"valid"}
    assert entry["spikes_compared"] > sum(s.size for s in spikes.values()) and entry["spike_mismatches"] == 0


def test_one_wrong_spike_from_elsewhere_is_found(
    command: Command, light: Path, light_bundle: Path, rows: Path, tmp_path: Path
) -> None:
    _, spikes = run_student(light, *word_pieces(sentences(rows), 8))
    shape = spikes["block0.fc1"].shape
    place = (2, 1, shape[2] - 1, 3)  # sample, step, channel, token
    flip = ("block0.fc1", int(np.ravel_multi_index(place, shape)))
    results = write_results(tmp_path / "r.npz", light_bundle, light, rows, flip=flip)
    replay = tmp_path / "replay.npz"
    ended = command(
        "verify", light_bundle, "--against", light, "--results", results, "--data", rows, "--replay", replay, "--json"
    )
    assert ended.status == 1 and replay.exists()
    (entry,) = ended.json["equivalence"]  # type: ignore[misc]
    assert entry["spike_mismatches"] == 1
    first = entry["first_difference"]
    assert (first["layer"], first["sample"], first["step"], first["channel"], first["token"]) == ("block0.fc1", *place)


def test_logits_alone_are_compared_and_it_is_said(
    command: Command, light: Path, light_bundle: Path, rows: Path, tmp_path: Path
) -> None:
    results = write_results(tmp_path / "r.npz", light_bundle, light, rows, record=False)
    ended = verify(command, light_bundle, light, results, rows)
    (entry,) = ended.json["equivalence"]  # type: ignore[misc]
    assert ended.status == 0 and entry["spikes_compared"] == 0 and entry["logits_compared"] == SAMPLES * 4 * 2 * 8
    assert "logits alone" in ended.err and "--record" in ended.err
    with np.load(results) as archive:
        arrays = dict(archive)
    arrays["logits"][1, 2, 0, 3] += 1
    np.savez_compressed(results, **arrays)
    ended = verify(command, light_bundle, light, results, rows)
    (entry,) = ended.json["equivalence"]  # type: ignore[misc]
    assert ended.status == 1 and entry["logit_mismatches"] == 1 and ended.json["replay"] is None


def test_results_of_something_else_are_refused(
    command: Command, small: Path, small_bundle: Path, light: Path, light_bundle: Path, rows: Path, tmp_path: Path
) -> None:
    results = write_results(tmp_path / "r.npz", light_bundle, light, rows)
    other = verify(command, small_bundle, small, results, rows)
    assert other.status == 2 and "results of the graph with sha256" in other.error
    lines = rows.read_text(encoding="utf-8").splitlines()
    swapped = tmp_path / "swapped.tsv"
    swapped.write_text("\n".join([lines[0], lines[2], lines[1], *lines[3:]]) + "\n", encoding="utf-8")
    asked = verify(command, light_bundle, light, results, swapped)
    assert asked.status == 2 and "give --data the file that was encoded" in " ".join(asked.err.split())
    short = tmp_path / "short.tsv"
    short.write_text("\n".join(lines[:3]) + "\n", encoding="utf-8")
    few = verify(command, light_bundle, light, results, short)
    assert few.status == 2 and f"of {SAMPLES} sentences: 2 sentences in" in few.error
    both = command("verify", light_bundle, "--against", light, "--results", results, "--backend", "simulator")
    assert both.status == 2 and "leave out backend" in both.error
    for damage in (results.read_bytes()[:-40], b"no archive", (light_bundle / "golden.npz").read_bytes()):
        (tmp_path / "bad.npz").write_bytes(damage)
        bad = verify(command, light_bundle, light, tmp_path / "bad.npz", rows)
        assert bad.status == 2 and "bad.npz: not a readable results file" in bad.error


def test_export_lava_writes_either_plan_into_the_bundle(command: Command, light_bundle: Path, tmp_path: Path) -> None:
    bundle = Path(shutil.copytree(light_bundle, tmp_path / "bundle"))
    for mode, word in (("stock", "only processes that Lava ships"), ("fast", "CPU only")):
        ended = command("export", "lava", "--bundle", bundle, "--lava-mode", mode, "--explain", "--json")
        assert ended.status == 0 and word in ended.err and ended.json["mode"] == mode
        plan = json.loads((bundle / f"lava-{mode}" / "plan.json").read_text())
        assert plan["mode"] == mode
        assert plan["graph_sha256"] == hashlib.sha256((bundle / "model.nir").read_bytes()).hexdigest()
        kinds = {p["kind"] for p in plan["processes"]}
        assert ({"ssa", "fast_linear", "delay"} <= kinds) == (mode == "fast") == ("product" not in kinds)
    open_bundle(bundle)  # a plan beside its files does not spoil a bundle


@pytest.mark.parametrize(
    "arguments",
    [("export", "lava"), ("verify", "x"), ("watermark", "verify", "--clean", "x"), ("demo",)],
    ids=lambda arguments: arguments[0],
)
def test_an_unknown_mode_is_refused_before_anything_runs(command: Command, arguments: tuple[str, ...]) -> None:
    ended = command(*arguments, "--lava-mode", "quick")
    assert ended.status == 2 and ended.error == "--lava-mode quick: not known; choose one of stock, fast"


def test_the_command_line_knows_what_the_exporter_knows() -> None:
    assert set(lava_options.MODES) == set(MODES)
    assert set(lava_options.EXECUTORS) == set(EXECUTORS)


@pytest.mark.lava
@pytest.mark.parametrize("mode", ["stock", "fast"])
def test_verify_runs_either_mode_and_reports_it(
    command: Command, light: Path, light_bundle: Path, lava_python: Path, mode: str
) -> None:
    ended = command(
        "verify", light_bundle, "--against", light, "--backend", "lava", "--lava-mode", mode,
        "--lava-executor", "one-process", "--samples", 2, "--json",
    )  # fmt: skip
    assert ended.status == 0, ended.err
    (entry,) = ended.json["equivalence"]  # type: ignore[misc]
    told = "fast (CPU only)" if mode == "fast" else "stock"
    assert entry["mode"] == f"{told}, fixed_pt, one-process" and entry["spikes_compared"] > 0


@pytest.mark.lava
def test_encode_run_elsewhere_and_verify(
    command: Command, light: Path, light_bundle: Path, rows: Path, lava_python: Path, tmp_path: Path
) -> None:
    assert command("encode", rows, "--bundle", light_bundle, "--out", tmp_path / "in.npz").status == 0
    plan = tmp_path / "plan"
    assert command("export", "lava", plan, "--bundle", light_bundle, "--lava-mode", "stock").status == 0
    runtime = Path(shutil.copytree(RUNTIME, tmp_path / "runtime"))  # alone, as on another host
    arguments = ["--plan", plan, "--inputs", "in.npz", "--out", "out.npz", "--record", "--one-process"]
    subprocess.run(
        [lava_python, "-m", "spikeport_lava", *arguments],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(runtime)}, check=True, timeout=300,
    )  # fmt: skip
    ended = verify(command, light_bundle, light, tmp_path / "out.npz", rows)
    assert ended.status == 0, ended.err
    (entry,) = ended.json["equivalence"]  # type: ignore[misc]
    assert entry["samples"] == SAMPLES and entry["spike_mismatches"] == 0 and entry["spikes_compared"] > 0
