"""The demo's order of work, and the report it ends in."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from toolkit import students
from toolkit.backends.labels import EncodedLabels
from toolkit.backends.lava_options import LavaOptions
from toolkit.bundle.manifest import GRAPH_FILE
from toolkit.bundle.reader import Bundle, open_bundle
from toolkit.bundle.writer import write_bundle
from toolkit.demo.classify import classify
from toolkit.demo.cost import per_layer, price
from toolkit.demo.function import Arrival, check_golden, compare_backends, compare_stock_reader
from toolkit.demo.ownership import RecordedLabels, chip_labels, make_commitment, make_test, ownership
from toolkit.demo.record import environment, sentences, task
from toolkit.distillation.corpus import read_examples
from toolkit.errors import SpikeportError
from toolkit.reporting import SCHEMA, render_html, validate
from toolkit.watermark.certificate import Commitment
from toolkit.watermark.key import demo_key
from toolkit.watermark.ownership import OwnershipTest

SENTENCES = Path(__file__).parents[1] / "data" / "sentences.tsv"
EQUIVALENCE_SAMPLES = 32
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


def run_demo(out: Path, data: Path | None, say: Say, *, lava: bool = True, lava_mode: str = "fast") -> dict[str, Any]:
    """Lower, simulate, compare, price and test ownership; write ``out``.

    Args:
        out: gets ``report.json``, ``report.html``, ``bundle/`` and ``bundle-sdsa/``.
        data: labelled sentences (TSV) to measure accuracy on, besides the shipped ones.
        say: called with progress lines.
        lava: False leaves Lava out (the report says so).
        lava_mode: ``stock`` or ``fast``.

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
        unmarked = _unmarked(out)
        clean = [chip_labels(f"{n} {b.manifest.student_sha256[:12]}", b) for n, b in unmarked.items()]
        test = make_test(bundle, clean, carriers)
        commitment = make_commitment(bundle, demo_key(), test.plan, out / "commitment.json")
    queries = test.texts(demo_key())
    sample = [e.text for e in (*examples, *carriers)[:EQUIVALENCE_SAMPLES]]
    batch = bundle.encoder.encode([*sample, *queries])
    with clock.stage("comparing torch, simulator and Lava spike by spike"):
        arrival = compare_backends(bundle, students.MARKED, batch, say, lava=LavaOptions(lava_mode) if lava else None)
        if not lava:
            arrival.left_out.append(
                {"what": "Lava", "why": "left out by --no-lava", "next_step": "run again without --no-lava"}
            )
    with clock.stage("reading the sdsa student with stock snnTorch"):
        stock = _stock_reader(unmarked["unmarked-sdsa"], sample, say)
    with clock.stage("testing ownership"):
        mark = _ownership(test, arrival, queries, clean, commitment)
    with clock.stage("pricing"):
        energy = price(classified.activity, bundle.manifest.config, bundle.manifest.facts)
    report = {
        "schema": SCHEMA,
        "task": task(bundle, classified, arrival.results, examples[:EQUIVALENCE_SAMPLES], examples, data),
        "equivalence": [e.to_dict() for e in (*arrival.equivalence, *stock.equivalence)],
        "energy": energy,
        "watermark": mark,
        "environment": environment(bundle, clock.seconds),
        "left_out": [*arrival.left_out, *stock.left_out, *_refusals(bundle)],
        "sentences": sentences(bundle, classified, examples),
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


def _unmarked(out: Path) -> dict[str, Bundle]:
    """Independently trained students without the mark; the second has attention that stock readers hold."""
    write_bundle(students.UNMARKED, out / "bundle-unmarked")
    write_bundle(students.UNMARKED_SDSA, out / "bundle-sdsa")
    return {
        "unmarked-ssa": open_bundle(out / "bundle-unmarked"),
        "unmarked-sdsa": open_bundle(out / "bundle-sdsa"),
    }


def _stock_reader(bundle: Bundle, texts: list[str], say: Say) -> Arrival:
    return compare_stock_reader(bundle, students.UNMARKED_SDSA, bundle.encoder.encode(texts), say)


def _ownership(
    test: OwnershipTest, arrival: Arrival, queries: list[str], clean: list[EncodedLabels], commitment: Commitment
) -> dict[str, Any]:
    """Every backend's own answers to the queries, taken from the runs that were compared."""
    backends = [
        RecordedLabels.of(name, queries, result.labels[-len(queries) :])
        for name, result in sorted(arrival.results.items(), key=lambda item: _ORDER.index(item[0]))
    ]
    return ownership(test, demo_key(), backends, clean, commitment)


_ORDER = ("torch", "simulator", "lava")


def _refusals(bundle: Bundle) -> list[dict[str, Any]]:
    """An ``ssa`` file with a native node must not load in a stock reader: shown, not assumed."""
    import nir

    try:
        nir.read(bundle.folder / GRAPH_FILE)
    except AssertionError:  # how nir's reader says that it does not know a node type
        return [
            {
                "what": "stock NIR readers on the ssa student",
                "why": "stock nir.read refuses its native attention node, as it must",
                "next_step": "use the sdsa student there, it holds stock primitives only",
            }
        ]
    if bundle.manifest.attention.get("body") == "native":
        raise SpikeportError(f"{bundle.folder}: stock nir.read took a native ssa file; it would run it wrongly")
    return []
