"""The evidence of one key on one backend: figures, their null, the verdict, the report entry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from toolkit.watermark.certificate import Commitment
from toolkit.watermark.plan import TestPlan
from toolkit.watermark.statistics import CONFIDENCE, hits_needed, tail_p, upper_limit

LARGEST_ALPHA, LARGEST_KEY_RATE = 1e-6, 0.05
"""A claimant writes his plan himself: nothing laxer than this is a proof."""

DEMO_NOTE = "demo key, proves nothing"
COMMITTED = "committed"
ANOTHER = "another than the committed one (derivation is claimed from its answers alone)"
BLACK_BOX = "unknown (a black box; derivation is claimed from its answers alone)"


@dataclass(frozen=True)
class CleanRate:
    """How often an independent clean model gives the tested label on the same triggered inputs."""

    name: str
    hits: int
    queries: int

    @property
    def limit(self) -> float:
        """One-sided 95 % Clopper-Pearson upper limit of the rate."""
        return upper_limit(self.hits, self.queries)


@dataclass(frozen=True)
class Outcome:
    """Answers to one key's queries, counted for one label, against the clean models' answers to the same.

    Attributes:
        label: the label counted.
        queries: queries whose true label is another one.
        hits: how many of them were answered with ``label``.
        clean: the clean models on the same queries.
        tested_labels: how many labels the choice of ``label`` was made from (Bonferroni factor).
        bare: the model under test on the same carriers without their triggers; None where it was not asked.
    """

    label: int
    queries: int
    hits: int
    clean: tuple[CleanRate, ...]
    tested_labels: int = 1
    bare: CleanRate | None = None

    @property
    def wesr(self) -> float:
        """Watermark extraction success rate."""
        return self.hits / self.queries

    @property
    def null_rate(self) -> float:
        """Rate of the label over all clean models together."""
        return sum(rate.hits for rate in self.clean) / sum(rate.queries for rate in self.clean)

    @property
    def p0(self) -> float:
        """Null rate of the test: the highest of the clean models' upper limits and of the model's own, untriggered.

        The highest, not the pooled one: models answer the same queries, so their answers are no
        independent draws, and a pooled limit would be narrower than it may be. Its own rate on bare carriers,
        because carriers may have been chosen for what this very model answers to them.
        """
        return max(rate.limit for rate in (*self.clean, *([self.bare] if self.bare else [])))

    @property
    def p_value(self) -> float:
        """Exact one-sided binomial p against ``p0``, times the number of labels tested, at most 1."""
        return min(1.0, self.tested_labels * tail_p(self.hits, self.queries, self.p0))


@dataclass(frozen=True)
class KeyLevel:
    """False positives counted per key: random keys whose own test passes on a clean model."""

    keys: int
    passes: int

    @property
    def rate(self) -> float:
        """Fraction of the random keys that pass."""
        return self.passes / self.keys

    @property
    def bound(self) -> float:
        """One-sided 95 % Clopper-Pearson upper bound of the rate."""
        return upper_limit(self.passes, self.keys)


@dataclass(frozen=True)
class Rank:
    """Rank of the key's WESR among random keys on the model under test itself."""

    keys: int
    p_value: float


@dataclass(frozen=True)
class Evidence:
    """All that is to be said about one key and one backend under one plan.

    Attributes:
        backend: name of the model under test.
        certificate: what was committed before release; None where no certificate was shown.
        model_sha256: hash of the model under test; empty where it answers as a black box.
    """

    backend: str
    plan: TestPlan
    key_commitment: str
    demo: bool
    outcome: Outcome
    key_level: KeyLevel
    rank: Rank | None = None
    certificate: Commitment | None = None
    model_sha256: str = ""

    @property
    def significant(self) -> bool:
        """Both figures hold: p below alpha, and the key-level bound within its limit (any key, any plan)."""
        below_alpha = self.outcome.p_value < self.plan.alpha
        return below_alpha and self.key_level.bound <= self.plan.key_rate_limit

    @property
    def plan_gap(self) -> str:
        """Why the plan is too lax for a proof, whatever comes of it; empty where it is not."""
        if self.plan.alpha > LARGEST_ALPHA:
            return f"the plan's alpha {self.plan.alpha:g} is above {LARGEST_ALPHA:g}"
        if self.plan.key_rate_limit > LARGEST_KEY_RATE:
            return f"the plan's key-rate limit {self.plan.key_rate_limit:g} is above {LARGEST_KEY_RATE:g}"
        return ""

    @property
    def certificate_gap(self) -> str:
        """Why there is no opened certificate of this key and plan; empty where there is one."""
        if self.certificate is None:
            return "no certificate: a key or a plan chosen after the fact cannot be ruled out"
        if self.certificate.key_commitment != self.key_commitment:
            return "the certificate is another key's"
        return "" if self.certificate.plan.sha256 == self.plan.sha256 else "the certificate is another plan's"

    @property
    def passed(self) -> bool:
        """Both figures hold, the plan is strict enough, and key and plan were committed beforehand (any key)."""
        return self.significant and not self.plan_gap and not self.certificate_gap

    @property
    def model(self) -> str:
        """How the model under test stands to the committed one."""
        if self.certificate is None:
            return "none committed"
        if not self.model_sha256:
            return BLACK_BOX
        return COMMITTED if self.model_sha256 == self.certificate.model_sha256 else ANOTHER

    @property
    def verdict(self) -> str:
        """``proven`` or ``not proven``, and what limits it: demo key, no certificate, another model."""
        notes = [DEMO_NOTE] if self.demo else []
        if self.significant:
            notes += [gap for gap in (self.plan_gap, self.certificate_gap) if gap]
        if self.passed:
            notes.append(f"model: {self.model}")
        text = "proven" if self.passed else "not proven"
        return f"{text} ({'; '.join(notes)})" if notes else text

    def to_dict(self) -> dict[str, Any]:
        """Entry of ``watermark.backends`` in ``spikeport.report/1``: rates in [0, 1]."""
        outcome = self.outcome
        return {
            "backend": self.backend,
            "queries": outcome.queries,
            "hits": outcome.hits,
            "wesr": outcome.wesr,
            "null_rate": outcome.null_rate,
            "p_value": outcome.p_value,
            "verdict": self.verdict,
            "significant": self.significant,
            "certificate": "" if self.certificate is None else self.certificate.digest,
            "certificate_gap": self.certificate_gap,
            "model": self.model,
            "kind": self.plan.kind,
            "label": outcome.label,
            "tested_labels": outcome.tested_labels,
            "p0": outcome.p0,
            "alpha": self.plan.alpha,
            "hits_needed": hits_needed(outcome.queries, outcome.p0, self.plan.alpha / outcome.tested_labels),
            "clean_models": [
                {"name": rate.name, "hits": rate.hits, "queries": rate.queries, "limit": rate.limit}
                for rate in outcome.clean
            ],
            "bare": None
            if outcome.bare is None
            else {
                "hits": outcome.bare.hits,
                "queries": outcome.bare.queries,
                "limit": outcome.bare.limit,
            },
            "key_level": {
                "keys": self.key_level.keys,
                "passes": self.key_level.passes,
                "rate": self.key_level.rate,
                "bound": self.key_level.bound,
                "limit": self.plan.key_rate_limit,
            },
            "rank": None if self.rank is None else {"keys": self.rank.keys, "p_value": self.rank.p_value},
            "confidence": CONFIDENCE,
            "plan_sha256": self.plan.sha256,
            "key_commitment": self.key_commitment,
            "demo": self.demo,
        }
