"""Did the owner arrive? The pre-registered test on every backend, and the same key on an unmarked student."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulators import simulate
from toolkit.bundle.manifest import GRAPH_FILE, MANIFEST_FILE
from toolkit.bundle.reader import Bundle
from toolkit.bundle.writer import tool_version
from toolkit.distillation.corpus import Example
from toolkit.watermark.certificate import Commitment, commit
from toolkit.watermark.key import Key
from toolkit.watermark.ownership import OwnershipTest
from toolkit.watermark.plan import TestPlan
from toolkit.watermark.queries import carriers_digest

QUERIES = 48
NULL_KEYS = 64
CHUNK = 512


class ChipLabels:
    """A bundle on the simulator, as a black box from text to label."""

    def __init__(self, name: str, bundle: Bundle) -> None:
        self.name, self.bundle = name, bundle

    def labels(self, texts: list[str]) -> list[int]:
        """One label per text."""
        found: list[int] = []
        for start in range(0, len(texts), CHUNK):
            batch = self.bundle.encoder.encode(texts[start : start + CHUNK])
            logits = simulate(self.bundle.graph, batch.spikes).logits
            found += [int(i) for i in logits.sum(dim=(1, 3)).argmax(dim=1).cpu()]
        return found


@dataclass(frozen=True)
class RecordedLabels:
    """Answers that a backend has already given; asked for another text, it says which is missing."""

    name: str
    answers: dict[str, int]

    @classmethod
    def of(cls, name: str, texts: list[str], labels: NDArray[np.int64] | list[int]) -> RecordedLabels:
        """From texts and labels in the same order."""
        return cls(name, {text: int(label) for text, label in zip(texts, labels, strict=True)})

    def labels(self, texts: list[str]) -> list[int]:
        """One label per text."""
        return [self.answers[text] for text in texts]


def make_test(bundle: Bundle, clean: list[ChipLabels], carriers: list[Example]) -> OwnershipTest:
    """The demo's plan: fixed before any query is asked, and hashed into the commitment."""
    pairs = [(example.text, example.label) for example in carriers]
    plan = TestPlan(
        queries=QUERIES,
        labels=len(bundle.manifest.labels),
        null_keys=NULL_KEYS,
        carriers_sha256=carriers_digest(pairs),
        clean_models=tuple(model.name for model in clean),
    )
    vocabulary = bundle.encoder.tokenizer.get_vocab()
    return OwnershipTest(plan, vocabulary, pairs, clean)


def make_commitment(bundle: Bundle, key: Key, plan: TestPlan, out: Path) -> Commitment:
    """Commit to the bundle's graph and manifest and write ``commitment.json``."""
    commitment = commit(
        key,
        bundle.folder / GRAPH_FILE,
        bundle.folder / MANIFEST_FILE,
        plan,
        owner="spikeport demonstration",
        release=bundle.manifest.student_sha256[:12],
        tool_version=tool_version(),
    )
    commitment.save(out)
    return commitment


def ownership(
    test: OwnershipTest, key: Key, backends: list[Any], controls: list[ChipLabels], commitment: Commitment
) -> dict[str, Any]:
    """The report's ``watermark`` entry."""
    return {
        "commitment": commitment.digest,
        "backends": [test.evidence(key, backend).to_dict() for backend in backends],
        "controls": [test.control(key, control).to_dict() for control in controls],
    }
