"""What `benchmarks/conformance.py` compares on: shipped students on sentences, and graphs that hypothesis draws."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from numpy.typing import NDArray

from benchmarks import graph_strategy, random_graphs
from benchmarks.graph_strategy import FORMS, Drawn, example_of, examples
from benchmarks.local_readers import LOCAL, TORCH, judge_here, typed
from benchmarks.one_reader import LOGITS, SPIKES, Arrays, Row, write_chunk
from exporters.nir.graph import Graph
from exporters.nir.write import write_graph
from simulators import simulate
from toolkit import students
from toolkit.backends.snntorch_reader import spiking_modules
from toolkit.bundle.manifest import GRAPH_FILE
from toolkit.bundle.reader import open_bundle
from toolkit.bundle.writer import write_bundle
from toolkit.demo.run import SENTENCES
from toolkit.distillation.corpus import read_examples

ANY_LABEL = 10**9
NATIVE, RANDOM, RANDOM_NATIVE = "ssa-native", "random", "random-native"


@dataclass(frozen=True)
class Shipped:
    """A student that comes along, and how its attention is written.

    Attributes:
        quick: sentences where no number is asked for.
        chunk: sentences in memory at a time; the body of gates of one holds 1.8 million membranes.
    """

    student: Path
    body: str
    quick: int
    chunk: int


SHIPPED = {
    "sdsa": Shipped(students.UNMARKED_SDSA, "auto", 32, 32),
    "ssa-gates": Shipped(students.MARKED, "gates", 4, 16),
    NATIVE: Shipped(students.MARKED, "native", 32, 32),
}
CASES = (*SHIPPED, RANDOM)


def texts_of(data: Path | None, wanted: int) -> list[str]:
    """The first sentences of a TSV file; of those that come along without one.

    Raises:
        ValueError: there are not so many.
    """
    found = read_examples(data or SENTENCES, labels=ANY_LABEL)
    if wanted > len(found):
        name = data.name if data else "the sentences that come along"
        raise ValueError(f"sentences {wanted}: {name} has {len(found)}; name a longer file with --data")
    return [example.text for example in found[:wanted]]


def write_shipped(name: str, folder: Path) -> Path:
    """The NIR file of a shipped student, ``folder/NAME.nir``, beside its bundle."""
    case = folder / f"{name}.nir"
    write_bundle(SHIPPED[name].student, folder / name, attention_body=SHIPPED[name].body)
    shutil.copyfile(folder / name / GRAPH_FILE, case)
    return case


def write_sentences(name: str, case: Path, texts: Sequence[str]) -> None:
    """Chunks of a shipped student's case: what our simulator gives for each."""
    opened, size = open_bundle(case.parent / name), SHIPPED[name].chunk
    for start in range(0, len(texts), size):
        batch = opened.encoder.encode(texts[start : start + size])
        expected = expect(opened.graph, batch.spikes)
        write_chunk(case, start // size, batch.spikes, expected, ids=batch.ids, valid=batch.valid)


def expect(graph: Graph, inputs: NDArray[np.bool_]) -> Arrays:
    """What our simulator gives, under the names of torch.fx."""
    result = simulate(graph, inputs, record=True, device="cpu")
    spikes = {f"{SPIKES}{m}": result.spikes[layer].numpy() for m, layer in spiking_modules(graph).items()}
    return {LOGITS: result.logits.numpy(), **spikes}


def hash_of(paths: Sequence[Path]) -> str:
    """SHA-256 over the contents of files, in order."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()


@dataclass
class Drawing:
    """Graphs as hypothesis draws them, those for stock readers and those with a native node in folders of their own.

    The readers that run here run inside the drawing, so that a graph on which one of them is wrong shrinks; the
    drawing ends there.

    Attributes:
        folder: of the folders.
        readers: of ``LOCAL``.
        complain: says what is wrong with a row of a case, if anything is.
        rows: by case, a row a graph and reader.
        failing: by case, the smallest graph found on which a reader is wrong, and how.
    """

    folder: Path
    readers: Sequence[str]
    complain: Callable[[str, Row], str | None]
    rows: dict[str, list[Row]] = field(default_factory=lambda: {RANDOM: [], RANDOM_NATIVE: []})
    failing: dict[str, str] = field(default_factory=dict)

    def run(self, count: int) -> None:
        """Draw ``count`` graphs."""
        for case in self.rows:
            (self.folder / case).mkdir()
        drawn = given(examples())(self._take)
        how = settings(
            max_examples=count, derandomize=True, deadline=None, database=None, phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck), report_multiple_bugs=False,
        )  # fmt: skip
        with suppress(AssertionError):
            how(drawn)()

    def files(self, case: str) -> list[Path]:
        """What was drawn, in order."""
        return sorted((self.folder / case).glob("*.nir"))

    def _take(self, drawn: Drawn) -> None:
        case = RANDOM_NATIVE if drawn.form == NATIVE else RANDOM
        name = "smaller" if self.failing else f"{len(self.files(case)):05d}"  # once one fails, hypothesis shrinks it
        path = self.folder / case / f"random-{name}.nir"
        rows = judge_drawn(drawn, path, self.readers)
        wrong = [text for row in rows if (text := self.complain(case, row))]
        if not self.failing:
            self.rows[case] += rows
        if wrong:
            self.failing = {case: f"{wrong[0]}; smallest found: {drawn!r}"}
            raise AssertionError(wrong[0])


def judge_drawn(drawn: Drawn, path: Path, readers: Sequence[str]) -> list[Row]:
    """A row of each reader that runs here; the file and its chunk are left at ``path``."""
    write_graph(drawn.graph, path)
    write_chunk(path, 0, drawn.inputs, expect(typed(path), drawn.inputs))
    return [judge_here(path, reader) for reader in LOCAL if reader in readers and reader != TORCH]


def drawing_hash(folder: Path) -> str:
    """Of what decides which files are drawn: the strategy's source, and one file of each form as it is written now."""
    facts = {"tokens": 5, "width": 4, "heads": 1, "window": 2, "steps": 1, "samples": 1, "holes": False, "seed": 0}
    files = []
    for form in FORMS:
        files.append(folder / f"{form}.probe")
        write_graph(example_of(form=form, **facts).graph, files[-1])
    return hash_of([*files, *(Path(str(module.__file__)) for module in (graph_strategy, random_graphs))])
