"""The few exact statistics that a verdict rests on; all one-sided, none approximated.

By the incomplete beta function itself: ``scipy.stats`` takes a second to import.
"""

from __future__ import annotations

import sys

from scipy import special

CONFIDENCE = 0.95


def upper_limit(hits: int, trials: int, confidence: float = CONFIDENCE) -> float:
    """One-sided Clopper-Pearson upper limit of a rate: the p at which P(X <= hits) = 1 - confidence.

    Beta-quantile form of Clopper and Pearson, Biometrika 26 (1934) 404; 1.0 when every trial was a hit.
    """
    if hits >= trials:
        return 1.0
    return float(special.betaincinv(hits + 1, trials - hits, confidence))


def tail_p(hits: int, trials: int, rate: float) -> float:
    """Exact binomial P(X >= hits) for X ~ Binomial(trials, rate).

    A value below the smallest normal float is given as that float, which bounds it from above.
    """
    p = float(special.betainc(hits, trials - hits + 1, rate)) if hits else 1.0
    return max(p, sys.float_info.min)


def hits_needed(trials: int, rate: float, alpha: float) -> int | None:
    """Smallest number of hits whose tail probability is below ``alpha``; None if even all hits are not."""
    if tail_p(trials, trials, rate) >= alpha:
        return None
    low, high = 0, trials
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if tail_p(middle, trials, rate) < alpha else (middle + 1, high)
    return low


def rank_p(observed: float, null: list[float]) -> float:
    """Rank p-value of ``observed`` among null values: (1 + #{null >= observed}) / (1 + #null)."""
    return (1 + sum(value >= observed for value in null)) / (1 + len(null))
