"""The files that a page is made of: verifications, attack curves, null records, a certificate; all of one key."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from math import isclose
from pathlib import Path
from typing import Any

from toolkit.errors import SpikeportError
from toolkit.watermark.certificate import Commitment
from toolkit.watermark.evidence import ANOTHER, COMMITTED, CleanRate, Evidence, KeyLevel, Outcome
from toolkit.watermark.key import demo_key
from toolkit.watermark.null import NullRecord
from toolkit.watermark.plan import TestPlan

ATTACK = "spikeport.attack/1"
_ENTRY = (
    *("backend", "queries", "hits", "wesr", "p_value", "p0", "verdict", "significant", "certificate_gap", "model"),
    *(
        "kind",
        "label",
        "alpha",
        "hits_needed",
        "clean_models",
        "key_level",
        "key_commitment",
        "demo",
        "mode",
        "version",
    ),
)
_POINT = ("strength", "accuracy", "accuracy_before", "examples", "exact", "kinds")
_LEFT = ("label", "queries", "hits", "wesr", "p_value", "p0", "all_queries", "all_hits")


@dataclass(frozen=True)
class Material:
    """Everything that the page tells.

    Attributes:
        verifications: as ``watermark verify --json`` prints them, one for each kind of trigger.
        attacks: as ``watermark attack --out`` writes them.
        nulls: null records, in the order given.
        commitment: of the key, in hex; the same in all of them.
    """

    verifications: tuple[dict[str, Any], ...]
    attacks: tuple[dict[str, Any], ...]
    nulls: tuple[NullRecord, ...]
    commitment: str

    @property
    def entries(self) -> list[dict[str, Any]]:
        """Every backend of every verification."""
        return [entry for one in self.verifications for entry in one["backends"]]

    @property
    def certificates(self) -> list[dict[str, Any]]:
        """What was committed before release, one for each plan that has one."""
        return [one["certificate"] for one in self.verifications if one["certificate"]]


def read_material(verifications: Sequence[Path], attacks: Sequence[Path], nulls: Sequence[Path]) -> Material:
    """Read and check all files.

    Raises:
        SpikeportError: a file is missing, malformed, of another format, or about another key.
    """
    found = tuple(_verification(path) for path in verifications)
    curves = tuple(_attack(path) for path in attacks)
    if not found:
        raise SpikeportError("watermark report: 0 verifications, at least 1 is needed; give --verification FILE")
    commitment = str(found[0]["backends"][0]["key_commitment"])
    for path, entry in [(p, e) for p, one in zip(verifications, found, strict=True) for e in one["backends"]]:
        _same_key(path, entry["key_commitment"], commitment)
    for path, curve in zip(attacks, curves, strict=True):
        _same_key(path, curve["key_commitment"], commitment)
    plans = [one["plan"] for one in found]
    for number, plan in enumerate(plans):
        if plan in plans[:number]:
            raise SpikeportError(f"{verifications[number]}: the same plan as another's; give each verification once")
    records = tuple(NullRecord.load(path) for path in nulls)
    registered = {plan.get("null_sha256") for plan in plans}
    for path, record in zip(nulls, records, strict=True):
        if record.sha256 not in registered:
            raise SpikeportError(
                f"{path}: null record {record.sha256:.12}... is registered by none of the verified plans; give theirs"
            )
    return Material(found, curves, records, commitment)


def _same_key(path: Path, found: str, commitment: str) -> None:
    if found != commitment:
        raise SpikeportError(
            f"{path}: about the key {found:.12}..., the first verification about {commitment:.12}...; one page is "
            "about one key"
        )


def _verification(path: Path) -> dict[str, Any]:
    """Read, and compute every figure and verdict again from the counts: a file that was edited does not fit them."""
    document = _json(path)
    if not isinstance(document.get("backends"), list) or not document["backends"] or "plan" not in document:
        raise SpikeportError(f"{path}: no backends and plan in it; give what `watermark verify --json` printed")
    for entry in document["backends"]:
        _fields(path, entry, _ENTRY, "a backend")
    plan = TestPlan.from_dict(_object(path, document["plan"], "plan"), f"{path}: plan")
    paper = document.get("certificate")
    certificate = None if paper is None else Commitment.from_dict(_object(path, paper, "certificate"), str(path))
    for entry in document["backends"]:
        try:
            expected = _evidence(entry, plan, certificate).to_dict()
        except (TypeError, ValueError, KeyError, AttributeError, ZeroDivisionError) as error:
            raise SpikeportError(
                f"{path}: a backend's figures cannot be read ({type(error).__name__}: {str(error)[:80]}); make the "
                "file again"
            ) from None
        wrong = [name for name, value in expected.items() if name != "rank" and not _alike(entry.get(name), value)]
        if wrong:
            raise SpikeportError(
                f"{path}: {wrong[0]} is {entry.get(wrong[0])!r:.60}, its counts give {expected[wrong[0]]!r:.60}; the "
                "file was altered, make it again"
            )
    return {"certificate": None, "equal": None} | document


def _evidence(entry: dict[str, Any], plan: TestPlan, certificate: Commitment | None) -> Evidence:
    """The evidence that an entry's counts amount to."""
    rates = tuple(CleanRate(str(m["name"]), int(m["hits"]), int(m["queries"])) for m in entry["clean_models"])
    bare = entry["bare"]
    own = None if bare is None else CleanRate("bare", int(bare["hits"]), int(bare["queries"]))
    outcome = Outcome(
        int(entry["label"]), int(entry["queries"]), int(entry["hits"]), rates, int(entry["tested_labels"]), own
    )
    level = KeyLevel(int(entry["key_level"]["keys"]), int(entry["key_level"]["passes"]))
    committed = "" if certificate is None else certificate.model_sha256
    hashes = {COMMITTED: committed, ANOTHER: "another"}
    return Evidence(
        backend=str(entry["backend"]),
        plan=plan,
        key_commitment=str(entry["key_commitment"]),
        demo=entry["key_commitment"] == demo_key().commitment,
        outcome=outcome,
        key_level=level,
        certificate=certificate,
        model_sha256=hashes.get(entry["model"], ""),
    )


def _alike(found: object, expected: object) -> bool:
    """Equal, numbers to the last digits that JSON may round."""
    if isinstance(expected, float) and isinstance(found, int | float):
        return isclose(found, expected, rel_tol=1e-9, abs_tol=0.0)
    if isinstance(expected, dict) and isinstance(found, dict):
        return found.keys() == expected.keys() and all(_alike(found[name], expected[name]) for name in expected)
    if isinstance(expected, list) and isinstance(found, list):
        return len(found) == len(expected) and all(map(_alike, found, expected))
    return found == expected


def _object(path: Path, value: object, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise SpikeportError(f"{path}: {what} is no object; make the file again")
    return value


def _attack(path: Path) -> dict[str, Any]:
    document = _json(path)
    if document.get("format") != ATTACK:
        raise SpikeportError(
            f"{path}: format {document.get('format')!r:.40}, this version reads {ATTACK!r}; give what "
            "`watermark attack --out` wrote"
        )
    _fields(path, document, ("attack", "dial", "model_sha256", "key_commitment", "clean_models", "points"), "the curve")
    if not isinstance(document["points"], list) or not document["points"]:
        raise SpikeportError(f"{path}: 0 points, a curve has at least 1; run the attack again")
    for point in document["points"]:
        _fields(path, point, _POINT, "a point")
        if not isinstance(point["kinds"], dict) or not point["kinds"]:
            raise SpikeportError(f"{path}: a point without kinds of triggers; run the attack again")
        for left in point["kinds"].values():
            _fields(path, left, _LEFT, "a kind")
            _numbers(path, left, _LEFT)
        _numbers(path, point, ["strength", "accuracy"])
    return document


def _fields(path: Path, table: object, names: Sequence[str], what: str) -> None:
    missing = [name for name in names if not isinstance(table, dict) or name not in table]
    if missing:
        raise SpikeportError(f"{path}: {what} has no field {missing[0]!r}; make the file again with this version")


def _json(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SpikeportError(f"{path}: cannot be read as JSON ({type(error).__name__}); give another file") from None
    if not isinstance(document, dict):
        raise SpikeportError(f"{path}: no JSON object; give another file")
    return document


def _numbers(path: Path, table: dict[str, Any], names: Sequence[str]) -> None:
    for name in names:
        value = table[name]
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
            raise SpikeportError(f"{path}: {name} is {value!r:.40}, must be a number from 0; run the attack again")
