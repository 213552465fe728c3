"""The test plan: what will be asked and what will count as proof, written down before anything is asked."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, ClassVar

from toolkit.errors import SpikeportError
from toolkit.watermark.framing import check_format, frame, read_document
from toolkit.watermark.statistics import upper_limit
from toolkit.watermark.triggers import check_kind, default_count

KIND, VERSION = "spikeport.test-plan", 2
PLAN_TAG = b"spikeport.test-plan/2"


@dataclass(frozen=True, kw_only=True)
class TestPlan:
    """A pre-registered test.

    Attributes:
        queries: query budget: triggered inputs per key, neither more nor fewer are asked.
        labels: number of labels of the model under test.
        alpha: the binomial p-value must be below it.
        kind: ``words`` (each of the rare trigger words is a trigger alone) or ``combination`` (2 to 4 common
            words that are a trigger only together).
        triggers: number of trigger words; 0 asks for the kind's default and is replaced by it.
        null_keys: random keys tested on the clean models for the key-level false-positive rate.
        key_rate_limit: the upper 95 % bound of that rate must not exceed it.
        null_seed: public text from which the random keys are derived, so that anybody gets the same ones.
        unknown_head: the head is not the owner's; any label may be the one, at the price of Bonferroni.
        carriers_sha256: digest of the carrier texts, checked when not empty.
        clean_models: names of the independent clean models, checked when not empty.
        null_sha256: digest of the :class:`~toolkit.watermark.null.NullRecord` that stands for measuring the
            null keys again; empty: none is registered.

    Raises:
        SpikeportError: a value out of range, or too few null keys ever to reach ``key_rate_limit``.
    """

    __test__: ClassVar[bool] = False  # the name is the field's term, not a pytest class

    queries: int
    labels: int
    alpha: float = 1e-6
    kind: str = "words"
    triggers: int = 0
    null_keys: int = 100
    key_rate_limit: float = 0.05
    null_seed: str = "spikeport null keys"
    unknown_head: bool = False
    carriers_sha256: str = ""
    clean_models: tuple[str, ...] = ()
    null_sha256: str = ""

    def __post_init__(self) -> None:
        for name, least in (("queries", 1), ("labels", 2), ("triggers", 0), ("null_keys", 1)):
            _check_integer(name, getattr(self, name), least)
        for name in ("alpha", "key_rate_limit"):
            _check_fraction(name, getattr(self, name))
        _check_types(self)
        object.__setattr__(self, "triggers", self.triggers or default_count(self.kind))
        check_kind(self.kind, self.triggers)
        best = upper_limit(0, self.null_keys)
        if best > self.key_rate_limit:
            raise SpikeportError(
                f"test plan: {self.null_keys} null keys bound the key-level rate at {best:.4f} at best, "
                f"the limit is {self.key_rate_limit}; use more null keys (59 for 0.05)"
            )

    @property
    def sha256(self) -> str:
        """Digest, in hex, of every field, for the commitment."""
        text = json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(frame(PLAN_TAG, text.encode())).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """JSON form, its ``format`` included."""
        return {"format": f"{KIND}/{VERSION}", **asdict(self), "clean_models": list(self.clean_models)}

    def save(self, path: Path | str) -> None:
        """Write the plan as JSON.

        Raises:
            SpikeportError: the file cannot be written.
        """
        try:
            Path(path).write_text(json.dumps(self.to_dict(), indent=2) + "\n", encoding="utf-8")
        except OSError as error:
            raise SpikeportError(f"{path}: cannot be written ({error.strerror}); name another file") from error

    @classmethod
    def load(cls, path: Path | str) -> TestPlan:
        """Read a plan.

        Raises:
            SpikeportError: not a plan of this format, a field missing, unknown or out of range.
        """
        return cls.from_dict(read_document(path, KIND, VERSION), str(path))

    @classmethod
    def from_dict(cls, document: dict[str, Any], name: str) -> TestPlan:
        """The plan of a JSON form; ``name`` says in errors where it stands.

        Raises:
            SpikeportError: as :meth:`load`.
        """
        check_format(document, KIND, VERSION, name)
        stated = {entry: value for entry, value in document.items() if entry != "format"}
        known = {entry.name for entry in fields(cls)}
        if stated.keys() != known:
            wrong = ", ".join(sorted(stated.keys() ^ known))
            raise SpikeportError(f"{name}: fields missing or unknown: {wrong:.200}; make the plan anew")
        names = stated["clean_models"]
        return cls(**{**stated, "clean_models": tuple(names) if isinstance(names, list) else names})


def _check_integer(name: str, value: object, least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise SpikeportError(f"test plan: {name} is {value!r:.40}, must be an integer of at least {least}; set it")


def _check_fraction(name: str, value: object) -> None:
    if not isinstance(value, float) or not 0.0 < value < 1.0:
        raise SpikeportError(f"test plan: {name} is {value!r:.40}, must be a number between 0 and 1; set it")


def _check_types(plan: TestPlan) -> None:
    names = plan.clean_models
    texts = (plan.null_seed, plan.carriers_sha256, plan.kind, plan.null_sha256)
    if not all(isinstance(text, str) for text in texts) or not isinstance(plan.unknown_head, bool):
        raise SpikeportError(
            "test plan: null_seed, carriers_sha256, kind and null_sha256 are texts, unknown_head is true or "
            "false; set them"
        )
    if not isinstance(names, tuple) or not all(isinstance(name, str) for name in names):
        raise SpikeportError("test plan: clean_models must be a list of names; set it")
