"""What the demo's report says of task, sentences and machine."""

from __future__ import annotations

import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch

from toolkit.backends.protocol import SpikeResult
from toolkit.bundle.manifest import sha256
from toolkit.bundle.reader import Bundle
from toolkit.demo.classify import Classified, accuracy
from toolkit.distillation.corpus import Example

SHOWN = 8
FORMS = {"torch": "student", "lava": "lava"}  # backend to the report's name for what it runs


def task(
    bundle: Bundle,
    classified: Classified,
    runs: dict[str, SpikeResult],
    compared: list[Example],
    examples: list[Example],
    data: Path | None,
) -> dict[str, Any]:
    """Accuracy of every form: the integer form on all examples, torch and Lava on those compared.

    Args:
        runs: by backend, on the compared examples first.
        compared: the examples that were run on every backend.
        data: the user's file, or None for the shipped sentences.
    """
    facts = bundle.manifest.facts
    shares = {"integer": accuracy(classified.labels, examples)}
    sizes = {"integer": len(examples)}
    for backend, form in FORMS.items():
        if backend in runs:
            labels = np.array(runs[backend].labels[: len(compared)])
            shares[form], sizes[form] = accuracy(labels, compared), len(compared)
    baselines = {}
    if data is not None and _is_test(facts, data):
        shares["teacher"], sizes["teacher"] = float(facts["accuracy"]["teacher"]), len(examples)
        if facts.get("naive_bayes_test") is not None:
            baselines["naive Bayes"] = float(facts["naive_bayes_test"])
    counts = np.bincount([e.label for e in examples])
    return {
        "name": str(facts.get("recipe", "unknown")),
        "split": "sentences shipped with spikeport" if data is None else data.name,
        "examples": len(examples),
        "accuracy": shares,
        "examples_by_form": sizes,
        "baselines": baselines,
        "largest_class": float(counts.max() / len(examples)),
    }


def _is_test(facts: dict[str, Any], data: Path | None) -> bool:
    """Whether ``data`` is the very file that the recipe's published figures were measured on."""
    return data is not None and facts.get("test_sha256") == sha256(data)


def sentences(bundle: Bundle, classified: Classified, examples: list[Example]) -> list[dict[str, Any]]:
    """The first few examples with their answers."""
    names = bundle.manifest.labels
    return [
        {
            "text": example.text,
            "label": names[example.label],
            "predicted": names[int(classified.labels[i])],
            "probabilities": {n: float(p) for n, p in zip(names, classified.probabilities[i], strict=True)},
        }
        for i, example in enumerate(examples[:SHOWN])
    ]


def environment(bundle: Bundle, seconds: dict[str, float]) -> dict[str, Any]:
    """Versions, device, seed and revision; ``seconds`` is the wall-clock time per stage."""
    versions = {"python": platform.python_version(), "spikeport": bundle.manifest.tool}
    for name in ("torch", "nir", "snntorch", "numpy"):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {
        "versions": versions,
        "device": "cuda" if torch.cuda.is_available() else f"cpu, {torch.get_num_threads()} threads",
        "seed": bundle.manifest.facts.get("seed"),
        "git_revision": _revision(),
        "seconds": seconds,
    }


def _revision() -> str | None:
    """The source tree's revision, where there is one."""
    try:
        found = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip() or None
