"""Unambiguous byte strings and strict JSON documents: what every hash and file of this package rests on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from toolkit.errors import SpikeportError

MAX_DOCUMENT_BYTES = 1 << 20
"""Keys, plans and commitments are a few hundred bytes; anything much larger is not one of them."""


def frame(*fields: bytes) -> bytes:
    """Concatenate fields, each behind its length as 8 bytes big-endian.

    Plain concatenation would let ("ab", "c") and ("a", "bc") share a hash; length prefixes make the
    encoding injective.
    """
    return b"".join(len(field).to_bytes(8, "big") + field for field in fields)


def text_bytes(text: str) -> bytes:
    """UTF-8; a lone surrogate, which JSON can smuggle in, gets bytes of its own instead of an exception."""
    return text.encode("utf-8", "surrogatepass")


def read_document(path: Path | str, kind: str, version: int) -> dict[str, Any]:
    """Read a JSON object whose ``format`` is ``<kind>/<version>``.

    Raises:
        SpikeportError: missing or unreadable file, not a JSON object, another or a newer format.
    """
    path = Path(path)
    try:
        with path.open("rb") as stream:
            raw = stream.read(MAX_DOCUMENT_BYTES + 1)
    except OSError as error:
        raise SpikeportError(f"{path}: cannot be read ({error.strerror}); give the path of a {kind} file") from error
    if len(raw) > MAX_DOCUMENT_BYTES:
        raise SpikeportError(f"{path}: larger than {MAX_DOCUMENT_BYTES} bytes; a {kind} file is far smaller")
    try:
        document = json.loads(raw.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise SpikeportError(f"{path}: not JSON; give the path of a {kind} file") from error
    if not isinstance(document, dict):
        raise SpikeportError(f"{path}: JSON but not an object; give the path of a {kind} file")
    check_format(document, kind, version, str(path))
    return document


def check_format(document: dict[str, Any], kind: str, version: int, name: str) -> None:
    """Accept exactly ``<kind>/<version>``; say which version a newer document needs.

    Raises:
        SpikeportError: another kind, a malformed version or a version that is not ours.
    """
    found = document.get("format")
    prefix, _, number = found.rpartition("/") if isinstance(found, str) else ("", "", "")
    if prefix != kind or not (number.isascii() and number.isdigit()) or len(number) > 9:
        raise SpikeportError(f"{name}: format {found!r:.60} is not {kind}/{version}; give a {kind} file")
    if int(number) > version:
        raise SpikeportError(
            f"{name}: format {found} is newer than {kind}/{version}; use a spikeport that reads {found}"
        )
    if int(number) != version:
        raise SpikeportError(f"{name}: format {found} is not supported; this spikeport reads {kind}/{version}")


def expect_hex(value: object, size: int, name: str) -> bytes:
    """Decode ``2 * size`` hexadecimal digits.

    Raises:
        SpikeportError: not a string of exactly that many hexadecimal digits. The value itself is not
            repeated in the message, for it may be a secret.
    """
    if not isinstance(value, str) or len(value) != 2 * size:
        found = f"{len(value)} characters" if isinstance(value, str) else type(value).__name__
        raise SpikeportError(f"{name}: {found} where {2 * size} hexadecimal digits are needed; the file is damaged")
    try:
        decoded = bytes.fromhex(value)
    except ValueError:
        decoded = b""
    if len(decoded) != size:
        raise SpikeportError(f"{name}: not {2 * size} hexadecimal digits; the file is damaged")
    return decoded
