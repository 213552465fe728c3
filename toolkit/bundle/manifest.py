"""The manifest: what a bundle is, which files it has, and what every number in them means."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from toolkit.bundle.encoder import ENCODER_FILE, TOKENIZER_FILE
from toolkit.errors import SpikeportError
from toolkit.models.configuration import StudentConfig

FORMAT, VERSION = "spikeport.bundle", 1
MANIFEST_FILE, GRAPH_FILE, GOLDEN_FILE, CARD_FILE = "manifest.json", "model.nir", "golden.npz", "README.md"
LISTED = (GRAPH_FILE, ENCODER_FILE, TOKENIZER_FILE, GOLDEN_FILE, CARD_FILE)


@dataclass(frozen=True)
class Manifest:
    """Facts of a bundle.

    Attributes:
        student: configuration of the student, as a mapping.
        student_sha256: of the weights file that the bundle was made from.
        labels: class names, in order of label.
        tokens: N, token slots of the graph.
        logit_divisor: integer logits divided by this and by n * T are the student's real logits.
        bounds: per layer, range of the current ``[low, high]``, the limit, and its ``kind``: ``proved`` for every
            input, or ``calibrated``: measured on ``samples`` sentences, within the limit by a factor ``margin``.
        tokenizer: casing and special-token rules, in words.
        files: per file, its size in bytes and SHA-256.
        facts: free-form provenance (recipe, seed, accuracy, watermark).
        format: name and version of this layout.
        tool: version of spikeport that wrote it.
        attention: ``body``, ``gates`` (which stock NIR readers run) or ``native`` (which they refuse), and the
            ``gates`` and ``weights`` that the bodies have or would have; empty in a bundle written before
            there was a choice.
    """

    student: dict[str, Any]
    student_sha256: str
    labels: list[str]
    tokens: int
    logit_divisor: int
    bounds: dict[str, dict[str, Any]]
    tokenizer: dict[str, str]
    files: dict[str, dict[str, Any]]
    facts: dict[str, Any]
    tool: str
    attention: dict[str, Any] = field(default_factory=dict)
    format: str = f"{FORMAT}/{VERSION}"

    @property
    def config(self) -> StudentConfig:
        """The student's configuration, checked; it has an integer form, as the bundle's graph does."""
        config = StudentConfig.from_dict(self.student)
        config.require_integer_form()
        return config

    @property
    def calibrated(self) -> bool:
        """Whether the range of some current is measured only, so that each input has to be checked before it runs."""
        return any(bound["kind"] == "calibrated" for bound in self.bounds.values())

    def write(self, folder: Path) -> None:
        """Write ``manifest.json``; the same manifest gives the same bytes."""
        text = json.dumps(asdict(self), indent=2, sort_keys=True) + "\n"
        (folder / MANIFEST_FILE).write_text(text, encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Read and check the manifest of a bundle.

        Raises:
            SpikeportError: missing, no JSON, another format, a newer version, or a field amiss.
        """
        path = folder / MANIFEST_FILE
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            raise SpikeportError(f"{path}: no such file; name a bundle folder") from None
        except (OSError, ValueError, RecursionError) as error:
            raise SpikeportError(f"{path}: not readable as JSON ({error}); copy the bundle again") from None
        _check_format(path, content)
        known = {f.name: f for f in fields(cls)}
        content.setdefault("attention", {})
        for name in sorted(set(known) ^ set(content)):
            state = "missing" if name in known else "unknown"
            raise SpikeportError(f"{path}: field {name!r} is {state}; write the bundle again")
        for name, kind in _KINDS.items():
            if type(content[name]) is not kind:  # exact: True is no number of tokens
                raise SpikeportError(
                    f"{path}: {name} is {type(content[name]).__name__}, needs {kind.__name__}; copy the bundle again"
                )
        _check_values(path, content)
        return cls(**content)

    def check_files(self, folder: Path) -> None:
        """Compare size and hash of every file, before any is parsed.

        Raises:
            SpikeportError: a file is missing, truncated or changed.
        """
        for name, facts in self.files.items():
            path = folder / name
            if not path.is_file():
                raise SpikeportError(f"{path}: no such file, the manifest lists it; copy the bundle again")
            if path.stat().st_size != facts["bytes"]:
                raise SpikeportError(
                    f"{path}: {path.stat().st_size} bytes, the manifest says {facts['bytes']}; copy the bundle again"
                )
            if (found := sha256(path)) != facts["sha256"]:
                raise SpikeportError(
                    f"{path}: sha256 {found[:12]}..., the manifest says {facts['sha256'][:12]}...; "
                    "the file was changed, copy the bundle again"
                )


_KINDS: dict[str, type] = {
    "student": dict,
    "student_sha256": str,
    "labels": list,
    "tokens": int,
    "logit_divisor": int,
    "bounds": dict,
    "tokenizer": dict,
    "files": dict,
    "facts": dict,
    "tool": str,
    "attention": dict,
}


def file_facts(path: Path) -> dict[str, Any]:
    """Size and hash of a file, as the manifest lists them."""
    return {"bytes": path.stat().st_size, "sha256": sha256(path)}


def sha256(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_format(path: Path, content: Any) -> None:
    found = content.get("format") if isinstance(content, dict) else None
    name, _, version = str(found).partition("/")
    if name != FORMAT or not version.isdecimal():
        raise SpikeportError(f"{path}: format {found!r}, needs {FORMAT}/{VERSION}; name a bundle folder")
    if len(version) > 9 or int(version) > VERSION:
        raise SpikeportError(
            f"{path}: format {found} is newer than {FORMAT}/{VERSION}; it needs a newer spikeport: upgrade"
        )


def _is_bound(bound: Any) -> bool:
    """Whether an entry of ``bounds`` says what it must, and keeps within its own limit."""
    if not isinstance(bound, dict) or any(type(bound.get(key)) is not int for key in ("low", "high", "limit")):
        return False
    factor: Any = 1
    if bound.get("kind") == "calibrated":
        factor, samples = bound.get("margin"), bound.get("samples")
        if type(factor) not in (int, float) or not factor >= 1 or type(samples) is not int or samples < 1:
            return False
    elif bound.get("kind") != "proved":
        return False
    return bool(bound["low"] <= 0 <= bound["high"] and factor * max(-bound["low"], bound["high"]) <= bound["limit"])


def _check_values(path: Path, content: dict[str, Any]) -> None:
    for name in ("tokens", "logit_divisor"):
        if content[name] < 1:
            raise SpikeportError(f"{path}: {name} is {content[name]}, needs at least 1; copy the bundle again")
    labels = content["labels"]
    if not all(isinstance(label, str) for label in labels) or len(set(labels)) < len(labels):
        raise SpikeportError(f"{path}: labels {labels!r}, needs different texts; copy the bundle again")
    for name, bound in content["bounds"].items():
        if not _is_bound(bound):
            raise SpikeportError(f"{path}: bound of {name} is {bound!r:.120}; copy the bundle again")
    if content["attention"] and content["attention"].get("body") not in ("gates", "native"):
        raise SpikeportError(f"{path}: attention is {content['attention']!r}, needs a body; copy the bundle again")
    for name in LISTED:
        if name not in content["files"]:
            raise SpikeportError(f"{path}: files lacks {name}, it could not be checked; copy the bundle again")
    for name, facts in content["files"].items():
        if Path(name).name != name or name in ("", ".."):
            raise SpikeportError(f"{path}: files names {name!r}, which is no file of this folder; do not trust it")
        if not isinstance(facts, dict) or type(facts.get("bytes")) is not int or type(facts.get("sha256")) is not str:
            raise SpikeportError(f"{path}: files has no size and sha256 of {name}; copy the bundle again")
