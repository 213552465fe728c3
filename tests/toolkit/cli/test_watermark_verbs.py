"""The watermark's verbs on random students: null record, certificate, its opening, and the test on several backends."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tests.toolkit.conftest import Command
from toolkit.watermark.null import NullRecord


@pytest.fixture
def clean(small_sdsa_bundle: Path, another_bundle: Path) -> tuple[object, ...]:
    return ("--clean", small_sdsa_bundle, "--clean", another_bundle)


@pytest.fixture
def key(command: Command, tmp_path: Path) -> Path:
    assert command("watermark", "keygen", tmp_path / "owner.key").status == 0
    assert (tmp_path / "owner.key").stat().st_mode & 0o777 == 0o600
    return tmp_path / "owner.key"


@pytest.fixture
def null(command: Command, clean: tuple[object, ...], tmp_path: Path) -> Path:
    ended = command("watermark", "null", tmp_path / "null.json", *clean, "--keys", 60, "--queries", 8, "--json")
    assert ended.status == 0, ended.err
    return tmp_path / "null.json"


@pytest.fixture
def certificate(
    command: Command, light_bundle: Path, clean: tuple[object, ...], key: Path, null: Path, tmp_path: Path
) -> Path:
    ended = command(
        "watermark", "commit", tmp_path / "certificate.json", "--owner", "Ada", "--release", "1", "--queries", 8,
        "--bundle", light_bundle, *clean, "--key", key, "--null", null,
    )  # fmt: skip
    assert ended.status == 0, ended.err
    return tmp_path / "certificate.json"


def test_a_plan_that_nothing_could_pass_is_said_to_be_so(
    command: Command, light_bundle: Path, clean: tuple[object, ...], key: Path, tmp_path: Path
) -> None:
    """Of four queries no model has an upper limit below 1 - 0.05 ** (1 / 4), and 0.53 ** 4 is far above 1e-6."""
    common = ("--owner", "Ada", "--release", "1", "--bundle", light_bundle, *clean, "--key", key)
    few = command("watermark", "commit", tmp_path / "few.json", *common, "--queries", 4)
    assert few.status == 0 and "4 hits of 4 would prove nothing" in few.err and "another key" in few.err


def test_a_null_record_says_whom_it_asked(null: Path, small_sdsa_bundle: Path, another_bundle: Path) -> None:
    record = NullRecord.load(null)
    graphs = [hashlib.sha256((b / "model.nir").read_bytes()).hexdigest() for b in (small_sdsa_bundle, another_bundle)]
    assert sorted(record.clean.values()) == sorted(graphs)
    assert record.keys == 60 and record.test["queries"] == 8
    assert record.level.bound == pytest.approx(1 - 0.05 ** (1 / 60)) or record.passes > 0


def test_an_altered_null_record_is_refused(
    command: Command, null: Path, light_bundle: Path, clean: tuple[object, ...]
) -> None:
    document = json.loads(null.read_text())
    null.write_text(json.dumps(document | {"keys": 10_000}))
    ended = command("watermark", "verify", "--bundle", light_bundle, *clean, "--null", null, "--queries", 8)
    assert ended.status == 2 and "altered" in ended.error


def test_a_null_record_of_another_plan_is_refused(
    command: Command, null: Path, light_bundle: Path, clean: tuple[object, ...]
) -> None:
    ended = command("watermark", "verify", "--bundle", light_bundle, *clean, "--null", null, "--queries", 9)
    assert ended.status == 2 and "queries" in ended.error


def test_a_null_record_of_other_graphs_under_the_same_names_is_refused(
    command: Command, null: Path, light_bundle: Path, clean: tuple[object, ...]
) -> None:
    record = NullRecord.load(null)
    replace(record, clean=dict.fromkeys(record.clean, "ab" * 32)).save(null)  # its digest is right
    ended = command("watermark", "verify", "--bundle", light_bundle, *clean, "--null", null, "--queries", 8)
    assert ended.status == 2 and "other clean models" in ended.error


def test_a_null_record_is_not_written_over_unasked(command: Command, null: Path, clean: tuple[object, ...]) -> None:
    before = null.read_bytes()
    again = command("watermark", "null", null, *clean, "--keys", 60, "--queries", 8)
    assert again.status == 2 and "--resume" in again.error and null.read_bytes() == before
    more = command("watermark", "null", null, *clean, "--keys", 70, "--queries", 8, "--resume")
    assert more.status == 0, more.err
    assert NullRecord.load(null).keys == 70


def test_what_is_resumed_is_what_would_have_been_measured_at_once(
    command: Command, null: Path, clean: tuple[object, ...], tmp_path: Path
) -> None:
    command("watermark", "null", null, *clean, "--keys", 70, "--queries", 8, "--resume")
    command("watermark", "null", tmp_path / "once.json", *clean, "--keys", 70, "--queries", 8)
    assert null.read_bytes() == (tmp_path / "once.json").read_bytes()


def test_a_certificate_opens_with_its_key_and_no_other(
    command: Command, certificate: Path, key: Path, light_bundle: Path, another_bundle: Path, tmp_path: Path
) -> None:
    opened = command("watermark", "open", certificate, "--key", key, "--bundle", light_bundle, "--json")
    assert opened.status == 0, opened.err
    assert opened.json["differs"] == [] and opened.json["signed"] is None
    secret = json.loads(key.read_text())["secret"]
    assert secret not in certificate.read_text() + opened.out + opened.err
    other = command("watermark", "open", certificate, "--key", key, "--bundle", another_bundle, "--json")
    assert other.status == 1 and other.json["differs"] == ["model", "manifest"]
    command("watermark", "keygen", tmp_path / "eve.key")
    eve = command("watermark", "open", certificate, "--key", tmp_path / "eve.key")
    assert eve.status == 2 and "another key" in eve.error


def test_a_signed_certificate(
    command: Command, light_bundle: Path, clean: tuple[object, ...], key: Path, tmp_path: Path
) -> None:
    made = command("watermark", "keygen", tmp_path / "signing.key", "--signing")
    public = made.err.split()[-1]
    out = tmp_path / "signed.json"
    ended = command(
        "watermark", "commit", out, "--owner", "Ada", "--release", "1", "--bundle", light_bundle, *clean,
        "--key", key, "--sign", tmp_path / "signing.key",
    )  # fmt: skip
    assert ended.status == 0, ended.err
    document = json.loads(out.read_text())
    tag, digest = b"spikeport.commitment-signature/1", bytes.fromhex(document["digest"])
    message = b"".join(len(part).to_bytes(8, "big") + part for part in (tag, digest))
    Ed25519PublicKey.from_public_bytes(bytes.fromhex(public)).verify(bytes.fromhex(document["signature"]), message)
    opened = command("watermark", "open", out, "--key", key, "--public-key", public)
    assert opened.status == 0 and "by that public key" in opened.err
    wrong = command("watermark", "open", out, "--key", key, "--public-key", "00" * 32)
    assert wrong.status == 1 and "NOT by that public key" in wrong.err


def test_verification_follows_the_certificates_plan_on_every_backend(
    command: Command, certificate: Path, key: Path, null: Path, light: Path, light_bundle: Path,
    clean: tuple[object, ...],
) -> None:  # fmt: skip
    ended = command(
        "watermark", "verify", "--certificate", certificate, "--key", key, "--null", null, "--bundle", light_bundle,
        *clean, "--backend", "simulator", "--backend", "torch", "--student", light, "--backend", "onnx", "--partial",
        "--json",
    )  # fmt: skip
    assert ended.status == 1  # a random student is nobody's
    entries = ended.json["backends"]
    assert [entry["backend"].split()[0] for entry in entries] == ["simulator", "torch", "onnx"]  # type: ignore[attr-defined]
    assert {(entry["queries"], entry["model"]) for entry in entries} == {(8, "committed")}  # type: ignore[attr-defined]
    assert len({entry["answers_sha256"] for entry in entries}) == 1  # type: ignore[attr-defined]
    assert ended.json["equal"] == {"queries": 8, "equal": 8, "first_difference": None}
    assert all(entry["partial"]["queries"] == 8 for entry in entries)  # type: ignore[attr-defined]
    assert ended.err.index("plan: 8 queries") < ended.err.index("triggered queries hit")  # stated first


def test_a_registered_null_record_must_be_shown(
    command: Command, certificate: Path, key: Path, light_bundle: Path, clean: tuple[object, ...]
) -> None:
    ended = command("watermark", "verify", "--certificate", certificate, "--key", key, "--bundle", light_bundle, *clean)
    assert ended.status == 2 and "null record" in ended.error


def test_torch_needs_the_bundles_own_student(
    command: Command, light_bundle: Path, small: Path, clean: tuple[object, ...]
) -> None:
    arguments = ("watermark", "verify", "--bundle", light_bundle, *clean, "--backend", "torch")
    none = command(*arguments)
    assert none.status == 2 and "--student" in none.error
    other = command(*arguments, "--student", small)
    assert other.status == 2 and str(small) in other.error


def test_a_clean_model_is_no_suspect(command: Command, another_bundle: Path, clean: tuple[object, ...]) -> None:
    ended = command("watermark", "verify", "--bundle", another_bundle, *clean)
    assert ended.status == 2 and "clean models" in ended.error


def test_carriers_without_a_sentence_are_refused(
    command: Command, light_bundle: Path, clean: tuple[object, ...], tmp_path: Path
) -> None:
    (tmp_path / "empty.tsv").write_text("text\tlabel\n")
    ended = command("watermark", "verify", "--bundle", light_bundle, *clean, "--carriers", tmp_path / "empty.tsv")
    assert ended.status == 2 and str(tmp_path / "empty.tsv") in ended.error


def test_a_combination_has_a_plan_of_its_own(
    command: Command, light_bundle: Path, clean: tuple[object, ...], tmp_path: Path
) -> None:
    out = tmp_path / "combination.json"
    common = ("--owner", "Ada", "--release", "1", "--bundle", light_bundle, *clean, "--kind", "combination")
    ended = command("watermark", "commit", out, *common)
    assert ended.status == 0, ended.err
    plan = json.loads(out.read_text())["plan"]
    assert (plan["kind"], plan["triggers"]) == ("combination", 2)
    wrong = command("watermark", "commit", tmp_path / "b.json", *common, "--triggers", 5)
    assert wrong.status == 2 and "2 to 4" in wrong.error and not (tmp_path / "b.json").exists()


def test_another_tokenizer_is_refused(
    command: Command, light_bundle: Path, clean: tuple[object, ...], tmp_path: Path
) -> None:
    from tests.toolkit.conftest import resign

    spoilt = Path(shutil.copytree(light_bundle, tmp_path / "bundle"))
    tokenizer = json.loads((spoilt / "tokenizer.json").read_text(encoding="utf-8"))
    words = tokenizer["model"]["vocab"]
    first, second = sorted(words, key=words.get)[-2:]
    words[first], words[second] = words[second], words[first]
    (spoilt / "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    resign(spoilt, "tokenizer.json")
    ended = command("watermark", "verify", "--bundle", spoilt, *clean)
    assert ended.status == 2 and "tokenizer" in ended.error


def test_a_program_is_a_black_box(
    command: Command, certificate: Path, key: Path, null: Path, light_bundle: Path, clean: tuple[object, ...]
) -> None:
    arguments = (
        "watermark", "verify", "--certificate", certificate, "--key", key, "--null", null, "--bundle", light_bundle,
        *clean, "--json", "--backend",
    )  # fmt: skip
    spoken = f"{sys.executable} -c \"import sys; [print('label 1') for _ in sys.stdin]\""
    ended = command(*arguments, f"command:{spoken}")
    assert ended.status == 1, ended.err
    (entry,) = ended.json["backends"]  # type: ignore[misc]
    assert entry["mode"] == "black box" and entry["model"] != "committed"
    for program, why in (("sleep 60", "no answer within"), ("echo nonsense", "lines for"), ("/none", "started")):
        refused = command(*arguments, f"command:{program}", "--timeout", 1)
        assert refused.status == 2 and why in refused.err.splitlines()[-1] and refused.out == ""
