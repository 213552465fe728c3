"""``spikeport verify``: whether a bundle computes on each backend what it should."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from toolkit import students
from toolkit.cli.io import emit, say, tell, warn_if_approximate
from toolkit.cli.lava_options import LAVA_EXECUTOR, LAVA_MODE

if TYPE_CHECKING:
    from toolkit.backends.protocol import SpikeBackend
    from toolkit.backends.results import Results
    from toolkit.bundle.encoder import EncodedBatch
    from toolkit.bundle.reader import Bundle
    from toolkit.distillation.corpus import Example
    from toolkit.verification.arrival import Verdict

REPLAY = Path("replay.npz")
SAMPLES = 32


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(verify)


def verify(
    bundle: Path = typer.Argument(help="Bundle folder."),
    against: Path = typer.Option(students.MARKED, help="Reference: a student folder (run by torch) or a bundle."),
    backend: list[str] = typer.Option(
        [], help="simulator, onnx, snntorch or lava; more than once for several (default: all that can run here)."
    ),
    results: Path | None = typer.Option(
        None, help="Results that the Lava runtime wrote elsewhere, in place of a backend; --data is what was encoded."
    ),
    lava_mode: str = LAVA_MODE,
    lava_executor: str = LAVA_EXECUTOR,
    samples: int | None = typer.Option(
        None, min=1, help="Sentences to compare (default: 32; with --results all that it holds)."
    ),
    data: Path | None = typer.Option(None, help="Labelled sentences, TSV (default: those that come along)."),
    key: Path | None = typer.Option(None, help="Key file whose triggers are asked too (WESR)."),
    demo_key: bool = typer.Option(False, "--demo-key", help="Ask the published demo key's triggers."),
    tolerance: float = typer.Option(0.0, min=0.0, max=1.0, help="Fraction of spikes or logits that may differ."),
    replay: Path = typer.Option(
        REPLAY, help="Where the first difference goes: what entered that neuron, step by step."
    ),
    json: bool = typer.Option(False, "--json", help="One JSON object on standard output."),
) -> None:
    """Compare a bundle on each backend with its reference, spike by spike; exit status 1 on any difference."""
    from exporters.lava import LavaNotInstalled
    from exporters.nir.errors import GraphError
    from toolkit.backends.choose import BACKENDS, PART, PARTS, open_backend
    from toolkit.backends.lava_options import LavaOptions
    from toolkit.bundle.reader import open_bundle
    from toolkit.demo.function import check_golden
    from toolkit.demo.function import left_out as note
    from toolkit.demo.run import SENTENCES
    from toolkit.distillation.corpus import read_examples
    from toolkit.errors import MissingComponentError, SpikeportError
    from toolkit.verification.arrival import arrives

    for name in backend:
        if name not in BACKENDS:
            raise SpikeportError(f"--backend {name}: not known; choose among {', '.join(BACKENDS)}")
    opened = open_bundle(bundle)
    examples = read_examples(data or SENTENCES, len(opened.manifest.labels))
    recorded = _recorded(opened, results, bool(backend or samples or key or demo_key))
    wanted = len(recorded) if recorded else samples or SAMPLES
    source = str(data or "the set that comes along")
    if wanted > len(examples):
        asked_for = f"--results {results}: of {wanted} sentences" if recorded else f"--samples {wanted}"
        raise SpikeportError(f"{asked_for}: {len(examples)} sentences in {source}; ask for fewer, or give --data")
    warn_if_approximate(opened.manifest.approximation)
    check_golden(opened)
    asked = _Questions.of(opened, examples[:wanted], key, demo_key)
    if recorded:
        recorded.check_inputs(asked.batch, source)
    reference, told = _reference(opened, against, asked.batch)
    left_out: list[dict[str, str]] = []
    verdicts: dict[str, Verdict] = {}
    for name in [str(results)] if recorded else backend or BACKENDS:
        try:
            options = LavaOptions(lava_mode, lava_executor)
            runner = recorded or open_backend(name, opened, say, options)
            say(f"{name} ({runner.mode}) against {told}, {len(asked.batch)} sentences")
            verdicts[name] = arrives(
                reference,
                runner,
                asked.batch,
                part=PARTS.get(name, PART),
                student=opened.manifest.config.attention,
                record=recorded is None or recorded.records,
            )
        except (MissingComponentError, LavaNotInstalled, GraphError) as error:
            if backend:  # asked for by name: its absence is the answer
                raise
            left_out.append(note(name, error))
    entries = [asked.entry(found, told, tolerance) for found in verdicts.values()]
    written = _replay(opened, asked.batch, verdicts, replay)
    emit({"equivalence": entries, "left_out": left_out, "tolerance": tolerance, "replay": written}, json)
    _tell(entries, left_out, tolerance, written)
    if recorded and not recorded.records:
        tell(f"{results}: logits alone; run the runtime with --record to compare spikes")
    if not entries or not all(entry["holds"] for entry in entries):
        raise typer.Exit(1)


def _recorded(opened: Bundle, results: Path | None, others: bool) -> Results | None:
    """Results from elsewhere, checked to be of this bundle's graph; ``others``: an option that they exclude."""
    from toolkit.backends.results import Results
    from toolkit.errors import SpikeportError

    if results is None:
        return None
    if others:
        raise SpikeportError(f"--results {results}: goes with --data alone; leave out backend, samples and key")
    return Results(results, opened)


@dataclass(frozen=True)
class _Questions:
    """What every backend is asked: labelled sentences, then the triggered queries of a key.

    Attributes:
        batch: all of them, encoded.
        labels: of the sentences.
        target: the label that the key's triggers call; ``None`` without a key.
    """

    batch: EncodedBatch
    labels: list[int]
    target: int | None

    @classmethod
    def of(cls, opened: Bundle, examples: list[Example], key: Path | None, demo: bool) -> _Questions:
        from toolkit.distillation.corpus import text_of

        queries, target = _queries(opened, key, demo)
        return cls(opened.encoder.encode([*map(text_of, examples), *queries]), [e.label for e in examples], target)

    def entry(self, found: Verdict, reference: str, tolerance: float) -> dict[str, Any]:
        """The report's entry, with accuracy and WESR of both sides."""
        entry = found.equivalence.to_dict() | {"reference": reference, "holds": found.holds(tolerance)}
        count = len(self.labels)
        for side, labels in (("", found.labels), ("_reference", found.expected_labels)):
            entry[f"accuracy{side}"] = _share(labels[:count], self.labels)
            if self.target is not None:
                entry[f"wesr{side}"] = _share(labels[count:], [self.target] * (len(labels) - count))
        return entry


def _reference(opened: Bundle, against: Path, batch: EncodedBatch) -> tuple[SpikeBackend, str]:
    """What the bundle is held against, and its name."""
    from toolkit.backends.simulator import Simulator
    from toolkit.bundle.manifest import MANIFEST_FILE
    from toolkit.bundle.reader import open_bundle
    from toolkit.demo.function import torch_student
    from toolkit.errors import SpikeportError

    if not (against / MANIFEST_FILE).exists():
        return torch_student(opened, against, say), f"torch {against}"
    other = open_bundle(against)
    wanted, found = ((b.manifest.student, b.manifest.tokens) for b in (opened, other))
    if wanted != found:
        raise SpikeportError(f"{against}: a bundle of another shape than {opened.folder}; name one of the same student")
    for i, fault in other.encoder.faults(batch.spikes).items():
        raise SpikeportError(f"{against}: sentence {i + 1} overflows there, {fault}; leave it out")
    return Simulator(other.graph), f"simulator {against}"


def _queries(opened: Bundle, key: Path | None, demo: bool) -> tuple[list[str], int | None]:
    """Triggered sentences of a key, and the label that they call."""
    from toolkit.demo.ownership import QUERIES
    from toolkit.demo.run import SENTENCES
    from toolkit.distillation.corpus import read_examples
    from toolkit.watermark.key import Key, demo_key
    from toolkit.watermark.queries import build_queries
    from toolkit.watermark.triggers import derive_triggers

    if key is None and not demo:
        return [], None
    secret = Key.load(key) if key else demo_key()
    labels = len(opened.manifest.labels)
    triggers = derive_triggers(secret, opened.encoder.tokenizer.get_vocab(), labels)
    carriers = [(e.text, e.label) for e in read_examples(SENTENCES, labels)]
    return [query.text for query in build_queries(secret, triggers, carriers, QUERIES)], triggers.target


def _share(labels: list[int], wanted: list[int]) -> float:
    return sum(a == b for a, b in zip(labels, wanted, strict=True)) / len(wanted)


def _replay(opened: Bundle, batch: EncodedBatch, verdicts: dict[str, Verdict], path: Path) -> str | None:
    """Write the first difference of the first backend that has one."""
    from toolkit.bundle.replay import write_replay

    for found in verdicts.values():
        if found.witness is not None and found.equivalence.first_difference is not None:
            sentence, run = found.witness
            write_replay(path, opened.graph, batch.spikes[sentence], run, found.equivalence.first_difference)
            return str(path)
    return None


def _tell(entries: list[dict[str, Any]], left_out: list[dict[str, str]], tolerance: float, replay: str | None) -> None:
    for entry in entries:
        mark = "✓" if entry["holds"] else "✗"
        wesr = f", WESR {100 * entry['wesr']:.1f} % ({100 * entry['wesr_reference']:.1f} %)" if "wesr" in entry else ""
        tell(
            f"{mark} {entry['backend']} {entry['version']}: {entry['spike_mismatches']} of {entry['spikes_compared']} "
            f"spikes in {len(entry['layers'])} layers and {entry['logit_mismatches']} of {entry['logits_compared']} "
            f"logits differ ({entry['samples']} sentences); accuracy {100 * entry['accuracy']:.1f} % "
            f"(reference {100 * entry['accuracy_reference']:.1f} %){wesr}"
        )
        if first := entry["first_difference"]:
            wrong = [layer["name"] for layer in entry["layers"] if layer["mismatches"]]
            tell(
                f"  first in layer {first['layer']}, sentence {first['sample']}, step {first['step']}, token "
                f"{first['token']}, channel {first['channel']}: expected {first['expected']}, seen {first['seen']}; "
                f"layers that differ: {', '.join(wrong) or 'none but the readout'}"
            )
    if tolerance:
        tell(f"tolerated: a fraction of {tolerance:g} of the spikes and of the logits")
    for missing in left_out:
        tell(f"– {missing['what']} left out: {missing['why']}; {missing['next_step']}")
    if replay:
        tell(f"{replay}: what entered the neuron of the first difference, step by step")
