"""Commitments: digest by hashlib alone, opening, tampering, signatures against cryptography itself."""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from toolkit.errors import MissingComponentError, SpikeportError
from toolkit.watermark.certificate import Commitment, check, commit, open_certificate
from toolkit.watermark.key import Key
from toolkit.watermark.plan import TestPlan
from toolkit.watermark.signature import SigningKey, sign, signed_by

KEY = Key(bytes(range(32)))
PLAN = TestPlan(queries=200, labels=2)


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    weights, manifest = tmp_path / "model.safetensors", tmp_path / "manifest.json"
    weights.write_bytes(bytes(range(256)) * 5000)
    manifest.write_text('{"format": "example"}')
    return weights, manifest


@pytest.fixture
def commitment(files: tuple[Path, Path]) -> Commitment:
    return commit(KEY, *files, PLAN, owner="Ada", release="1.0", tool_version="0.1.0")


def _prefixed(*fields: bytes) -> bytes:
    return b"".join(len(entry).to_bytes(8, "big") + entry for entry in fields)


def test_digest_binds_all_fields_in_order(commitment: Commitment, files: tuple[Path, Path]) -> None:
    hashed = [hashlib.sha256(path.read_bytes()).digest() for path in files]
    key = hashlib.sha256(_prefixed(b"spikeport.key-commitment/1", KEY.secret)).digest()
    fields = (key, *hashed, b"Ada", b"1.0", b"0.1.0", bytes.fromhex(PLAN.sha256))
    assert commitment.digest == hashlib.sha256(_prefixed(b"spikeport.commitment/2", *fields)).hexdigest()


def test_fields_cannot_run_into_each_other(commitment: Commitment) -> None:
    moved = replace(commitment, owner="Ada1", release=".0")
    assert moved.digest != commitment.digest


def test_round_trip_and_no_secret(commitment: Commitment, tmp_path: Path) -> None:
    path = tmp_path / "commitment.json"
    commitment.save(path)
    assert Commitment.load(path) == commitment
    assert json.loads(path.read_text())["format"] == "spikeport.commitment/2"
    assert KEY.secret.hex() not in path.read_text()
    with pytest.raises(SpikeportError, match="never overwritten"):
        commitment.save(path)


def test_opens_with_the_right_key_and_files(commitment: Commitment, files: tuple[Path, Path]) -> None:
    assert check(commitment, KEY, *files, PLAN) == ()


def test_opening_names_what_differs(commitment: Commitment, files: tuple[Path, Path]) -> None:
    weights, manifest = files
    assert check(commitment, Key(bytes(32)), weights, manifest, PLAN) == ("key",)
    assert check(commitment, KEY, weights, manifest, replace(PLAN, alpha=1e-5)) == ("plan",)
    changed = bytearray(weights.read_bytes())
    changed[77] ^= 1
    weights.write_bytes(bytes(changed))
    manifest.write_text("{}")
    assert check(commitment, KEY, weights, manifest, PLAN) == ("model", "manifest")
    weights.unlink()
    with pytest.raises(SpikeportError, match="cannot be read"):
        check(commitment, KEY, weights, manifest, PLAN)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"owner": "Eve"}, "file was altered"),
        ({"key_commitment": "00" * 32}, "file was altered"),
        ({"key_commitment": "00"}, "2 characters where 64"),
        ({"digest": None}, "NoneType where 64"),
        ({"owner": 3}, "owner is 3, must be a text"),
        ({"format": "spikeport.commitment/3"}, "use a spikeport that reads spikeport.commitment/3"),
        ({"format": "spikeport.commitment/1"}, "not supported"),
        ({"plan": []}, "plan is"),
        ({"plan": PLAN.to_dict() | {"alpha": 0.5}}, "file was altered"),
        ({"plan": PLAN.to_dict() | {"alpha": 2.0}}, "alpha is 2.0"),
        ({"extra": ""}, "missing or unknown: extra"),
        ({"signature": "00" * 64}, "signature without public key"),
        ({"owner": "\ud800"}, "file was altered"),
    ],
)
def test_altered_file_is_refused(commitment: Commitment, tmp_path: Path, change: dict[str, Any], message: str) -> None:
    path = tmp_path / "commitment.json"
    path.write_text(json.dumps({**commitment.to_dict(), **change}))
    with pytest.raises(SpikeportError, match=message):
        Commitment.load(path)


def test_a_missing_field_is_refused(commitment: Commitment, tmp_path: Path) -> None:
    path = tmp_path / "commitment.json"
    for name in commitment.to_dict():
        document = commitment.to_dict()
        del document[name]
        path.write_text(json.dumps(document))
        with pytest.raises(SpikeportError):
            Commitment.load(path)


def test_a_claim_needs_owner_and_release(files: tuple[Path, Path]) -> None:
    with pytest.raises(SpikeportError, match="owner is empty"):
        commit(KEY, *files, PLAN, owner=" ", release="1", tool_version="0.1.0")
    with pytest.raises(SpikeportError, match="release is empty"):
        commit(KEY, *files, PLAN, owner="Ada", release="", tool_version="0.1.0")


def test_signature_round_trip(commitment: Commitment, tmp_path: Path) -> None:
    private = Ed25519PrivateKey.generate()
    public = private.public_key()
    signed = sign(commitment, private.private_bytes_raw())
    message = _prefixed(b"spikeport.commitment-signature/1", bytes.fromhex(commitment.digest))
    public.verify(bytes.fromhex(signed.signature), message)  # raises if it is not a plain Ed25519 signature
    signed.save(tmp_path / "signed.json")
    loaded = Commitment.load(tmp_path / "signed.json")
    assert loaded == signed
    assert loaded.digest == commitment.digest
    assert signed_by(loaded, public.public_bytes_raw())


def test_signature_refusals(commitment: Commitment) -> None:
    private = Ed25519PrivateKey.generate()
    public = private.public_key().public_bytes_raw()
    signed = sign(commitment, private.private_bytes_raw())
    assert not signed_by(commitment, public)
    assert not signed_by(signed, Ed25519PrivateKey.generate().public_key().public_bytes_raw())
    assert not signed_by(replace(signed, owner="Eve"), public)
    with pytest.raises(SpikeportError, match="needs 32"):
        sign(commitment, b"short")
    with pytest.raises(SpikeportError, match="needs 32"):
        signed_by(signed, b"short")


def test_without_cryptography_the_command_is_named(commitment: Commitment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.asymmetric", None)
    with pytest.raises(MissingComponentError, match="pip install cryptography"):
        sign(commitment, bytes(32))


def test_a_third_party_opens_it_with_the_revealed_key_alone(commitment: Commitment, tmp_path: Path) -> None:
    path = tmp_path / "commitment.json"
    commitment.save(path)
    opened = open_certificate(path, KEY)
    assert opened.plan == PLAN and opened.owner == "Ada"
    with pytest.raises(SpikeportError, match="another key") as refusal:
        open_certificate(path, Key(bytes(32)))
    assert KEY.secret.hex() not in str(refusal.value) and "00" * 32 not in str(refusal.value)


def test_a_signing_key_is_a_private_file_of_its_own(commitment: Commitment, tmp_path: Path) -> None:
    key, path = SigningKey.generate(), tmp_path / "signing.json"
    key.save(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert SigningKey.load(path) == key and key.private.hex() not in repr(key)
    public = Ed25519PrivateKey.from_private_bytes(key.private).public_key().public_bytes_raw()
    assert key.public == public
    assert signed_by(sign(commitment, key.private), public)
    with pytest.raises(SpikeportError, match="never overwritten"):
        key.save(path)
