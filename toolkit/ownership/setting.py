"""The clean models and carriers of a test, read from bundles: what plan, null record and verification share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from toolkit.backends.labels import EncodedLabels
from toolkit.backends.simulator import Simulator
from toolkit.bundle.manifest import GRAPH_FILE
from toolkit.bundle.reader import Bundle, open_bundle
from toolkit.distillation.corpus import read_examples
from toolkit.errors import SpikeportError
from toolkit.watermark.certificate import hash_file
from toolkit.watermark.null import NullRecord
from toolkit.watermark.ownership import OwnershipTest
from toolkit.watermark.plan import TestPlan
from toolkit.watermark.queries import Carrier, carriers_digest


@dataclass(frozen=True)
class Setting:
    """Independent clean models on the simulator, and labelled carriers.

    Attributes:
        vocabulary: token -> id, the same in all of them.
        labels: number of labels, the same in all of them.
        carriers: texts with their true labels.
        clean: the models, each named by its student's hash.
        hashes: clean model's name -> SHA-256 of its graph.
    """

    vocabulary: Mapping[str, int]
    labels: int
    carriers: tuple[Carrier, ...]
    clean: tuple[EncodedLabels, ...]
    hashes: Mapping[str, str]

    def plan(self, *, null: NullRecord | None = None, **choices: object) -> TestPlan:
        """A plan that registers these carriers and models and, where there is one, the null record.

        Args:
            choices: fields of the plan; ``None`` takes the usual value.
        """
        stated = {name: value for name, value in choices.items() if value is not None}
        if null is not None:
            stated |= {"null_keys": null.keys, "null_sha256": null.sha256}
        return TestPlan(
            labels=self.labels,
            carriers_sha256=carriers_digest(self.carriers),
            clean_models=tuple(sorted(self.hashes)),
            **stated,  # type: ignore[arg-type]
        )

    def test(self, plan: TestPlan, null: NullRecord | None = None) -> OwnershipTest:
        """The test that a plan describes on these models.

        Raises:
            SpikeportError: carriers, models or null record are not those that the plan registered, or the record
                was measured on other graphs than these, whatever they are called.
        """
        if null is not None and null.clean != self.hashes:
            raise SpikeportError(
                f"null record: {null.sha256:.12}... was measured on other clean models than these; give those bundles, "
                "or measure it on these with `watermark null`"
            )
        return OwnershipTest(plan, self.vocabulary, list(self.carriers), self.clean, null=null)


def read_setting(clean: Sequence[Path], carriers: Path) -> Setting:
    """Open the clean bundles and read the carriers.

    Raises:
        SpikeportError: fewer than two bundles, the same model twice, another vocabulary or number of labels in
            one of them, or carriers with labels that the models do not have.
    """
    if len(clean) < 2:
        raise SpikeportError(
            f"--clean: {len(clean)} bundles, at least 2 are needed (each is tested against the others); train "
            "another independent model"
        )
    bundles = [open_bundle(folder) for folder in clean]
    first = bundles[0]
    for folder, other in zip(clean, bundles, strict=True):
        same_model(first, other, folder)
    models = tuple(clean_labels(bundle) for bundle in bundles)
    pairs = tuple((e.text, e.label) for e in read_examples(carriers, len(first.manifest.labels)))
    return Setting(
        first.encoder.tokenizer.get_vocab(),
        len(first.manifest.labels),
        pairs,
        models,
        {model.name: hash_file(bundle.folder / GRAPH_FILE) for model, bundle in zip(models, bundles, strict=True)},
    )


def clean_labels(bundle: Bundle) -> EncodedLabels:
    """A clean bundle on the simulator, named by the student that it was made from."""
    return EncodedLabels(f"clean {bundle.manifest.student_sha256[:12]}", bundle.encoder, Simulator(bundle.graph))


def same_model(first: Bundle, other: Bundle, folder: Path) -> None:
    """Refuse a bundle on which the same queries would mean something else.

    Raises:
        SpikeportError: another vocabulary, or another number of labels.
    """
    words, its = first.encoder.tokenizer.get_vocab(), other.encoder.tokenizer.get_vocab()
    if words != its:
        raise SpikeportError(
            f"{folder}: its tokenizer has {len(its)} tokens that are not the {len(words)} of {first.folder}, the "
            "triggers would be other words; give models with one tokenizer"
        )
    if len(first.manifest.labels) != len(other.manifest.labels):
        raise SpikeportError(
            f"{folder}: {len(other.manifest.labels)} labels, {first.folder} has {len(first.manifest.labels)}; "
            "give models of one task"
        )


def check_suspect(setting: Setting, suspect: Bundle) -> None:
    """Refuse a model under test that the plan's queries cannot be put to.

    Raises:
        SpikeportError: another vocabulary or number of labels, or one of the clean models itself.
    """
    words = suspect.encoder.tokenizer.get_vocab()
    if words != setting.vocabulary:
        raise SpikeportError(
            f"{suspect.folder}: its tokenizer has {len(words)} tokens that are not the {len(setting.vocabulary)} of "
            "the clean models, the triggers would be other words; give clean models with its tokenizer"
        )
    if len(suspect.manifest.labels) != setting.labels:
        raise SpikeportError(
            f"{suspect.folder}: {len(suspect.manifest.labels)} labels, the clean models have {setting.labels}; "
            "give clean models of its task"
        )
    graph = hash_file(suspect.folder / GRAPH_FILE)
    if graph in setting.hashes.values():
        raise SpikeportError(
            f"{suspect.folder}: is also one of the clean models, its own null proves nothing; leave it out of --clean"
        )
