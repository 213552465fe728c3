"""Did the owner arrive? The pre-registered test on every backend, and the same key on an unmarked student."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.backends.labels import EncodedLabels
from toolkit.backends.protocol import LabelBackend
from toolkit.backends.simulator import Simulator
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


def chip_labels(name: str, bundle: Bundle) -> EncodedLabels:
    """A bundle on the simulator, as a black box from text to label."""
    return EncodedLabels(name, bundle.encoder, Simulator(bundle.graph))


@dataclass(frozen=True)
class RecordedLabels:
    """Answers that a backend has already given, so that a slow one is not run twice."""

    name: str
    answers: dict[str, int]

    @classmethod
    def of(cls, name: str, texts: list[str], labels: NDArray[np.int64] | list[int]) -> RecordedLabels:
        """From texts and labels in the same order."""
        return cls(name, {text: int(label) for text, label in zip(texts, labels, strict=True)})

    def labels(self, texts: list[str]) -> list[int]:
        """One label per text."""
        return [self.answers[text] for text in texts]


def make_test(bundle: Bundle, clean: Sequence[LabelBackend], carriers: list[Example]) -> OwnershipTest:
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
    test: OwnershipTest,
    key: Key,
    backends: Sequence[LabelBackend],
    controls: Sequence[LabelBackend],
    commitment: Commitment,
) -> dict[str, Any]:
    """The report's ``watermark`` entry."""
    return {
        "commitment": commitment.digest,
        "backends": [test.evidence(key, backend, certificate=commitment).to_dict() for backend in backends],
        "controls": [test.control(key, control, certificate=commitment).to_dict() for control in controls],
    }
