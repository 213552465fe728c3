"""Key files, derivations and their refusals; derivations against hashlib and hmac alone."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import stat
from pathlib import Path

import pytest

from toolkit.errors import SpikeportError
from toolkit.watermark.key import Key, demo_key, uniform_below

PUBLISHED = hashlib.sha256(b"spikeport demonstration key: published, proves nothing").digest()


def _prefixed(*fields: bytes) -> bytes:
    return b"".join(len(entry).to_bytes(8, "big") + entry for entry in fields)


def test_generated_keys_differ_and_are_256_bits() -> None:
    one, other = Key.generate(), Key.generate()
    assert one.secret != other.secret
    assert len(one.secret) == 32
    assert not one.demo


def test_secret_is_not_shown() -> None:
    key = Key(bytes(range(32)))
    shown = f"{key!r} {key}"
    assert key.secret.hex() not in shown
    assert repr(key.secret) not in shown


def test_saved_file_is_private_whatever_the_umask(tmp_path: Path) -> None:
    path = tmp_path / "owner.key"
    old = os.umask(0)
    try:
        Key(bytes(32)).save(path)
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(path.read_text()) == {"format": "spikeport.key/1", "secret": "00" * 32, "demo": False}


def test_save_load_round_trip(tmp_path: Path) -> None:
    key = Key.generate()
    key.save(tmp_path / "owner.key")
    assert Key.load(tmp_path / "owner.key") == key


def test_save_refuses_to_overwrite_and_follows_no_link(tmp_path: Path) -> None:
    path = tmp_path / "owner.key"
    path.write_text("precious")
    with pytest.raises(SpikeportError, match="never overwritten"):
        Key.generate().save(path)
    assert path.read_text() == "precious"
    link = tmp_path / "link.key"
    link.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SpikeportError, match="never overwritten"):
        Key.generate().save(link)
    with pytest.raises(SpikeportError, match="cannot be written"):
        Key.generate().save(tmp_path / "no" / "such" / "folder")


GOOD = {"format": "spikeport.key/1", "secret": "ab" * 32, "demo": False}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff\xfe", "not JSON"),
        (b"{", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[1]", "not an object"),
        ({}, "format None is not spikeport.key/1"),
        ({**GOOD, "format": "spikeport.commitment/1"}, "is not spikeport.key/1"),
        ({**GOOD, "format": "spikeport.key/x"}, "is not spikeport.key/1"),
        ({**GOOD, "format": "spikeport.key/2"}, r"newer.*use a spikeport that reads spikeport.key/2"),
        ({**GOOD, "format": "spikeport.key/0"}, "not supported"),
        ({**GOOD, "secret": "ab" * 31}, "62 characters where 64"),
        ({**GOOD, "secret": "zz" * 32}, "not 64 hexadecimal"),
        ({**GOOD, "secret": "ab " + "ab" * 30 + " "}, "64 hexadecimal"),
        ({**GOOD, "secret": 7}, "int where 64"),
        ({"format": "spikeport.key/1", "secret": "ab" * 32}, "demo must be"),
        (b" " * (1 << 20) + b"{}", "larger than"),
    ],
)
def test_load_refuses_in_one_line(tmp_path: Path, content: bytes | dict[str, object], message: str) -> None:
    path = tmp_path / "owner.key"
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    with pytest.raises(SpikeportError, match=message) as caught:
        Key.load(path)
    assert "\n" not in str(caught.value)
    assert "ab" * 15 not in str(caught.value), "the secret leaked into the message"


def test_load_refuses_missing_file_and_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "none.key", tmp_path):
        with pytest.raises(SpikeportError, match="cannot be read"):
            Key.load(path)


def test_wrong_secret_length_is_refused() -> None:
    with pytest.raises(SpikeportError, match="32 bytes"):
        Key(bytes(16))


def test_demo_key_is_the_published_one() -> None:
    assert demo_key().secret == PUBLISHED
    assert demo_key().demo


def test_published_secret_cannot_pose_as_a_real_key() -> None:
    with pytest.raises(SpikeportError, match="published"):
        Key(PUBLISHED, demo=False)


def test_key_commitment_is_tagged_sha256() -> None:
    secret = bytes(range(32))
    expected = hashlib.sha256(_prefixed(b"spikeport.key-commitment/1", secret)).hexdigest()
    assert Key(secret).commitment == expected


def test_stream_is_hmac_in_counter_mode() -> None:
    secret = bytes(range(32))
    stream = Key(secret).stream("purpose", b"one", b"two")
    for counter in range(5):
        message = _prefixed(b"spikeport.watermark/1", b"purpose", b"one", b"two", counter.to_bytes(8, "big"))
        assert next(stream) == int(hmac.new(secret, message, hashlib.sha256).hexdigest(), 16)


def test_fields_cannot_run_into_each_other() -> None:
    key = Key(bytes(32))
    assert next(key.stream("p", b"ab", b"c")) != next(key.stream("p", b"a", b"bc"))
    assert next(key.stream("p", b"abc")) != next(key.stream("p", b"ab", b"c"))


def test_uniform_below_rejects_the_incomplete_run() -> None:
    last_run = 2**256 // 3 * 3  # 2**256 = 1 mod 3: exactly one block, the largest, is incomplete
    assert uniform_below(iter([last_run, 2**256 - 1, 5]), 3) == 2
    assert uniform_below(iter([last_run - 1]), 3) == 2
    assert uniform_below(iter([2**256 - 1]), 2**256) == 2**256 - 1
