"""Ed25519 over a commitment's digest: who published it. The signing key is a file of its own, mode 0600."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from toolkit.errors import MissingComponentError, SpikeportError
from toolkit.watermark.certificate import Commitment
from toolkit.watermark.framing import expect_hex, frame, read_document

SIGNATURE_TAG = b"spikeport.commitment-signature/1"
KIND, VERSION = "spikeport.signing-key", 1
KEY_BYTES = 32


@dataclass(frozen=True)
class SigningKey:
    """An Ed25519 private key (32 raw bytes); never shown by ``repr``, and not the watermark's key."""

    private: bytes = field(repr=False)

    @classmethod
    def generate(cls) -> SigningKey:
        """A fresh key: an Ed25519 private key is any 32 random bytes (RFC 8032, 5.1.5)."""
        return cls(secrets.token_bytes(KEY_BYTES))

    @property
    def public(self) -> bytes:
        """The public key, 32 raw bytes.

        Raises:
            MissingComponentError: ``cryptography`` is not installed.
        """
        raw: bytes = _private(self.private).public_key().public_bytes_raw()
        return raw

    def save(self, path: Path | str) -> None:
        """Write the key file with mode 0600.

        Raises:
            SpikeportError: the file exists or cannot be written.
        """
        document = {"format": f"{KIND}/{VERSION}", "private": self.private.hex()}
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError as error:
            raise SpikeportError(f"{path}: exists, and a key is never overwritten; name another file") from error
        except OSError as error:
            raise SpikeportError(f"{path}: cannot be written ({error.strerror}); name another file") from error
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(json.dumps(document) + "\n")

    @classmethod
    def load(cls, path: Path | str) -> SigningKey:
        """Read a key file.

        Raises:
            SpikeportError: missing, not JSON, another or newer format, wrong length.
        """
        document = read_document(path, KIND, VERSION)
        return cls(expect_hex(document.get("private"), KEY_BYTES, f"{path}: private"))


def sign(commitment: Commitment, private_key: bytes) -> Commitment:
    """The commitment with an Ed25519 signature over its digest.

    Args:
        private_key: 32 raw bytes.

    Raises:
        MissingComponentError: ``cryptography`` is not installed.
        SpikeportError: the private key is not 32 bytes.
    """
    signer = _private(private_key)
    return replace(
        commitment,
        public_key=signer.public_key().public_bytes_raw().hex(),
        signature=signer.sign(_signed_bytes(commitment)).hex(),
    )


def signed_by(commitment: Commitment, public_key: bytes) -> bool:
    """Whether the commitment is signed by the owner of ``public_key`` (32 raw bytes).

    The key must come from elsewhere than the commitment, which anybody can sign with a key of their own.

    Raises:
        MissingComponentError: ``cryptography`` is not installed.
        SpikeportError: the public key is not 32 bytes.
    """
    ed25519 = _ed25519()
    if len(public_key) != 32:
        raise SpikeportError(f"signature: public key of {len(public_key)} bytes, Ed25519 needs 32; give the raw key")
    from cryptography.exceptions import InvalidSignature

    if commitment.public_key != public_key.hex():
        return False
    try:
        verifier = ed25519.Ed25519PublicKey.from_public_bytes(public_key)
        verifier.verify(bytes.fromhex(commitment.signature), _signed_bytes(commitment))
    except InvalidSignature:
        return False
    return True


def _private(raw: bytes) -> Any:
    ed25519 = _ed25519()
    if len(raw) != KEY_BYTES:
        raise SpikeportError(f"signature: private key of {len(raw)} bytes, Ed25519 needs 32; give the raw key")
    return ed25519.Ed25519PrivateKey.from_private_bytes(raw)


def _signed_bytes(commitment: Commitment) -> bytes:
    return frame(SIGNATURE_TAG, bytes.fromhex(commitment.digest))


def _ed25519() -> Any:
    try:
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError as error:
        raise MissingComponentError(
            "signature: the package cryptography is not installed; run `pip install cryptography`"
        ) from error
    return ed25519
