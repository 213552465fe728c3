"""The demo's order of work, and the report it ends in."""

from __future__ import annotations

import json
import platform
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch

from toolkit import students
from toolkit.bundle.manifest import GRAPH_FILE
from toolkit.bundle.reader import Bundle, open_bundle
from toolkit.bundle.writer import write_bundle
from toolkit.demo.classify import Classified, accuracy, classify
from toolkit.demo.cost import per_layer, price
from toolkit.demo.function import Arrival, check_golden, compare_backends, compare_stock_reader
from toolkit.demo.ownership import ChipLabels, RecordedLabels, make_commitment, make_test, ownership
from toolkit.distillation.corpus import Example, read_examples
from toolkit.errors import SpikeportError
from toolkit.reporting import SCHEMA, render_html, validate
from toolkit.watermark.key import demo_key
from toolkit.watermark.ownership import OwnershipTest

SENTENCES = Path(__file__).parents[1] / "data" / "sentences.tsv"
EQUIVALENCE_SAMPLES = 32
SHOWN = 8
Say = Callable[[str], None]


@dataclass
class Clock:
    """Wall-clock seconds per stage, announced as they begin."""

    say: Say
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time one stage."""
        self.say(name)
        start = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - start, 2)


def run_demo(out: Path, data: Path | None, say: Say, *, lava: bool = True) -> dict[str, Any]:
    """Lower, simulate, compare, price and test ownership; write ``out``.

    Args:
        out: gets ``report.json``, ``report.html``, ``bundle/`` and ``bundle-sdsa/``.
        data: labelled sentences (TSV) to measure accuracy on, besides the shipped ones.
        say: called with progress lines.
        lava: False leaves Lava out (the report says so).

    Returns:
        The report, as written.
    """
    carriers = read_examples(SENTENCES)
    examples = read_examples(data) if data else carriers
    clock = Clock(say)
    _prepare(out)
    with clock.stage("lowering the student to an integer NIR graph"):
        write_bundle(students.MARKED, out / "bundle")
        bundle = open_bundle(out / "bundle")
        check_golden(bundle)
    with clock.stage(f"classifying {len(examples)} sentences on the simulated chip"):
        classified = classify(bundle, [e.text for e in examples])
        if cut := len(classified.truncated):
            say(f"{cut} of them cut to {bundle.encoder.limit} word pieces")
    with clock.stage("preparing unmarked students and the ownership test"):
        clean = _clean_models(out)
        test = make_test(bundle, clean, carriers)
        commitment = make_commitment(bundle, demo_key(), test.plan, out / "commitment.json")
    queries = [query.text for query in test.queries(demo_key())]
    sample = [e.text for e in carriers[:EQUIVALENCE_SAMPLES]]
    batch = bundle.encoder.encode([*sample, *queries])
    with clock.stage("comparing torch, simulator and Lava spike by spike"):
        arrival = compare_backends(bundle, students.MARKED, batch, say, lava=lava)
        if not lava:
            arrival.left_out.append(
                {"what": "Lava", "why": "left out by --no-lava", "next_step": "run again without --no-lava"}
            )
    with clock.stage("reading the sdsa student with stock snnTorch"):
        stock = _stock_reader(clean[1].bundle, sample, say)
    with clock.stage("testing ownership"):
        mark = _ownership(test, arrival, queries, clean, commitment)
    with clock.stage("pricing"):
        energy = price(classified.activity, bundle.manifest.config, bundle.manifest.facts)
    report = {
        "schema": SCHEMA,
        "task": _task(bundle, classified, examples, data),
        "equivalence": [e.to_dict() for e in (*arrival.equivalence, *stock.equivalence)],
        "energy": energy,
        "watermark": mark,
        "environment": _environment(bundle, clock),
        "left_out": [*arrival.left_out, *stock.left_out, *_refusals(bundle)],
        "sentences": _sentences(bundle, classified, examples),
        "activity": per_layer(classified.activity),
    }
    validate(report)
    (out / "report.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    (out / "report.html").write_text(render_html(report), encoding="utf-8")
    return report


def holds(report: dict[str, Any]) -> bool:
    """Whether every comparison is equal, the mark is found everywhere, no control claims it, nothing failed."""
    equal = all(e["spike_mismatches"] == 0 and e["logit_mismatches"] == 0 for e in report["equivalence"])
    mark = report["watermark"]
    found = all(entry["verdict"].startswith("proven") for entry in mark["backends"])
    refused = all(entry["verdict"].startswith("not proven") for entry in mark["controls"])
    ran = not any(entry.get("failed") for entry in report["left_out"])
    return equal and found and refused and ran


def _prepare(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise SpikeportError(f"{out}: is a file; name a folder for the demo's output")
    out.mkdir(parents=True, exist_ok=True)
    (out / "commitment.json").unlink(missing_ok=True)  # of an earlier demo run; commitments never overwrite


def _clean_models(out: Path) -> list[ChipLabels]:
    """Independently trained unmarked students, on the simulated chip; the second has stock attention."""
    models = []
    for folder, name in ((students.UNMARKED, "unmarked-ssa"), (students.UNMARKED_SDSA, "unmarked-sdsa")):
        target = out / ("bundle-sdsa" if "sdsa" in name else "bundle-unmarked")
        write_bundle(folder, target)
        bundle = open_bundle(target)
        models.append(ChipLabels(f"{name} {bundle.manifest.student_sha256[:12]}", bundle))
    return models


def _stock_reader(bundle: Bundle, texts: list[str], say: Say) -> Arrival:
    return compare_stock_reader(bundle, students.UNMARKED_SDSA, bundle.encoder.encode(texts), say)


def _ownership(
    test: OwnershipTest, arrival: Arrival, queries: list[str], clean: list[ChipLabels], commitment: Any
) -> dict[str, Any]:
    """Every backend's own answers to the queries, taken from the runs that were compared."""
    backends = [
        RecordedLabels.of(name, queries, result.labels[-len(queries) :])
        for name, result in sorted(arrival.results.items(), key=lambda item: _ORDER.index(item[0]))
    ]
    return ownership(test, demo_key(), backends, clean, commitment)


_ORDER = ("torch", "simulator", "lava")


def _refusals(bundle: Bundle) -> list[dict[str, Any]]:
    """An ``ssa`` file must not load in a stock reader: shown, not assumed."""
    import nir

    try:
        nir.read(bundle.folder / GRAPH_FILE)
    except Exception:
        return [
            {
                "what": "stock NIR readers on the ssa student",
                "why": "stock nir.read refuses its native attention node, as it must",
                "next_step": "use the sdsa student there, it holds stock primitives only",
            }
        ]
    if bundle.manifest.config.attention == "ssa":
        raise SpikeportError(f"{bundle.folder}: stock nir.read took an ssa file; it would run it wrongly")
    return []


def _task(bundle: Bundle, classified: Classified, examples: list[Example], data: Path | None) -> dict[str, Any]:
    facts = bundle.manifest.facts
    measured = {"integer": accuracy(classified.labels, examples)}
    forms = {name: float(value) for name, value in facts.get("accuracy", {}).items() if name != "integer"}
    labels = np.array([e.label for e in examples])
    own = data is None
    return {
        "name": str(facts.get("recipe", "unknown")),
        "split": "sentences shipped with spikeport" if own else data.name,  # type: ignore[union-attr]
        "examples": len(examples),
        "accuracy": measured if own else {**measured, **(forms if _is_test(facts, data) else {})},
        "baselines": {} if own or not _is_test(facts, data) else {"naive Bayes": float(facts["naive_bayes_test"])},
        "largest_class": float(np.bincount(labels).max() / len(labels)),
    }


def _is_test(facts: dict[str, Any], data: Path | None) -> bool:
    """Whether ``data`` is the very file that the recipe's published figures were measured on."""
    from toolkit.bundle.manifest import sha256

    return data is not None and facts.get("test_sha256") == sha256(data)


def _sentences(bundle: Bundle, classified: Classified, examples: list[Example]) -> list[dict[str, Any]]:
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


def _environment(bundle: Bundle, clock: Clock) -> dict[str, Any]:
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
        "seconds": clock.seconds,
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
