"""The commitment: published before release, opened when ownership is contested.

It binds key, model, manifest, owner, release, tool and test plan in one SHA-256, and carries the plan, so
that a third party opens it with the tool and the revealed key alone. The key enters by its own commitment
only, so the file can be published at once. It holds no time: have its digest time-stamped by somebody else
(``openssl ts -query -digest DIGEST -sha256``), for a commitment that could have been made after the fact
proves nothing. One commitment, one key: whoever publishes many and opens the luckiest has to be charged for
all of them.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from toolkit.errors import SpikeportError
from toolkit.watermark.framing import check_format, expect_hex, frame, read_document, text_bytes
from toolkit.watermark.key import Key
from toolkit.watermark.plan import TestPlan

KIND, VERSION = "spikeport.commitment", 2
COMMITMENT_TAG = b"spikeport.commitment/2"
_DIGESTS = ("key_commitment", "model_sha256", "manifest_sha256")
_SIZES = {**dict.fromkeys(_DIGESTS, 32), "digest": 32, "public_key": 32, "signature": 64}


@dataclass(frozen=True, kw_only=True)
class Commitment:
    """What was committed (all public), and the optional Ed25519 signature over its digest (hex).

    Attributes:
        key_commitment: :attr:`toolkit.watermark.key.Key.commitment` of the secret key.
        model_sha256, manifest_sha256: hashes of the committed files.
        owner, release, tool_version: who claims what, made with which version.
        plan: the test that will be run, whole.
        public_key, signature: 32 and 64 bytes in hex, or both empty.
    """

    key_commitment: str
    model_sha256: str
    manifest_sha256: str
    owner: str
    release: str
    tool_version: str
    plan: TestPlan
    public_key: str = ""
    signature: str = ""

    @property
    def digest(self) -> str:
        """SHA-256, in hex, of the tag and the seven fields in order, each behind its length."""
        return hashlib.sha256(
            frame(
                COMMITMENT_TAG,
                bytes.fromhex(self.key_commitment),
                bytes.fromhex(self.model_sha256),
                bytes.fromhex(self.manifest_sha256),
                text_bytes(self.owner),
                text_bytes(self.release),
                text_bytes(self.tool_version),
                bytes.fromhex(self.plan.sha256),
            )
        ).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """JSON form; the signature's two fields only when signed."""
        stated = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        stated = {name: value for name, value in stated.items() if value or name not in _OPTIONAL}
        stated["plan"] = self.plan.to_dict()
        return {"format": f"{KIND}/{VERSION}", **stated, "digest": self.digest}

    def save(self, path: Path | str) -> None:
        """Write the commitment as JSON.

        Raises:
            SpikeportError: the file exists (what was published must not change) or cannot be written.
        """
        try:
            with Path(path).open("x", encoding="utf-8") as stream:
                stream.write(json.dumps(self.to_dict(), indent=2) + "\n")
        except FileExistsError as error:
            raise SpikeportError(f"{path}: exists, a commitment is never overwritten; name another file") from error
        except OSError as error:
            raise SpikeportError(f"{path}: cannot be written ({error.strerror}); name another file") from error

    @classmethod
    def load(cls, path: Path | str) -> Commitment:
        """Read a commitment and recompute its digest.

        Raises:
            SpikeportError: not a commitment of this format, a field missing, unknown or malformed, or a
                digest that is not that of the fields.
        """
        return cls.from_dict(read_document(path, KIND, VERSION), str(path))

    @classmethod
    def from_dict(cls, document: dict[str, Any], path: str) -> Commitment:
        """The commitment of a JSON form, its digest recomputed; ``path`` says in errors where it stands.

        Raises:
            SpikeportError: as :meth:`load`.
        """
        check_format(document, KIND, VERSION, path)
        document = {name: value for name, value in document.items() if name != "format"}
        _check_fields(document, path)
        stated = document.pop("digest")
        document["plan"] = TestPlan.from_dict(document["plan"], f"{path}: plan")
        commitment = cls(**document)
        if commitment.digest != stated.lower():
            raise SpikeportError(
                f"{path}: digest {stated:.12}... is not that of its fields ({commitment.digest:.12}...); "
                "the file was altered, get the published one"
            )
        return commitment


_OPTIONAL = ("public_key", "signature")


def commit(
    key: Key,
    weights: Path | str,
    manifest: Path | str,
    plan: TestPlan,
    *,
    owner: str,
    release: str,
    tool_version: str,
) -> Commitment:
    """Commit to a key and a plan for the model in ``weights``, described by ``manifest``.

    Raises:
        SpikeportError: a file cannot be read, or owner or release is empty.
    """
    for name, value in (("owner", owner), ("release", release)):
        if not value.strip():
            raise SpikeportError(f"commitment: {name} is empty, a claim needs one; state it")
    return Commitment(
        key_commitment=key.commitment,
        model_sha256=hash_file(weights),
        manifest_sha256=hash_file(manifest),
        owner=owner,
        release=release,
        tool_version=tool_version,
        plan=plan,
    )


def open_certificate(path: Path | str, key: Key) -> Commitment:
    """Read a commitment and open it with the revealed key.

    Raises:
        SpikeportError: the file is not a commitment, its digest or plan was altered, or another key than
            ``key`` was committed.
    """
    commitment = Commitment.load(path)
    if commitment.key_commitment != key.commitment:
        raise SpikeportError(
            f"{path}: commits to another key ({commitment.key_commitment:.12}...) than the one revealed "
            f"({key.commitment:.12}...); give the key that was committed"
        )
    return commitment


def check(
    commitment: Commitment, key: Key, weights: Path | str, manifest: Path | str, plan: TestPlan
) -> tuple[str, ...]:
    """Open a commitment: the names of what does not match it, none if all does.

    Raises:
        SpikeportError: a file cannot be read.
    """
    revealed = {
        "key": (commitment.key_commitment, key.commitment),
        "model": (commitment.model_sha256, hash_file(weights)),
        "manifest": (commitment.manifest_sha256, hash_file(manifest)),
        "plan": (commitment.plan.sha256, plan.sha256),
    }
    return tuple(name for name, (committed, shown) in revealed.items() if committed != shown)


def hash_file(path: Path | str) -> str:
    """SHA-256 of a file, in hex.

    Raises:
        SpikeportError: the file cannot be read.
    """
    try:
        with Path(path).open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise SpikeportError(f"{path}: cannot be read ({error.strerror}); give the file that was committed") from error


def _check_fields(document: dict[str, Any], path: str) -> None:
    known = {entry.name for entry in fields(Commitment)} | {"digest"}
    wrong = (document.keys() - known) | (known - set(_OPTIONAL) - document.keys())
    if wrong:
        raise SpikeportError(
            f"{path}: fields missing or unknown: {', '.join(sorted(wrong)):.200}; get the published file"
        )
    if ("public_key" in document) != ("signature" in document):
        raise SpikeportError(f"{path}: signature without public key or the reverse; get the published file")
    for name, value in document.items():
        if name in _SIZES:
            document[name] = expect_hex(value, _SIZES[name], f"{path}: {name}").hex()
        elif name == "plan":
            if not isinstance(value, dict):
                raise SpikeportError(f"{path}: plan is {value!r:.40}, must be an object; get the published file")
        elif not isinstance(value, str):
            raise SpikeportError(f"{path}: {name} is {value!r:.40}, must be a text; get the published file")
