"""``export nir --nir-compat 1.0.4``: the same bundle but for the resets in its graph."""

from __future__ import annotations

from pathlib import Path

import h5py
import pytest

from tests.exporters.nir.files import assert_same_graph
from tests.toolkit.conftest import Command
from toolkit.bundle.reader import open_bundle
from toolkit.bundle.writer import write_bundle
from toolkit.errors import SpikeportError


def resets(path: Path) -> int:
    found: list[str] = []
    with h5py.File(path, "r") as file:
        file.visit(lambda name: found.append(name) if name.endswith("v_reset") else None)
    return len(found)


def test_the_option_reaches_the_file(
    small_sdsa: Path, small_sdsa_bundle: Path, tmp_path: Path, command: Command
) -> None:
    out = tmp_path / "bundle"
    assert command("export", "nir", out, "--student", small_sdsa, "--nir-compat", "1.0.4").status == 0
    assert resets(small_sdsa_bundle / "model.nir") > 0 == resets(out / "model.nir")
    assert_same_graph(open_bundle(small_sdsa_bundle).graph, open_bundle(out).graph)


def test_another_version_is_refused_before_anything_is_written(small: Path, tmp_path: Path, command: Command) -> None:
    ended = command("export", "nir", tmp_path / "bundle", "--student", small, "--nir-compat", "0.9")
    assert ended.status == 2 and "nir compat '0.9': choose one of 1.0.8, 1.0.4" in ended.err
    assert not (tmp_path / "bundle").exists()
    with pytest.raises(SpikeportError, match="nir compat"):
        write_bundle(small, tmp_path / "bundle", nir_compat="2")
