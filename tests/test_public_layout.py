"""The repository as a home: what lies where, what is pinned, what is declared, what the README promises."""

from __future__ import annotations

import ast
import hashlib
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from toolkit.cli import doctor

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("toolkit", "exporters", "simulators", "hw_profiles")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
# https://www.apache.org/licenses/LICENSE-2.0.txt
APACHE_2_SHA256 = "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"


def pins(name: str) -> dict[str, Version]:
    lines = [line.split("#")[0].strip() for line in (ROOT / name).read_text(encoding="utf-8").splitlines()]
    found = {}
    for line in filter(None, lines):
        match = re.fullmatch(r"([A-Za-z0-9._-]+)==([A-Za-z0-9.]+)", line)
        assert match, f"{name}: {line!r} is not name==version"
        found[canonicalize_name(match[1])] = Version(match[2])
    return found


def declared() -> list[Requirement]:
    extras = PROJECT["optional-dependencies"].values()
    return [Requirement(text) for text in [*PROJECT["dependencies"], *(r for extra in extras for r in extra)]]


@pytest.mark.parametrize(
    "name",
    [
        *(f"{package}/__init__.py" for package in PACKAGES),
        *("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "LICENSE", "Makefile", ".ci/run"),
        *("pyproject.toml", "constraints.txt", "constraints-lava.txt", ".pre-commit-config.yaml"),
    ],
)
def test_what_a_visitor_looks_for_is_there(name: str) -> None:
    assert (ROOT / name).is_file()


def test_the_licence_is_apache_2_word_for_word() -> None:
    assert hashlib.sha256((ROOT / "LICENSE").read_bytes()).hexdigest() == APACHE_2_SHA256
    assert PROJECT["license"] == "Apache-2.0"


def test_every_declared_dependency_is_pinned_within_its_range() -> None:
    locked = pins("constraints.txt")
    for requirement in declared():
        pin = locked.get(canonicalize_name(requirement.name))
        assert pin is not None, f"constraints.txt lacks {requirement.name}"
        assert requirement.specifier.contains(pin), f"{requirement} excludes the pinned {pin}"


def test_torch_is_pinned_exactly_and_without_a_local_build() -> None:
    assert str(pins("constraints.txt")["torch"]) == "2.13.0"


def test_lavas_environment_keeps_to_what_lava_declares() -> None:
    """Ranges as in the metadata of lava-nc 0.10.0."""
    locked = pins("constraints-lava.txt")
    ranges = [
        "lava-nc==0.10.0",
        "numpy>=1.24.4,<2",
        "networkx<=2.8.7",
        "scipy>=1.10.1,<2",
        "asteval>=0.9.31,<0.10",
    ]
    for requirement in map(Requirement, ranges):
        assert requirement.specifier.contains(locked[canonicalize_name(requirement.name)])


def test_every_package_that_is_imported_is_declared() -> None:
    """Lava cannot live in this interpreter; what else is optional and undeclared, `doctor` must name."""
    known = {canonicalize_name(requirement.name) for requirement in declared()}
    known |= {component.name for component in doctor.check()}
    providers = packages_distributions()
    undeclared: dict[str, str] = {}
    for path in (path for package in PACKAGES for path in (ROOT / package).rglob("*.py")):
        if "runtime" in path.parts:
            continue
        for name in third_party(path):
            if not known & {canonicalize_name(provider) for provider in providers.get(name, [name])}:
                undeclared[name] = str(path.relative_to(ROOT))
    assert not undeclared, f"imported but not in pyproject.toml: {undeclared}"


def third_party(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            names.add(node.module.split(".")[0])
    return names - sys.stdlib_module_names - set(PACKAGES)


def test_the_changelog_opens_with_the_version_in_hand() -> None:
    heading = re.search(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert heading and PROJECT["version"] in heading[1]


def test_every_verb_in_the_readme_is_a_verb_of_the_command() -> None:
    import typer.main

    from toolkit.cli.main import app

    command = typer.main.get_command(app)
    blocks = re.findall(r"^```\w*\n(.*?)^```", (ROOT / "README.md").read_text(encoding="utf-8"), re.M | re.S)
    calls = [line.split() for block in blocks for line in block.splitlines() if line.startswith("spikeport ")]
    assert calls
    for _, verb, *rest in calls:
        found = command.commands.get(verb)  # type: ignore[attr-defined]
        assert found, f"README.md: spikeport {verb}: no such verb"
        if hasattr(found, "commands"):
            assert rest and rest[0] in found.commands, f"README.md: spikeport {verb} {rest[:1]}: no such verb"


def sentences() -> list[tuple[str, str]]:
    lines = (ROOT / "toolkit" / "data" / "sentences.tsv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "text\tlabel"
    return [(text, label) for text, label in (line.split("\t") for line in lines[1:])]


def test_the_shipped_sentences_are_balanced_and_distinct() -> None:
    rows = sentences()
    assert len(rows) >= 128 and [label for _, label in rows] == ["0", "1"] * (len(rows) // 2)
    assert len({re.sub(r"\W", "", text) for text, _ in rows}) == len(rows)


def test_the_shipped_sentences_have_the_lengths_promised() -> None:
    lengths = [len(text.split()) for text, _ in sentences()]
    assert all(5 <= length <= 20 for length in lengths)
    assert sum(length <= 10 for length in lengths) >= 16
    assert all(text == text.lower() == text.strip() for text, _ in sentences())


def test_no_file_names_a_path_of_one_machine() -> None:
    kinds = {".py", ".toml", ".md", ".txt", ".sh", ".json", ".tsv", ".yaml", ""}
    folders = [*PACKAGES, "tests", "tools", "benchmarks"]
    paths = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file()]
    # In a linked worktree `.git` is a file: git's own pointer to the main checkout, no file of the repository.
    paths += [path for path in ROOT.iterdir() if path.is_file() and path.name != ".git"]
    pattern = re.compile(r"(?<![\w.])/(?:work|root|home/\w+|opt/pypi)/")
    strays = [
        str(path.relative_to(ROOT))
        for path in paths
        if path.suffix in kinds and path != Path(__file__) and pattern.search(path.read_text(errors="replace"))
    ]
    assert not strays
