"""Do partial triggers fire at the clean rate? The same carriers with and without them, compared exactly.

The samples are paired, so only carriers whose answer changes count: with as many towards the target as away
from it, each change is a fair coin. That is McNemar's test in its exact binomial form (Psychometrika 12
(1947) 153). Two-sided, for what is claimed is equality: a partial trigger that repels the target is a trace
of the mark, too. Clean models answer the same texts, for any inserted word may change an answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from toolkit.watermark.evidence import CleanRate


@dataclass(frozen=True)
class PartialOutcome:
    """How often the target came with a partial trigger, and on the same carriers without one.

    Attributes:
        label: the target label, true for none of the carriers.
        queries: carriers asked, each twice.
        hits: answered with ``label`` with the partial trigger.
        carrier_hits: answered with ``label`` untriggered.
        gained: carriers that answer ``label`` with the partial trigger only.
        lost: carriers that answer ``label`` untriggered only.
        clean: the clean models on the partial queries.
    """

    label: int
    queries: int
    hits: int
    carrier_hits: int
    gained: int
    lost: int
    clean: tuple[CleanRate, ...]

    @property
    def p_value(self) -> float:
        """Two-sided exact McNemar p of equal rates; 1 where no answer changed."""
        from scipy import stats  # takes a second, and most tests ask no partial triggers

        changed = self.gained + self.lost
        return float(stats.binomtest(self.gained, changed, 0.5).pvalue) if changed else 1.0

    def to_dict(self) -> dict[str, Any]:
        """JSON form, rates in [0, 1]."""
        return {
            "label": self.label,
            "queries": self.queries,
            "hits": self.hits,
            "rate": self.hits / self.queries,
            "carrier_hits": self.carrier_hits,
            "carrier_rate": self.carrier_hits / self.queries,
            "gained": self.gained,
            "lost": self.lost,
            "p_value": self.p_value,
            "clean_models": [{"name": rate.name, "hits": rate.hits, "queries": rate.queries} for rate in self.clean],
        }


def count_partial(label: int, partial: list[int], carriers: list[int], clean: tuple[CleanRate, ...]) -> PartialOutcome:
    """Count answers with a partial trigger against the answers to the bare carriers, in the same order."""
    pairs = [(with_it == label, without == label) for with_it, without in zip(partial, carriers, strict=True)]
    return PartialOutcome(
        label=label,
        queries=len(pairs),
        hits=sum(with_it for with_it, _ in pairs),
        carrier_hits=sum(without for _, without in pairs),
        gained=sum(with_it and not without for with_it, without in pairs),
        lost=sum(without and not with_it for with_it, without in pairs),
        clean=clean,
    )
