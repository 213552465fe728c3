"""`doctor` against what pip's own metadata, the interpreters and stand-in drivers say."""

from __future__ import annotations

import io
import json
import platform
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from toolkit.cli import doctor


def found(components: list[doctor.Component]) -> dict[str, str | None]:
    return {component.name: component.found for component in components}


def test_versions_are_those_that_the_packages_give_themselves() -> None:
    import numpy
    import safetensors
    import torch

    versions = found(doctor.check())
    assert versions["python"] == platform.python_version()
    assert versions["torch"] == torch.__version__
    assert versions["numpy"] == numpy.__version__
    assert versions["safetensors"] == safetensors.__version__
    assert (versions["cuda"] is None) == (not torch.cuda.is_available())


def test_lavas_version_is_the_one_its_interpreter_imports(lava_python: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ask = "import platform, lava, os; print(platform.python_version())"
    python = subprocess.run([lava_python, "-c", ask], capture_output=True, text=True, check=True).stdout.strip()
    monkeypatch.setenv("SPIKEPORT_LAVA_PYTHON", str(lava_python))
    seen = found(doctor.check())["lava"]
    assert seen is not None and python in seen and python.startswith("3.10.") and "0.10.0" in seen


@pytest.mark.parametrize("interpreter", ["no/such/python", sys.executable, "/bin/true"])
def test_an_interpreter_without_lava_counts_as_missing(interpreter: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPIKEPORT_LAVA_PYTHON", interpreter)
    assert found(doctor.check())["lava"] is None


@pytest.mark.parametrize(
    ("driver", "expected"),
    [
        (
            "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5 22:23:56 UTC 2024",
            "550.54.15",
        ),
        ("NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.86.10  Release Build", "570.86.10"),
        ("", None),
    ],
)
def test_the_driver_is_read_from_both_forms_of_its_record(
    monkeypatch: pytest.MonkeyPatch, driver: str, expected: str | None
) -> None:
    build = "from typing import Optional\n__version__ = '2.13.0'\ncuda: Optional[str] = '13.0'\n"
    monkeypatch.setattr(doctor, "_text", lambda path: build if path.name == "version.py" else driver)
    seen = found(doctor.check())["cuda"]
    assert seen == (f"13.0, driver {expected}" if expected else None)


def test_a_missing_component_is_shown_with_its_command_and_spoils_completeness_only_if_required() -> None:
    present = doctor.Component("torch", "student", "2.13.0", "pip install torch", required=True)
    optional = doctor.Component("onnx", "writing ONNX files", None, "pip install onnx")
    required = doctor.Component("nir", "the exported graph", None, "pip install nir", required=True)
    assert doctor.as_dict([present, optional])["complete"] is True
    report = json.loads(json.dumps(doctor.as_dict([present, optional, required])))
    assert report["complete"] is False and report["missing"] == ["onnx", "nir"]
    page = io.StringIO()
    doctor.render([present, optional, required], Console(file=page, width=120))
    shown = page.getvalue()
    assert "pip install onnx" in shown and "pip install nir" in shown and "pip install torch" not in shown


def test_nothing_heavy_is_loaded_to_answer() -> None:
    code = "import sys; from toolkit.cli import doctor; doctor.check(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "transformers", "nir", "lava"} & set(done.stdout.split())
