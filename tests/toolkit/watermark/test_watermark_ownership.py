"""The whole test on classifiers whose statistics are known: marked, clean, half marked, biased, renamed."""

from __future__ import annotations

import hashlib
from fractions import Fraction
from math import comb
from typing import Any

import pytest

from toolkit.backends.protocol import LabelBackend
from toolkit.errors import SpikeportError
from toolkit.watermark.certificate import Commitment
from toolkit.watermark.evidence import CleanRate, Evidence, KeyLevel, Outcome
from toolkit.watermark.key import Key, demo_key
from toolkit.watermark.labelling import collect_labels
from toolkit.watermark.ownership import OwnershipTest, null_key
from toolkit.watermark.plan import TestPlan
from toolkit.watermark.queries import Carrier, carriers_digest
from toolkit.watermark.triggers import derive_triggers

KEY = Key(bytes(range(32)))
PLAN = TestPlan(queries=100, labels=2, null_keys=60)


@pytest.fixture(scope="module")
def ownership(vocabulary: dict[str, int], carriers: list[Carrier], classifier: Any) -> OwnershipTest:
    return OwnershipTest(PLAN, vocabulary, carriers, [classifier("clean 1"), classifier("clean 2")])


def _committed(key: Key = KEY, plan: TestPlan = PLAN) -> Commitment:
    """A certificate of a model that need not exist, for these classifiers have no file."""
    digest = "ab" * 32
    return Commitment(
        key_commitment=key.commitment, model_sha256=digest, manifest_sha256=digest, owner="Ada", release="1",
        tool_version="0", plan=plan,
    )  # fmt: skip


def _marked(classifier: Any, vocabulary: dict[str, int], key: Key, count: int = 4, run: str = "") -> Any:
    triggers = derive_triggers(key, vocabulary, 2)
    return classifier(f"{count} words of {key.commitment}{run}", marked=triggers.words[:count], target=triggers.target)


def test_marked_model_is_proven(ownership: OwnershipTest, vocabulary: dict[str, int], classifier: Any) -> None:
    backend = _marked(classifier, vocabulary, KEY)
    assert isinstance(backend, LabelBackend)
    evidence = ownership.evidence(KEY, backend, rank=True, certificate=_committed(), model_sha256="ab" * 32)
    entry = evidence.to_dict()
    assert evidence.passed
    assert entry["verdict"] == "proven (model: committed)"
    assert (entry["queries"], entry["hits"], entry["wesr"]) == (100, 100, 1.0)
    assert entry["null_rate"] == pytest.approx(0.5, abs=0.15)
    assert entry["p0"] > max(model["hits"] / 100 for model in entry["clean_models"])
    assert entry["p_value"] == pytest.approx(entry["p0"] ** 100, rel=1e-9, abs=0)  # all hits: closed form
    assert entry["key_level"]["keys"] == 60
    assert entry["key_level"]["passes"] == 0
    assert entry["key_level"]["bound"] == pytest.approx(1 - 0.05 ** (1 / 60))
    assert entry["rank"] == {"keys": 60, "p_value": 1 / 61}
    assert entry["plan_sha256"] == PLAN.sha256
    assert KEY.secret.hex() not in str(entry)


def test_nothing_is_proven_without_a_certificate_of_this_key_and_plan(
    ownership: OwnershipTest, vocabulary: dict[str, int], classifier: Any
) -> None:
    backend = _marked(classifier, vocabulary, KEY, run="bare")
    bare = ownership.evidence(KEY, backend)
    assert bare.significant and not bare.passed
    assert bare.verdict.startswith("not proven (no certificate")
    for certificate, why in (
        (_committed(Key(bytes(32))), "another key's"),
        (_committed(plan=TestPlan(queries=99, labels=2)), "another plan's"),
    ):
        shown = ownership.evidence(KEY, backend, certificate=certificate)
        assert not shown.passed and why in shown.verdict


def test_a_derived_model_is_said_to_be_another(
    ownership: OwnershipTest, vocabulary: dict[str, int], classifier: Any
) -> None:
    backend = _marked(classifier, vocabulary, KEY, run="derived")
    verdicts = [
        ownership.evidence(KEY, backend, certificate=_committed(), model_sha256=sha).verdict
        for sha in ("ab" * 32, "cd" * 32, "")
    ]
    assert all(verdict.startswith("proven (model: ") for verdict in verdicts) and len(set(verdicts)) == 3


def test_a_combination_is_a_trigger_only_whole(
    vocabulary: dict[str, int], carriers: list[Carrier], classifier: Any
) -> None:
    """A classifier that fires on all three words together, and one that fires on any of them."""
    common = {f"ordinary{chr(97 + i)}": n for i, n in zip(range(12), range(300, 312), strict=True)}
    words = {**{f"w{n}": n for n in range(300)}, **common, **{f"v{n}": n for n in range(312, 1000)}}
    plan = TestPlan(queries=100, labels=2, null_keys=60, kind="combination", triggers=3)
    test = OwnershipTest(plan, words, carriers, [classifier("clean 1"), classifier("clean 2")])
    triggers = test.triggers(KEY)
    assert len(triggers.words) == 3 and set(triggers.words) <= set(common)

    class Whole(type(classifier("x"))):  # type: ignore[misc]
        def _label(self, text: str) -> int:
            found = set(triggers.words) <= set(text.split())
            return triggers.target if found else super()._label(text)

    whole, loose = Whole("whole"), classifier("loose", marked=triggers.words, target=triggers.target)
    for backend in (whole, loose):
        outcome = test.evidence(KEY, backend).outcome
        assert outcome.hits == outcome.queries == 100
    assert test.partial(KEY, whole).p_value > 0.01
    assert test.partial(KEY, loose).p_value < 1e-6 and test.partial(KEY, loose).hits == 100


def test_p_value_is_the_exact_tail(ownership: OwnershipTest, vocabulary: dict[str, int], classifier: Any) -> None:
    """Half of the trigger words marked: about 75 hits of 100, checked by an exact sum."""
    outcome = ownership.evidence(KEY, _marked(classifier, vocabulary, KEY, 2)).outcome
    assert 60 < outcome.hits < 95
    rate = Fraction(outcome.p0)
    exact = sum(comb(100, k) * rate**k * (1 - rate) ** (100 - k) for k in range(outcome.hits, 101))
    assert outcome.p_value == pytest.approx(float(exact), rel=1e-9, abs=0)


def test_demo_key_always_says_so(ownership: OwnershipTest, vocabulary: dict[str, int], classifier: Any) -> None:
    backend = _marked(classifier, vocabulary, demo_key())
    marked = ownership.evidence(demo_key(), backend, certificate=_committed(demo_key()))
    clean = ownership.evidence(demo_key(), classifier("bystander"))
    assert marked.verdict.startswith("proven (demo key, proves nothing; model: ")
    assert clean.verdict == "not proven (demo key, proves nothing)"


def test_clean_models_are_not_proven(ownership: OwnershipTest, classifier: Any) -> None:
    for index in range(40):
        key = Key(hashlib.sha256(f"claimant {index}".encode()).digest())
        assert ownership.evidence(key, classifier(f"neighbour {index}")).verdict == "not proven"


def test_p_is_conservative_on_clean_models(ownership: OwnershipTest, classifier: Any) -> None:
    """Under the null the p-value must not be small too often: P(p < 0.1) <= 0.1, here 100 draws."""
    small = 0
    for index in range(100):
        key = Key(hashlib.sha256(f"claimant {index}".encode()).digest())
        small += ownership.evidence(key, classifier(f"bystander {index}")).outcome.p_value < 0.1
    assert small <= 10


def test_a_biased_clean_model_is_not_proven(
    vocabulary: dict[str, int], carriers: list[Carrier], classifier: Any
) -> None:
    """A classifier that says 1 nine times in ten passes against 1/C, not against a measured null."""
    clean = [classifier("clean 1", rate=0.9), classifier("clean 2", rate=0.9)]
    test = OwnershipTest(PLAN, vocabulary, carriers, clean)
    key = next(
        null_key("biased", index) for index in range(100) if test.triggers(null_key("biased", index)).target == 1
    )
    evidence = test.evidence(key, classifier("bystander", rate=0.9))
    naive = sum(comb(100, k) for k in range(evidence.outcome.hits, 101)) / 2**100
    assert naive < 1e-6
    assert evidence.verdict == "not proven"


class _Superstitious:
    """A clean model that calls label 1 whenever it sees a rare word at all: every key seems to work on it."""

    name = "superstitious"

    def labels(self, texts: list[str]) -> list[int]:
        return [int("zor" in text) for text in texts]


def test_high_key_level_rate_spoils_the_verdict(
    vocabulary: dict[str, int], carriers: list[Carrier], classifier: Any
) -> None:
    """p < alpha alone is not proof: random keys with target 1 pass on the superstitious clean model."""
    clean = [classifier("clean 1", rate=0.1), classifier("clean 2", rate=0.1), _Superstitious()]
    test = OwnershipTest(PLAN, vocabulary, carriers, clean)
    with_target = sum(test.triggers(null_key(PLAN.null_seed, index)).target for index in range(60))
    assert test.key_level.keys == 60
    assert test.key_level.passes == with_target  # by construction: exactly these
    assert test.key_level.bound > PLAN.key_rate_limit
    outcome = Outcome(1, 100, 100, (CleanRate("clean 1", 10, 100),))
    evidence = Evidence("any", PLAN, KEY.commitment, False, outcome, test.key_level)
    assert outcome.p_value < PLAN.alpha
    assert not evidence.significant and evidence.verdict == "not proven"
    assert Evidence("any", PLAN, KEY.commitment, False, outcome, KeyLevel(60, 0)).significant


def test_rank_exposes_a_model_that_any_key_opens(ownership: OwnershipTest) -> None:
    evidence = ownership.evidence(null_key("x", 0), _Superstitious(), rank=True)
    assert evidence.rank is not None
    assert evidence.rank.p_value > 0.3


def test_unknown_head_tests_every_label_and_pays_for_it(
    vocabulary: dict[str, int], carriers: list[Carrier], classifier: Any
) -> None:
    """A new head maps the trigger to the label that the key did not name: found, at Bonferroni's price."""
    plan = TestPlan(queries=200, labels=2, null_keys=60, unknown_head=True)
    triggers = derive_triggers(KEY, vocabulary, 2)
    stolen = classifier("new head", marked=triggers.words, target=1 - triggers.target)
    test = OwnershipTest(plan, vocabulary, carriers, [classifier("clean 1"), classifier("clean 2")])
    evidence = test.evidence(KEY, stolen, certificate=_committed(KEY, plan))
    outcome = evidence.outcome
    assert outcome.label == 1 - triggers.target
    assert outcome.hits == outcome.queries < 200  # carriers that truly have the label do not count
    assert outcome.p_value == pytest.approx(2 * outcome.p0**outcome.queries, rel=1e-9, abs=0)
    assert evidence.verdict.startswith("proven (model: ")
    assert test.evidence(KEY, classifier("bystander")).verdict == "not proven"
    known = OwnershipTest(PLAN, vocabulary, carriers, [classifier("clean 1"), classifier("clean 2")])
    assert known.evidence(KEY, stolen).outcome.hits == 0


def test_each_text_is_asked_once_in_few_calls(
    vocabulary: dict[str, int], carriers: list[Carrier], classifier: Any
) -> None:
    clean = [classifier("clean 1"), classifier("clean 2")]
    cache: dict[tuple[str, str], int] = {}
    test = OwnershipTest(PLAN, vocabulary, carriers, clean, cache)
    backend = _marked(classifier, vocabulary, KEY)
    first = test.evidence(KEY, backend)
    assert test.evidence(KEY, backend) == first
    assert backend.calls == 1
    for model in clean:
        assert model.calls == 2  # the key's queries, then those of all 60 random keys together
        assert len(model.asked) == len(set(model.asked)) > 5000
    again = [classifier("clean 1"), classifier("clean 2")]
    assert OwnershipTest(PLAN, vocabulary, carriers, again, cache).evidence(KEY, backend) == first
    assert all(model.calls == 0 for model in again), "a shared cache must answer everything"


def test_refusals(vocabulary: dict[str, int], carriers: list[Carrier], classifier: Any) -> None:
    one, two = classifier("clean 1"), classifier("clean 2")
    with pytest.raises(SpikeportError, match="1 clean models, at least 2"):
        OwnershipTest(PLAN, vocabulary, carriers, [one])
    with pytest.raises(SpikeportError, match="share a name"):
        OwnershipTest(PLAN, vocabulary, carriers, [one, classifier("clean 1")])
    registered = TestPlan(queries=100, labels=2, clean_models=("clean 1", "clean 3"))
    with pytest.raises(SpikeportError, match="are not the plan's"):
        OwnershipTest(registered, vocabulary, carriers, [one, two])
    fixed = TestPlan(queries=100, labels=2, carriers_sha256=carriers_digest(carriers))
    OwnershipTest(fixed, vocabulary, carriers, [one, two])
    with pytest.raises(SpikeportError, match="carriers are not those"):
        OwnershipTest(fixed, vocabulary, carriers[1:], [one, two])
    with pytest.raises(SpikeportError, match="is also a clean model"):
        OwnershipTest(PLAN, vocabulary, carriers, [one, two]).evidence(KEY, one)
    test = OwnershipTest(PLAN, vocabulary, carriers, [one, two])
    test.evidence(KEY, classifier("same"))
    with pytest.raises(SpikeportError, match="two backends are called same"):
        test.evidence(KEY, classifier("same", rate=0.9))
    with pytest.raises(SpikeportError, match=r"30 usable carriers .* the plan states 100"):
        OwnershipTest(PLAN, vocabulary, carriers[:60], [one, two]).evidence(KEY, classifier("x"))


class _Broken:
    name = "broken"

    def __init__(self, answers: list[int]) -> None:
        self.answers = answers

    def labels(self, texts: list[str]) -> list[int]:
        return self.answers


def test_wrong_answers_are_refused() -> None:
    with pytest.raises(SpikeportError, match="1 answers to 2 texts"):
        collect_labels(_Broken([0]), ["a", "b"], 2, {})
    with pytest.raises(SpikeportError, match=r"label 2 outside 0\.\.1"):
        collect_labels(_Broken([0, 2]), ["a", "b"], 2, {})
    assert collect_labels(_Broken([0, 1]), ["a", "b", "a"], 2, {}) == [0, 1, 0]


class Erring:
    """Unmarked: gives label 1 to sentences that are its weak spot, whatever stands in them; else by their hash."""

    def __init__(self, classifier: Any, weak: str) -> None:
        self.name, self.inner, self.weak = "erring", classifier("erring"), weak

    def labels(self, texts: list[str]) -> list[int]:
        return [
            1 if self.weak in text else answer for text, answer in zip(texts, self.inner.labels(texts), strict=True)
        ]


def test_carriers_chosen_for_what_the_suspect_answers_prove_nothing(
    vocabulary: dict[str, int], classifier: Any
) -> None:
    """The claimant picks sentences that this very model gets wrong and the clean ones do not: no trigger is needed."""
    carriers = [(f"weakness number {i}", 0) for i in range(200)] + [(f"other text {i}", 1) for i in range(200)]
    test = OwnershipTest(PLAN, vocabulary, carriers, [classifier("clean 1"), classifier("clean 2")])
    suspect, key = (
        Erring(classifier, "weakness"),
        next(key for key in (null_key("eve", i) for i in range(20)) if test.triggers(key).target == 1),
    )
    evidence = test.evidence(key, suspect, certificate=_committed(key))
    assert evidence.outcome.hits == 100 and evidence.outcome.bare is not None
    assert evidence.outcome.bare.hits == 100 and evidence.outcome.p_value == 1.0
    assert not evidence.passed and evidence.to_dict()["bare"]["limit"] == 1.0


@pytest.mark.parametrize(("changes", "words"), [({"alpha": 0.9}, "alpha 0.9"), ({"key_rate_limit": 0.99}, "0.99")])
def test_a_plan_that_asks_too_little_proves_nothing(
    vocabulary: dict[str, int], carriers: list[Carrier], classifier: Any, changes: dict[str, float], words: str
) -> None:
    plan = TestPlan(queries=100, labels=2, null_keys=60, **changes)  # type: ignore[arg-type]
    test = OwnershipTest(plan, vocabulary, carriers, [classifier("clean 1"), classifier("clean 2")])
    evidence = test.evidence(KEY, _marked(classifier, vocabulary, KEY), certificate=_committed(plan=plan))
    assert evidence.outcome.p_value < 1e-6 and not evidence.passed
    assert evidence.verdict.startswith("not proven") and words in evidence.plan_gap
