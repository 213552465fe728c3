"""Imports run one way, and the Lava runtime stands alone.

toolkit -> exporters, simulators, hw_profiles; simulators -> hw_profiles, exporters.nir;
exporters.* -> exporters.nir.
"""

from __future__ import annotations

import ast
import functools
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("toolkit", "exporters", "simulators", "hw_profiles")
RUNTIME = ROOT / "exporters" / "lava" / "runtime"

# What the modules below a name may import of ours; the longest name that fits decides.
ALLOWED: dict[str, tuple[str, ...]] = {
    "toolkit": PACKAGES,
    # These two know the backend protocols only: a new vendor SDK must not reach into them.
    "toolkit.verification": ("toolkit",),
    "toolkit.watermark": ("toolkit",),
    "simulators": ("simulators", "hw_profiles", "exporters.nir"),
    "hw_profiles": ("hw_profiles",),
    "exporters.nir": ("exporters.nir",),
    "exporters.lava": ("exporters.lava", "exporters.nir"),
    "exporters.lava_dl": ("exporters.lava_dl", "exporters.nir"),
    "exporters.onnx": ("exporters.onnx", "exporters.nir"),
    "exporters.snntorch": ("exporters.snntorch", "exporters.nir"),
}
RUNTIME_MAY_IMPORT = {"lava", "nir", "numpy", "scipy", "h5py"}
VENDOR_SDKS = {
    "lava", "snntorch", "nirtorch", "spikingjelly", "norse", "sinabs", "rockpool", "nengo", "nengo_loihi",
    "onnx", "onnxruntime", "akida", "samna", "nxsdk",
}  # fmt: skip


def within(module: str, parents: tuple[str, ...] | set[str]) -> bool:
    return any(module == parent or module.startswith(parent + ".") for parent in parents)


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@functools.cache
def imported(path: Path) -> list[str]:
    """Absolute names of all that a file imports, at any depth of the code; `from a import b` gives `a.b`."""
    found: list[str] = []
    package = module_name(path).split(".")
    if path.name != "__init__.py":
        package = package[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            found += [f"{source}.{alias.name}" for alias in node.names]
    return found


def sources(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def allowed_for(module: str) -> tuple[str, ...]:
    names = [name for name in ALLOWED if within(module, (name,))]
    return ALLOWED[max(names, key=len)] if names else ()


OUTSIDE_RUNTIME = [path for path in sources(*PACKAGES) if RUNTIME not in path.parents]


@pytest.mark.parametrize("path", OUTSIDE_RUNTIME, ids=module_name)
def test_a_module_imports_only_what_its_place_allows(path: Path) -> None:
    ours = [name for name in imported(path) if within(name, PACKAGES)]
    module = module_name(path)
    allowed = (*allowed_for(module), *(PACKAGES[1:2] if module == "exporters" else ()))
    strays = [name for name in ours if not within(name, allowed)]
    assert not strays, f"{module} imports {strays}; it may import {allowed}"


@pytest.mark.parametrize("path", OUTSIDE_RUNTIME, ids=module_name)
def test_lava_is_imported_nowhere_but_in_the_runtime(path: Path) -> None:
    strays = [name for name in imported(path) if within(name, ("lava", "exporters.lava.runtime"))]
    assert not strays, f"{module_name(path)} imports {strays}, which live under Lava's own interpreter"


def test_tests_are_imported_by_no_package() -> None:
    strays = [module_name(path) for path in OUTSIDE_RUNTIME if any(within(n, ("tests",)) for n in imported(path))]
    assert not strays


def test_the_lava_runtime_stands_alone() -> None:
    paths = sorted(RUNTIME.rglob("*.py"))
    assert paths, "exporters/lava/runtime has no modules"
    own = {entry.stem for entry in RUNTIME.iterdir() if entry.suffix == ".py" or entry.is_dir()}
    own_absolute = module_name(RUNTIME / "__init__.py")
    for path in paths:
        relative = [name for name in imported(path) if not within(name, (own_absolute,))]
        strays = {name.split(".")[0] for name in relative} - RUNTIME_MAY_IMPORT - sys.stdlib_module_names - own
        assert not strays, f"{path.relative_to(ROOT)} imports {sorted(strays)}"
        absolute = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if _names_us(node)]
        assert not absolute, f"{path.relative_to(ROOT)} imports by the repository's name: it must run when copied alone"


def _names_us(node: ast.AST) -> bool:
    if isinstance(node, ast.Import):
        return any(within(alias.name, PACKAGES) for alias in node.names)
    return isinstance(node, ast.ImportFrom) and not node.level and within(node.module or "", PACKAGES)


def test_starting_the_command_loads_no_vendor_sdk() -> None:
    code = "import sys, toolkit.cli.main; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    assert not set(done.stdout.split()) & VENDOR_SDKS


@pytest.mark.parametrize(
    ("module", "name", "fits"),
    [
        ("simulators.run", "exporters.nir.graph", True),
        ("simulators.run", "exporters.lava.plan", False),
        ("simulators.run", "toolkit.errors", False),
        ("hw_profiles.load", "simulators.run", False),
        ("exporters.snntorch", "exporters.nir", True),
        ("exporters.lava.plan", "exporters.lava_dl", False),
        ("toolkit.watermark.key", "simulators.run", False),
        ("toolkit.backends.simulator", "simulators.run", True),
    ],
)
def test_the_rules_say_what_the_design_says(module: str, name: str, fits: bool) -> None:
    assert within(name, allowed_for(module)) is fits


def test_relative_and_nested_imports_are_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    path = tmp_path / "simulators" / "deep" / "file.py"
    path.parent.mkdir(parents=True)
    path.write_text("from . import a\nfrom ..run import b\ndef f():\n    import toolkit.cli\n    from .. import c\n")
    expected = ["simulators.deep.a", "simulators.run.b", "toolkit.cli", "simulators.c"]
    assert sorted(imported(path)) == sorted(expected)
