"""Small random students, their bundles, and the command line as a function."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.toolkit.small_students import write_student
from toolkit.bundle.writer import write_bundle
from toolkit.cli.main import run


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The one line of a refusal: nothing on standard output, no traceback, nothing else."""
        assert self.out == "", self.out
        assert self.err.startswith("spikeport: ") and self.err.endswith("\n"), self.err
        assert self.err.count("\n") == 1, self.err
        return self.err.removeprefix("spikeport: ").strip()

    @property
    def json(self) -> dict[str, object]:
        """The one JSON object of a ``--json`` run: strict JSON, nothing before or after it."""

        def refuse(constant: str) -> None:
            raise AssertionError(f"{constant} is no JSON")

        value = json.loads(self.out, parse_constant=refuse)
        assert isinstance(value, dict)
        return value


Command = Callable[..., Ended]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """Run a command line in this process."""

    def run_command(*arguments: object) -> Ended:
        capsys.readouterr()
        status = run([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return Ended(status, out, err)

    return run_command


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random ``ssa`` student; not to be changed."""
    return write_student(tmp_path_factory.mktemp("students") / "ssa", seed=2)


@pytest.fixture(scope="session")
def small_sdsa(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random ``sdsa`` student; not to be changed."""
    return write_student(tmp_path_factory.mktemp("students") / "sdsa", seed=3, attention="sdsa")


@pytest.fixture(scope="session")
def small_bundle(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of ``small``; not to be changed."""
    out = tmp_path_factory.mktemp("bundles") / "ssa"
    write_bundle(small, out)
    return out


@pytest.fixture(scope="session")
def small_sdsa_bundle(small_sdsa: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of ``small_sdsa``; not to be changed."""
    out = tmp_path_factory.mktemp("bundles") / "sdsa"
    write_bundle(small_sdsa, out)
    return out


@pytest.fixture(scope="session")
def light(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random student of one block, quick to open; not to be changed."""
    return write_student(tmp_path_factory.mktemp("students") / "light", seed=4, blocks=1)


@pytest.fixture(scope="session")
def light_bundle(light: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of ``light``; not to be changed."""
    out = tmp_path_factory.mktemp("bundles") / "light"
    write_bundle(light, out)
    return out


@pytest.fixture(scope="session")
def another_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of a student of one block; not to be changed."""
    folder = tmp_path_factory.mktemp("another")
    write_bundle(write_student(folder / "student", seed=9, blocks=1), folder / "bundle")
    return folder / "bundle"


@pytest.fixture
def spoilt(light_bundle: Path, tmp_path: Path) -> Path:
    """A copy of a bundle, to be damaged."""
    return Path(shutil.copytree(light_bundle, tmp_path / "bundle"))


def resign(bundle: Path, *names: str) -> None:
    """Make the manifest agree with changed files, as somebody who tampers would."""
    path = bundle / "manifest.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    for name in names:
        data = (bundle / name).read_bytes()
        content["files"][name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    path.write_text(json.dumps(content), encoding="utf-8")


def edit_manifest(bundle: Path, change: Callable[[dict], object]) -> None:
    """Change the manifest's JSON in place."""
    path = bundle / "manifest.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content), encoding="utf-8")


def snapshot(folder: Path) -> dict[str, bytes]:
    """Every file below a folder and what it holds."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
