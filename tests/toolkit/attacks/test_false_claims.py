"""Each false claim of ownership, attempted in earnest on a student that nobody marked, and what verification says."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from toolkit.attacks.fitting import grind, inserted, strongest_words
from toolkit.attacks.suspect import Suspect, read_suspect
from toolkit.attacks.weights import jitter
from toolkit.distillation.corpus import read_examples
from toolkit.distillation.encode import encode
from toolkit.errors import SpikeportError
from toolkit.models.storage import save_student, student_hash
from toolkit.students import MARKED, UNMARKED, UNMARKED_SDSA
from toolkit.watermark.certificate import Commitment, open_certificate
from toolkit.watermark.embedding.selftaught import logits_of
from toolkit.watermark.evidence import CleanRate, Outcome
from toolkit.watermark.key import Key, demo_key
from toolkit.watermark.ownership import OwnershipTest, null_key
from toolkit.watermark.plan import TestPlan
from toolkit.watermark.queries import Carrier
from toolkit.watermark.triggers import Triggers, candidates, derive_triggers

SENTENCES = Path(__file__).resolve().parents[3] / "toolkit/data/sentences.tsv"
PLAN = TestPlan(queries=32, labels=2, null_keys=59)
OTHERS_KEYS = 24


@pytest.fixture(scope="module")
def victim() -> Suspect:
    """Marked by nobody; the claimant holds its weights."""
    return read_suspect(UNMARKED, "victim")


@pytest.fixture(scope="module")
def independent(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two clean models: one trained by itself, and a disturbed form of it, for a test wants two."""
    other, disturbed = read_suspect(UNMARKED_SDSA), tmp_path_factory.mktemp("clean") / "disturbed"
    save_student(jitter(other.model, 0.1).student, disturbed, {"labels": ["negative", "positive"]})
    shutil.copyfile(UNMARKED_SDSA / "tokenizer.json", disturbed / "tokenizer.json")
    return [UNMARKED_SDSA, disturbed]


@pytest.fixture(scope="module")
def asked(independent: list[Path]) -> dict[Path, Suspect]:
    """The clean models, the victim and a marked student, each by its folder."""
    return {folder: read_suspect(folder, folder.name) for folder in (*independent, UNMARKED, MARKED)}


@pytest.fixture(scope="module")
def carriers() -> list[Carrier]:
    return [(example.text, example.label) for example in read_examples(SENTENCES)]


@pytest.fixture(scope="module")
def ownership(
    victim: Suspect, independent: list[Path], asked: dict[Path, Suspect], carriers: list[Carrier]
) -> OwnershipTest:
    return OwnershipTest(PLAN, victim.tokenizer.get_vocab(), carriers, [asked[model] for model in independent])


@pytest.fixture(scope="module")
def fitted(victim: Suspect, carriers: list[Carrier]) -> dict[int, list[int]]:
    """Label -> the rare words that call it most in the victim, found by its gradient."""
    vocabulary = victim.tokenizer.get_vocab()
    pool = [vocabulary[word] for word in candidates(vocabulary)]
    return {
        label: strongest_words(victim.model, _rows(victim, carriers, 1 - label), pool, label, tries=24)
        for label in (0, 1)
    }


def _rows(model: Suspect, carriers: Sequence[Carrier], label: int) -> list[list[int]]:
    texts = [text for text, its in carriers if its == label][:32]
    return encode(model.tokenizer, texts, model.tokens)["input_ids"]


def _hits(model: Suspect, carriers: Sequence[Carrier], word: int, target: int) -> int:
    rows = inserted(_rows(model, carriers, 1 - target), word, model.tokens)
    return int((logits_of(model.model, rows).argmax(-1) == target).sum())


def committed(key: Key, model_sha256: str, plan: TestPlan = PLAN) -> Commitment:
    """Whoever holds a key can commit to it, whenever he likes: a certificate is worth its time stamp."""
    return Commitment(
        key_commitment=key.commitment, model_sha256=model_sha256, manifest_sha256="00" * 32, owner="Mallory",
        release="1", tool_version="0", plan=plan,
    )  # fmt: skip


def test_random_keys_with_certificates_of_their_own(asked: dict[Path, Suspect], ownership: OwnershipTest) -> None:
    """Not one of two dozen passes, even where the claimant committed to it and to this very model."""
    digest = student_hash(UNMARKED)
    for index in range(OTHERS_KEYS):
        key = null_key("random claims", index)
        evidence = ownership.evidence(key, asked[UNMARKED], certificate=committed(key, digest), model_sha256=digest)
        assert evidence.verdict.startswith("not proven") and evidence.outcome.p_value > PLAN.alpha


def test_gradient_search_finds_words_that_call_a_label(
    victim: Suspect, carriers: list[Carrier], fitted: dict[int, list[int]]
) -> None:
    """The attempt is in earnest: the words found turn more sentences than words drawn at random do."""
    vocabulary = victim.tokenizer.get_vocab()
    pool = [vocabulary[word] for word in candidates(vocabulary)]
    for target, words in fitted.items():
        best = max(_hits(victim, carriers, word, target) for word in words[:4])
        usual = sorted(_hits(victim, carriers, word, target) for word in pool[:: len(pool) // 9])
        assert best >= usual[len(usual) // 2] + 4


def test_no_key_holds_words_of_ones_choice(victim: Suspect, fitted: dict[int, list[int]]) -> None:
    """Words follow from keys: of thousands tried, none has two of the four strongest words, let alone all."""
    vocabulary = victim.tokenizer.get_vocab()
    names = {word: name for name, word in vocabulary.items()}
    chosen = {names[word] for words in fitted.values() for word in words[:4]}
    pool = candidates(vocabulary)

    def score(triggers: Triggers) -> float:
        return len(chosen & set(triggers.words))

    _, best = grind((null_key("grinding", i) for i in range(3000)), pool, 2, "words", score)
    assert best <= 1


def test_a_key_ground_offline_is_not_proof(
    victim: Suspect,
    asked: dict[Path, Suspect],
    ownership: OwnershipTest,
    fitted: dict[int, list[int]],
) -> None:
    """The best of many keys, by what their words do to the victim: still refused, by its p and for its date."""
    vocabulary = victim.tokenizer.get_vocab()
    pool = candidates(vocabulary)
    table = victim.model.get_input_embeddings().weight.detach()
    strong = {label: table[words[:8]].mean(0) for label, words in fitted.items()}

    def score(triggers: Triggers) -> float:
        return float((table[[vocabulary[word] for word in triggers.words]] @ strong[triggers.target]).min())

    key, best = grind((null_key("grinding", i) for i in range(3000)), pool, 2, "words", score)
    usual = sorted(score(derive_triggers(null_key("usual", i), vocabulary, 2)) for i in range(99))
    assert best > usual[-1]
    bare = ownership.evidence(key, asked[UNMARKED])
    assert not bare.passed and bare.verdict.startswith("not proven")
    backdated = ownership.evidence(key, asked[UNMARKED], certificate=committed(key, student_hash(UNMARKED)))
    assert backdated.outcome.p_value > PLAN.alpha and backdated.verdict.startswith("not proven")


def test_even_a_key_that_fits_proves_nothing_without_a_certificate(
    asked: dict[Path, Suspect], ownership: OwnershipTest
) -> None:
    """A model that does carry the claimant's words, as one would that he marked after it was published."""
    evidence = ownership.evidence(demo_key(), asked[MARKED])
    assert evidence.outcome.p_value < PLAN.alpha
    assert not evidence.passed and "no certificate" in evidence.verdict


def test_a_replayed_certificate_does_not_fit_another_claim(
    asked: dict[Path, Suspect], ownership: OwnershipTest, tmp_path: Path
) -> None:
    """The owner's own paper, shown by another, for another model, or after another plan."""
    mine, model = demo_key(), student_hash(MARKED)
    certificate, thief = committed(mine, model), null_key("a thief's", 0)
    marked = asked[MARKED]
    stolen = ownership.evidence(thief, marked, certificate=certificate, model_sha256=model)
    assert not stolen.passed and stolen.certificate_gap == "the certificate is another key's"
    replayed = ownership.evidence(mine, asked[UNMARKED], certificate=certificate, model_sha256=student_hash(UNMARKED))
    assert not replayed.passed and replayed.outcome.p_value > PLAN.alpha
    assert replayed.model.startswith("another than the committed one")
    easier = committed(mine, model, replace(PLAN, alpha=1e-3))
    assert not ownership.evidence(mine, marked, certificate=easier, model_sha256=model).passed
    certificate.save(tmp_path / "certificate.json")
    with pytest.raises(SpikeportError, match="key"):
        open_certificate(tmp_path / "certificate.json", thief)
    document = json.loads((tmp_path / "certificate.json").read_text())
    (tmp_path / "altered.json").write_text(json.dumps(document | {"model_sha256": student_hash(UNMARKED)}))
    with pytest.raises(SpikeportError):
        open_certificate(tmp_path / "altered.json", mine)


def test_a_word_that_calls_a_label_everywhere_raises_what_must_be_beaten(
    victim: Suspect, independent: list[Path], carriers: list[Carrier], fitted: dict[int, list[int]]
) -> None:
    """A transferable adversarial word: the more it transfers, the higher p0, for clean models answer the same."""
    models = [read_suspect(folder) for folder in independent]
    for target, words in fitted.items():
        word = words[0]
        rates = tuple(CleanRate(m.name, _hits(m, carriers, word, target), 32) for m in models)
        outcome = Outcome(target, 32, _hits(victim, carriers, word, target), rates)
        assert outcome.p0 > max(rate.hits / 32 for rate in rates)
        if max(rate.hits for rate in rates) >= outcome.hits:  # it transfers
            assert outcome.p_value > 0.05
    transferred = tuple(CleanRate(m.name, 30, 32) for m in models)
    assert Outcome(1, 32, 32, transferred).p_value > PLAN.alpha
