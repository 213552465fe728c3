"""Tuned layers to a student folder: rounded, proved in range, written as any other student."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from exporters.nir.graph import Attention
from toolkit.bundle.encoder import TOKENIZER_FILE, load_tokenizer
from toolkit.bundle.manifest import GRAPH_FILE
from toolkit.bundle.reader import Bundle
from toolkit.errors import SpikeportError
from toolkit.importing.facts import Origin, imported_card, new_facts
from toolkit.importing.integers import LayerChange, to_integers
from toolkit.lowering.pipeline import lower
from toolkit.models.storage import load_facts, load_student, save_student, student_hash

TOKENIZER_FILES = (TOKENIZER_FILE, "tokenizer_config.json", "special_tokens_map.json", "vocab.txt")


class Layer(Protocol):
    """A layer as a framework gives it back, not yet rounded."""

    @property
    def weight(self) -> NDArray[np.float64]:
        """(out, in), in units of 1 / theta."""

    @property
    def bias(self) -> NDArray[np.float64]:
        """(out,), likewise."""


@dataclass(frozen=True)
class Imported:
    """What was written."""

    sha256: str
    former_sha256: str
    changes: list[LayerChange]


def import_student(
    layers: Mapping[str, Layer], bundle: Bundle, former: Path, out: Path, framework: str, clip: bool = False
) -> Imported:
    """Write the student ``out``: ``former`` with other layers.

    Args:
        layers: all of the student's, by name.
        bundle: the one whose graph was tuned.
        former: folder of the student that the bundle was made of.
        out: new or empty folder.
        framework: name and version of where it was tuned.
        clip: cut weights to 8 bits instead of refusing them.

    Raises:
        SpikeportError: the bundle is not of that student, ``out`` holds something, a weight is beyond 8 bits, or an
            accumulator could leave the range. Nothing is written then.
    """
    check_origin(bundle, former)
    _check_new(out)
    facts, student = load_facts(former), load_student(former)
    load_tokenizer(former)  # refuses one that is missing before anything is written
    before = student.integers()
    if odd := sorted(set(before) ^ set(layers)):
        raise SpikeportError(
            f"layer {odd[0]}: only in the {'student' if odd[0] in before else 'file'}; export it again"
        )
    changes = []
    for name, integers in before.items():
        module, change = to_integers(name, layers[name].weight, layers[name].bias, integers, clip)
        student.replace(name, module)
        changes.append(change)
    gates = any(isinstance(node, Attention) and node.body for node in bundle.graph.nodes.values())
    lower(student, bundle.manifest.tokens, "gates" if gates else "native")  # proves every accumulator
    origin = Origin(framework, bundle.manifest.student_sha256, str(bundle.manifest.files[GRAPH_FILE]["sha256"]))
    told = new_facts(facts, origin, changes)
    save_student(student, out, told)
    for name in TOKENIZER_FILES:
        if (former / name).is_file():
            shutil.copyfile(former / name, out / name)
    found = student_hash(out)
    (out / "README.md").write_text(imported_card(told, changes, found), encoding="utf-8")
    return Imported(found, origin.student_sha256, changes)


def check_origin(bundle: Bundle, former: Path) -> None:
    """Refuse a bundle that was made of another student.

    Raises:
        SpikeportError: with both hashes; or the folder has no weights file.
    """
    load_facts(former)  # its own words for a folder that is none
    try:
        found = student_hash(former)
    except OSError as error:
        raise SpikeportError(f"{former}: weights cannot be read ({error.strerror}); copy the folder again") from None
    if found != (wanted := bundle.manifest.student_sha256):
        raise SpikeportError(
            f"{bundle.folder}: made of the student {wanted[:12]}..., {former} is {found[:12]}...; name the student "
            "that the bundle was exported from"
        )


def _check_new(out: Path) -> None:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise SpikeportError(f"{out}: exists, and a student is never overwritten; name a new folder")
