"""Bundles of small random students with their folders for snnTorch; not to be changed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from exporters.snntorch import write_folder
from tests.toolkit.small_students import write_student
from toolkit.bundle.reader import Bundle, open_bundle
from toolkit.bundle.writer import write_bundle

KINDS = ("ssa", "sdsa", "window")


@dataclass(frozen=True)
class Exported:
    """A student, its bundle and its folder."""

    student: Path
    bundle: Bundle
    folder: Path


def export(root: Path, kind: str) -> Exported:
    attention, window = ("sdsa", 3) if kind == "window" else (kind, 1)
    student = write_student(root / "student", attention=attention, seed=5, window=window, blocks=1, tokens=12)
    write_bundle(student, root / "bundle")
    bundle = open_bundle(root / "bundle")
    limits = {name: int(bound["limit"]) for name, bound in bundle.manifest.bounds.items()}
    write_folder(bundle.graph, root / "bundle" / "model.nir", root / "folder", limits)
    return Exported(student, bundle, root / "folder")


@pytest.fixture(scope="session", params=KINDS)
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return export(tmp_path_factory.mktemp(request.param), request.param)


@pytest.fixture(scope="session")
def windowed(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return export(tmp_path_factory.mktemp("window"), "window")
