"""Bad input: exit status 2, one line that begins with ``spikeport:``, and nothing written or lost."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.toolkit.conftest import Command, edit_manifest, snapshot
from tests.toolkit.small_students import change_tensor, write_student

GOOD = "text\tlabel\na gripping , funny film\t1\n"


def tsv(folder: Path, text: str | bytes) -> Path:
    path = folder / "rows.tsv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


BAD_TSV = {
    "no columns": ("a gripping film\n", "needs the columns 'text' and 'label'"),
    "other columns": ("sentence\tlabel\nfine\t1\n", "needs the columns 'text' and 'label'"),
    "commas": ("text,label\nfine,1\n", "needs the columns 'text' and 'label'"),
    "nothing at all": ("", "needs the columns"),
    "no rows": ("text\tlabel\n", "0 examples"),
    "empty sentence": ("text\tlabel\nfine\t1\n\t0\n", "line 3: empty sentence"),
    "blank sentence": ("text\tlabel\n  \u00a0 \t0\n", "line 2: empty sentence"),
    "one field": ("text\tlabel\nfine\n", "line 2: 1 fields"),
    "three fields": ("text\tlabel\nfine\t1\t\n", "line 2: 3 fields"),
    "label out of range": ("text\tlabel\nfine\t2\n", "line 2: label '2'"),
    "label in words": ("text\tlabel\nfine\tpositive\n", "line 2: label 'positive'"),
    "negative label": ("text\tlabel\nfine\t-1\n", "line 2: label '-1'"),
    "not UTF-8": (b"text\tlabel\ncaf\xe9\t1\n", "UTF-8"),
}


@pytest.mark.parametrize(("text", "said"), BAD_TSV.values(), ids=BAD_TSV)
def test_a_table_that_is_none_is_refused_before_anything_is_written(
    command: Command, tmp_path: Path, text: str | bytes, said: str
) -> None:
    ended = command("demo", "--data", tsv(tmp_path, text), "--out", tmp_path / "out", "--no-lava", "--json")
    assert ended.status == 2 and str(tmp_path / "rows.tsv") in ended.error and said in ended.error
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("text", "said"), [BAD_TSV["no columns"], BAD_TSV["empty sentence"]])
@pytest.mark.parametrize("verb", ["simulate", "energy", "encode"])
def test_a_refused_table_loses_nothing(
    command: Command, light_bundle: Path, tmp_path: Path, verb: str, text: str, said: str
) -> None:
    before = snapshot(light_bundle)
    path, out = tsv(tmp_path, text), tmp_path / "inputs.npz"
    out.write_bytes(b"of an earlier run")
    option = ("--out", out) if verb == "encode" else ()
    named = (light_bundle, "--data", path) if verb == "energy" else (path, "--bundle", light_bundle)
    ended = command(verb, *named, "--json", *option)
    assert ended.status == 2 and str(path) in ended.error and said in ended.error
    assert out.read_bytes() == b"of an earlier run" and snapshot(light_bundle) == before


@pytest.mark.parametrize("verb", ["simulate", "encode"])
@pytest.mark.parametrize("name", ["none.tsv", "folder"])
def test_a_table_that_is_not_there_is_named(
    command: Command, light_bundle: Path, tmp_path: Path, verb: str, name: str
) -> None:
    (tmp_path / "folder").mkdir()
    ended = command(verb, tmp_path / name, "--bundle", light_bundle)
    assert ended.status == 2 and str(tmp_path / name) in ended.error


def test_the_demo_does_not_overwrite_a_file_by_a_folder(command: Command, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    for out in (tmp_path / "out", tmp_path / "out" / "below"):
        ended = command("demo", "--out", out, "--no-lava")
        assert ended.status == 2 and str(tmp_path / "out") in ended.error
    assert (tmp_path / "out").read_text() == "mine"


@pytest.mark.parametrize("sentence", ["", "   ", "\n"])
def test_an_empty_sentence_is_refused(command: Command, light_bundle: Path, sentence: str) -> None:
    ended = command("classify", "good", sentence, "--bundle", light_bundle, "--json")
    assert ended.status == 2 and "0 words" in ended.error


def test_a_sentence_that_is_not_utf_8_is_refused(command: Command, light_bundle: Path) -> None:
    ended = command("classify", b"caf\xe9".decode("utf-8", "surrogateescape"), "--bundle", light_bundle)
    assert ended.status == 2 and "UTF-8" in ended.error


def test_ten_thousand_words_are_cut_and_said_so(command: Command, light_bundle: Path) -> None:
    ended = command("classify", "good", "good " * 10_000, "--bundle", light_bundle, "--json")
    assert ended.status == 0
    assert "sentence 2: 10002 word pieces, cut to 8" in ended.err and "sentence 1" not in ended.err
    short, long = ended.json["results"]  # type: ignore[misc]
    assert long["truncated_from"] == 10_002 and "truncated_from" not in short
    same = command("classify", "good " * 6, "--bundle", light_bundle, "--json").json["results"][0]  # type: ignore[index]
    assert long["integer_logits"] == same["integer_logits"] and "truncated_from" not in same


@pytest.mark.parametrize("verb", ["simulate", "energy", "encode"])
def test_rows_that_were_cut_are_said_to_a_person_too(
    command: Command, light_bundle: Path, tmp_path: Path, verb: str
) -> None:
    path = tsv(tmp_path, GOOD + "word " * 10_000 + "\t0\n")
    option = ("--out", tmp_path / "inputs.npz") if verb == "encode" else ()
    named = (
        (light_bundle, "--data", path, "--profile", "loihi1") if verb == "energy" else (path, "--bundle", light_bundle)
    )
    ended = command(verb, *named, *option)
    assert ended.status == 0 and "1 of them cut to 8" in " ".join(ended.err.split())


@pytest.mark.parametrize("samples", [129, 10**9])
def test_more_samples_than_are_shipped_are_refused(command: Command, light_bundle: Path, samples: int) -> None:
    ended = command("verify", light_bundle, "--samples", samples, "--backend", "simulator")
    assert ended.status == 2 and f"--samples {samples}: 128 sentences" in ended.error


@pytest.mark.parametrize(
    "arguments",
    [
        ["dance"],
        ["classify"],
        ["classify", "good", "--dance"],
        ["verify", "somewhere", "--samples", "0"],
        ["verify", "somewhere", "--samples", "many"],
        ["export", "paper", "out"],
        ["export", "nir", "out", "--tokens", "1"],
        ["export", "nir", "out", "--tokens", "513"],
        ["profiles", "dance"],
        ["watermark", "verify"],
        ["distill", "out"],
    ],
    ids=" ".join,
)
def test_a_command_line_that_is_none_gets_usage_and_status_2(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = command(*arguments)
    assert ended.status == 2 and ended.out == "" and "Error" in ended.err
    assert not any(tmp_path.iterdir())


def test_help_and_nothing_at_all(command: Command) -> None:
    ended = command("--help")
    assert ended.status == 0 and "classify" in ended.out and ended.err == ""


@pytest.mark.parametrize("out", ["no/such/folder/inputs.npz", "folder.npz", "file/inputs.npz"])
def test_an_output_that_cannot_be_written_is_named(
    command: Command, light_bundle: Path, tmp_path: Path, out: str
) -> None:
    (tmp_path / "folder.npz").mkdir()
    (tmp_path / "file").write_text("mine")
    ended = command("encode", tsv(tmp_path, GOOD), "--out", tmp_path / out, "--bundle", light_bundle)
    assert ended.status == 2 and str(tmp_path / out) in ended.error
    assert (tmp_path / "file").read_text() == "mine"


def test_encode_writes_the_file_it_names(command: Command, light_bundle: Path, tmp_path: Path) -> None:
    out = tmp_path / "inputs"  # numpy would add .npz
    ended = command("encode", tsv(tmp_path, GOOD), "--out", out, "--bundle", light_bundle, "--json")
    assert ended.status == 0 and Path(str(ended.json["inputs"])) == out
    with np.load(out) as data:
        assert data["spikes"].shape == (1, 4, 17, 8)


def without(name: str) -> object:
    return lambda folder: (folder / name).unlink()


STUDENT_DAMAGE = {
    "config missing": (without("config.json"), "config.json"),
    "weights missing": (without("student.safetensors"), "student.safetensors"),
    "tokenizer missing": (without("tokenizer.json"), "tokenizer.json"),
    "tokenizer broken": (lambda f: (f / "tokenizer.json").write_text("{}"), "tokenizer.json"),
    "config empty": (lambda f: (f / "config.json").write_text("{}"), "config.json"),
    "config of no student": (
        lambda f: (f / "config.json").write_text('{"format": "spikeport.student/1"}'),
        "config.json",
    ),
    "weights cut": (
        lambda f: (f / "student.safetensors").write_bytes((f / "student.safetensors").read_bytes()[:-9]),
        "student.safetensors",
    ),
    "odd bias": (lambda f: change_tensor(f, "block0.q.bias", (0,), 3), "block0.q"),
    "bias too large for the chip": (lambda f: change_tensor(f, "block0.fc1.bias", (0,), 2**20), "block0.fc1"),
}


@pytest.mark.parametrize(("damage", "said"), STUDENT_DAMAGE.values(), ids=STUDENT_DAMAGE)
def test_a_bad_student_leaves_the_bundle_that_was_there(
    command: Command, light: Path, spoilt: Path, tmp_path: Path, damage: object, said: str
) -> None:
    student = Path(shutil.copytree(light, tmp_path / "student"))
    damage(student)  # type: ignore[operator]
    before = snapshot(spoilt)
    ended = command("export", "nir", spoilt, "--student", student, "--json")
    assert ended.status == 2 and said in ended.error
    assert snapshot(spoilt) == before
    ended = command("export", "nir", tmp_path / "fresh", "--student", student)
    assert ended.status == 2 and not (tmp_path / "fresh").exists()


@pytest.mark.parametrize("name", ["README.md", "manifest.json"])
def test_export_does_not_overwrite_what_spikeport_did_not_write(
    command: Command, light: Path, tmp_path: Path, name: str
) -> None:
    out = tmp_path / "project"
    out.mkdir()
    (out / name).write_text('{"name": "my web application"}')
    ended = command("export", "nir", out, "--student", light)
    assert ended.status == 2 and str(out / name) in ended.error
    assert snapshot(out) == {name: b'{"name": "my web application"}'}


def test_export_into_the_student_folder_itself_is_refused(command: Command, light: Path, tmp_path: Path) -> None:
    student = Path(shutil.copytree(light, tmp_path / "student"))
    before = snapshot(student)
    ended = command("export", "nir", student, "--student", student)
    assert ended.status == 2 and str(student) in ended.error and snapshot(student) == before


def test_export_onto_a_file_is_refused(command: Command, light: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        ended = command("export", "nir", out, "--student", light)
        assert ended.status == 2 and str(tmp_path / "file") in ended.error
    assert (tmp_path / "file").read_text() == "mine"


def test_a_student_of_another_shape_is_no_partner_for_verify(
    command: Command, light_bundle: Path, tmp_path: Path
) -> None:
    for name, shape in {"tokens": {"tokens": 4}, "width": {"width": 8}, "blocks": {"blocks": 2}}.items():
        student = write_student(tmp_path / name, **({"blocks": 1} | shape))  # type: ignore[arg-type]
        ended = command("verify", light_bundle, "--against", student, "--backend", "simulator", "--samples", 1)
        assert ended.status == 2 and str(student) in ended.error, name


def test_pricing_without_the_teachers_shape_says_so(command: Command, spoilt: Path, tmp_path: Path) -> None:
    edit_manifest(spoilt, lambda m: m["facts"].pop("teacher"))
    ended = command("energy", spoilt, "--data", tsv(tmp_path, GOOD))
    assert ended.status == 2 and "teacher" in ended.error


def test_a_sentence_longer_than_the_position_table_is_never_run_wrongly(
    command: Command, light: Path, tmp_path: Path
) -> None:
    """64 slots, 8 position rows: cut to the 8 that the student knows, and said so."""
    assert command("export", "nir", tmp_path / "wide", "--student", light, "--tokens", 64).status == 0
    ended = command("classify", "good " * 10_000, "--bundle", tmp_path / "wide", "--json")
    assert ended.status == 0 and "10002 word pieces, cut to 8" in ended.err
    short = command("classify", "good " * 6, "--bundle", tmp_path / "wide", "--json")
    assert ended.json["results"][0]["integer_logits"] == short.json["results"][0]["integer_logits"]  # type: ignore[index]


def test_watermark_commands_refuse_in_one_line(command: Command, light_bundle: Path, tmp_path: Path) -> None:
    one = command("watermark", "verify", "--bundle", light_bundle, "--clean", light_bundle)
    assert one.status == 2 and "at least 2" in one.error
    other = command(
        "watermark", "verify", "--bundle", light_bundle, "--clean", light_bundle, "--clean", light_bundle,
        "--backend", "toaster",
    )  # fmt: skip
    assert other.status == 2 and "toaster" in other.error
    (tmp_path / "key").write_text("{}")
    key = command(
        "watermark", "verify", "--bundle", light_bundle, "--clean", light_bundle, "--clean", light_bundle,
        "--key", tmp_path / "key",
    )  # fmt: skip
    assert key.status == 2 and str(tmp_path / "key") in key.error
    again = command("watermark", "keygen", tmp_path / "key")
    assert again.status == 2 and (tmp_path / "key").read_text() == "{}"


@pytest.mark.parametrize("text", ["", "name = 3", "= broken", "\x00"])
def test_a_profile_that_is_none_is_refused(command: Command, tmp_path: Path, text: str) -> None:
    (tmp_path / "chip[1].toml").write_text(text)
    ended = command("profiles", "check", tmp_path / "chip[1].toml")
    faults = ended.err.strip().splitlines()  # a check tells them all
    assert ended.status == 2 and faults
    assert all(line.startswith("spikeport: ") and str(tmp_path / "chip[1].toml") in line for line in faults)


def test_an_unknown_profile_is_named(command: Command) -> None:
    ended = command("profiles", "show", "loihi9")
    assert ended.status == 2 and "loihi9" in ended.error


def test_a_recipe_that_is_none_is_refused(command: Command, tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    ended = command("distill", tmp_path / "out", "--data", tmp_path, "--recipe", "no-such", "--work", tmp_path / "work")
    assert ended.status == 2 and "no-such" in ended.error
    assert not (tmp_path / "out").exists()
