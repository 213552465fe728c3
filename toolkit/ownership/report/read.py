"""The files that a page is made of: verifications, attack curves, null records, a certificate; all of one key."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolkit.errors import SpikeportError
from toolkit.watermark.null import NullRecord

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
    def certificate(self) -> dict[str, Any] | None:
        """What was committed before release, of the first verification that had it."""
        return next((one["certificate"] for one in self.verifications if one["certificate"]), None)


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
    return Material(found, curves, tuple(NullRecord.load(path) for path in nulls), commitment)


def _same_key(path: Path, found: str, commitment: str) -> None:
    if found != commitment:
        raise SpikeportError(
            f"{path}: about the key {found:.12}..., the first verification about {commitment:.12}...; one page is "
            "about one key"
        )


def _verification(path: Path) -> dict[str, Any]:
    document = _json(path)
    if not isinstance(document.get("backends"), list) or not document["backends"] or "plan" not in document:
        raise SpikeportError(f"{path}: no backends and plan in it; give what `watermark verify --json` printed")
    for entry in document["backends"]:
        _fields(path, entry, _ENTRY, "a backend")
    return {"certificate": None, "equal": None} | document


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
