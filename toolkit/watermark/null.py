"""The key-level false-positive rate as a file: measured once on the clean models, registered by a plan.

Measuring 10,000 random keys takes minutes; who verifies should not have to, and who doubts it can repeat it,
for keys, queries and clean models are all named. The bound is Clopper and Pearson's: 0 of 10,000 keys bound
the rate at 1 - 0.05 ** (1 / 10,000) = 3.0e-4.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit.errors import SpikeportError
from toolkit.watermark.evidence import KeyLevel
from toolkit.watermark.framing import expect_hex, frame, read_document
from toolkit.watermark.plan import TestPlan
from toolkit.watermark.queries import carriers_digest

if TYPE_CHECKING:
    from toolkit.watermark.ownership import OwnershipTest

KIND, VERSION = "spikeport.null", 1
NULL_TAG = b"spikeport.null/1"
BATCH_KEYS = 250
_LEFT_OUT = ("null_keys", "key_rate_limit", "clean_models", "null_sha256", "carriers_sha256")
_FIELDS = {"format", "test", "carriers_sha256", "clean", "keys", "passes", "digest"}


def conditions(plan: TestPlan) -> dict[str, Any]:
    """What of a plan decides whether a random key passes."""
    return {name: value for name, value in asdict(plan).items() if name not in _LEFT_OUT}


@dataclass(frozen=True)
class NullRecord:
    """Random keys that passed on any clean model, and all that the figure depends on.

    Attributes:
        test: the plan's fields that decide whether a key passes.
        carriers_sha256: digest of the carriers.
        clean: clean model's name -> SHA-256 of its graph, in hex.
        keys: random keys 0 to ``keys`` - 1 of the plan's seed.
        passes: those that passed.
    """

    test: Mapping[str, Any]
    carriers_sha256: str
    clean: Mapping[str, str]
    keys: int
    passes: int

    @property
    def level(self) -> KeyLevel:
        """Rate and bound."""
        return KeyLevel(self.keys, self.passes)

    @property
    def sha256(self) -> str:
        """Digest, in hex, of all fields: what a plan registers as ``null_sha256``."""
        text = json.dumps(self._stated(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(frame(NULL_TAG, text.encode())).hexdigest()

    def _stated(self) -> dict[str, Any]:
        stated = {"test": dict(self.test), "carriers_sha256": self.carriers_sha256, "clean": dict(self.clean)}
        return {"format": f"{KIND}/{VERSION}", **stated, "keys": self.keys, "passes": self.passes}

    def to_dict(self) -> dict[str, Any]:
        """JSON form with the digest."""
        return {**self._stated(), "digest": self.sha256}

    def save(self, path: Path | str) -> None:
        """Write the record whole or not at all, over an earlier one.

        Raises:
            SpikeportError: the file cannot be written.
        """
        path = Path(path)
        half = path.with_name(path.name + ".half")
        try:
            half.write_text(json.dumps(self.to_dict(), indent=2) + "\n", encoding="utf-8")
            os.replace(half, path)
        except OSError as error:
            raise SpikeportError(f"{path}: cannot be written ({error.strerror}); name another file") from error

    @classmethod
    def load(cls, path: Path | str) -> NullRecord:
        """Read a record and recompute its digest.

        Raises:
            SpikeportError: not a record of this format, malformed, or altered.
        """
        document = read_document(path, KIND, VERSION)
        _check_document(document, str(path))
        stated = document["digest"]
        record = cls(**{name: value for name, value in document.items() if name not in ("format", "digest")})
        if record.sha256 != stated.lower():
            raise SpikeportError(
                f"{path}: digest {stated:.12}... is not that of its fields ({record.sha256:.12}...); "
                "the file was altered, measure it again"
            )
        return record

    def level_for(self, plan: TestPlan, carriers_sha256: str, clean: list[str]) -> KeyLevel:
        """The key-level figures, if they are those of this very test.

        Raises:
            SpikeportError: the plan registered another record, or the record's plan, carriers, clean
                models or number of keys are not the test's.
        """
        if plan.null_sha256 and plan.null_sha256 != self.sha256:
            raise SpikeportError(
                f"null record: {self.sha256:.12}... is not the one that the plan registered "
                f"({plan.null_sha256:.12}...); give that one"
            )
        wrong = [name for name, value in conditions(plan).items() if self.test.get(name) != value]
        wrong += ["carriers"] if self.carriers_sha256 != carriers_sha256 else []
        wrong += ["clean models"] if sorted(self.clean) != sorted(clean) else []
        wrong += ["null_keys"] if self.keys != plan.null_keys else []
        if wrong:
            raise SpikeportError(
                f"null record: made under another {', '.join(wrong)} than the plan's; measure it for this plan "
                "with `watermark null`"
            )
        return self.level


def measure_null(
    test: OwnershipTest,
    hashes: Mapping[str, str],
    *,
    path: Path | str | None = None,
    resume: bool = False,
    jobs: int = 1,
    progress: Callable[[int, int], None] = lambda keys, passes: None,
) -> NullRecord:
    """Test the plan's random keys on every clean model, the others being its null; a key passes if on any.

    Args:
        hashes: clean model's name -> SHA-256 of its graph.
        path: file that holds what was measured so far, written after every 250 keys.
        resume: go on from ``path`` if it exists.
        jobs: clean models asked at the same time.
        progress: told (keys, passes) so far.

    Raises:
        SpikeportError: names other than the clean models', or ``path`` holds another test's record.
    """
    if sorted(hashes) != sorted(model.name for model in test.clean):
        raise SpikeportError(f"null record: hashes of {sorted(hashes)} are not the clean models'; give one for each")
    digest = carriers_digest(test.carriers)
    record = NullRecord(conditions(test.plan), digest, dict(hashes), 0, 0)
    if resume and path is not None and Path(path).exists():
        record = _resumed(NullRecord.load(path), record, path, test.plan.null_keys)
    while record.keys < test.plan.null_keys:
        last = min(record.keys + BATCH_KEYS, test.plan.null_keys)
        passes = record.passes + test.null_passes(record.keys, last, jobs)
        record = NullRecord(record.test, digest, record.clean, last, passes)
        if path is not None:
            record.save(path)
        progress(record.keys, record.passes)
    return record


def _resumed(found: NullRecord, fresh: NullRecord, path: Path | str, limit: int) -> NullRecord:
    if found.keys > limit:
        raise SpikeportError(f"{path}: holds {found.keys} keys already, {limit} are asked for; name another file")
    same = (found.test, found.carriers_sha256, found.clean) == (fresh.test, fresh.carriers_sha256, fresh.clean)
    if not same:
        raise SpikeportError(f"{path}: a null record of another test; name another file, or start without --resume")
    return found


def _check_document(document: dict[str, Any], path: str) -> None:
    wrong = document.keys() ^ _FIELDS
    if wrong:
        raise SpikeportError(f"{path}: fields missing or unknown: {', '.join(sorted(wrong)):.200}; measure it again")
    if not isinstance(document["test"], dict) or not isinstance(document["clean"], dict):
        raise SpikeportError(f"{path}: test and clean must be objects; measure it again")
    for name, value in {**document["clean"], "digest": document["digest"]}.items():
        expect_hex(value, 32, f"{path}: {name:.60}")
    expect_hex(document["carriers_sha256"], 32, f"{path}: carriers_sha256")
    keys, passes = document["keys"], document["passes"]
    if not all(type(value) is int for value in (keys, passes)) or not 0 <= passes <= keys or keys < 1:
        raise SpikeportError(f"{path}: {passes!r:.20} passes of {keys!r:.20} keys; the file is damaged")
