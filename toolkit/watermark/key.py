"""The owner's key: a 256-bit secret from which every trigger, target and query is derived.

All derivations go through :meth:`Key.stream`, HMAC-SHA256 in counter mode over length-prefixed fields, so
that they can be repeated by anybody who is shown the secret, in any process and any language.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from toolkit.errors import SpikeportError
from toolkit.watermark.framing import expect_hex, frame, read_document

KEY_BYTES = 32
KIND, VERSION = "spikeport.key", 1
DERIVATION_TAG = b"spikeport.watermark/1"
COMMITMENT_TAG = b"spikeport.key-commitment/1"
DEMO_PHRASE = b"spikeport demonstration key: published, proves nothing"
_DEMO_SECRET = hashlib.sha256(DEMO_PHRASE).digest()


@dataclass(frozen=True)
class Key:
    """A watermark key.

    Attributes:
        secret: 32 bytes; never shown by ``repr``.
        demo: True for a published key, with which nothing can be proved.

    Raises:
        SpikeportError: the secret is not 32 bytes, or is the published one without ``demo``.
    """

    secret: bytes = field(repr=False)
    demo: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.secret, bytes) or len(self.secret) != KEY_BYTES:
            raise SpikeportError(f"key: the secret must be {KEY_BYTES} bytes; make one with `watermark keygen`")
        if not self.demo and self.secret == _DEMO_SECRET:
            # Editing the flag in a copy of the demo file must not turn a published secret into a proof.
            raise SpikeportError("key: this secret is published; make your own with `watermark keygen`")

    @classmethod
    def generate(cls) -> Key:
        """A fresh key from the operating system's random source."""
        return cls(secrets.token_bytes(KEY_BYTES))

    @property
    def commitment(self) -> str:
        """SHA-256, in hex, of tag and secret: publishable, for 256 bits of entropy cannot be searched."""
        return hashlib.sha256(frame(COMMITMENT_TAG, self.secret)).hexdigest()

    def stream(self, purpose: str, *fields: bytes) -> Iterator[int]:
        """Endless 256-bit integers for one purpose.

        Block i is HMAC-SHA256(secret, frame(tag, purpose, *fields, i as 8 bytes)), read big-endian.
        """
        head = frame(DERIVATION_TAG, purpose.encode(), *fields)
        counter = 0
        while True:
            block = hmac.digest(self.secret, head + frame(counter.to_bytes(8, "big")), "sha256")
            yield int.from_bytes(block, "big")
            counter += 1

    def save(self, path: Path | str) -> None:
        """Write the key file with mode 0600.

        Raises:
            SpikeportError: the file exists (a lost key cannot be replaced) or cannot be written.
        """
        document = {"format": f"{KIND}/{VERSION}", "secret": self.secret.hex(), "demo": self.demo}
        try:
            # O_EXCL and the mode at creation: at no moment can another user read it, nor a link divert it.
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError as error:
            raise SpikeportError(f"{path}: exists, and a key is never overwritten; name another file") from error
        except OSError as error:
            raise SpikeportError(f"{path}: cannot be written ({error.strerror}); name another file") from error
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(json.dumps(document) + "\n")

    @classmethod
    def load(cls, path: Path | str) -> Key:
        """Read a key file.

        Raises:
            SpikeportError: missing, not JSON, another or newer format, wrong length, no ``demo`` flag.
        """
        document = read_document(path, KIND, VERSION)
        secret = expect_hex(document.get("secret"), KEY_BYTES, f"{path}: secret")
        if not isinstance(document.get("demo"), bool):
            raise SpikeportError(f"{path}: demo must be true or false; the file is damaged")
        return cls(secret, document["demo"])


def uniform_below(stream: Iterator[int], bound: int) -> int:
    """The next unbiased integer in [0, bound), 1 <= bound <= 2**256.

    A block is rejected when it falls in the incomplete last run of ``bound`` values: without that, small
    residues would come up more often.
    """
    limit = 2**256 - 2**256 % bound
    return next(block for block in stream if block < limit) % bound


def demo_key() -> Key:
    """The published demonstration key that ships with the package."""
    return Key.load(Path(__file__).with_name("demo_key.json"))
