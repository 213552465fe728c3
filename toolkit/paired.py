"""Two forms of a model on the same rows: how often each is right, and the mean loss with its upper limit."""

from __future__ import annotations

import statistics
from collections.abc import Sequence


def paired(first: Sequence[bool], second: Sequence[bool]) -> dict[str, int]:
    """How often two forms are right about the same rows: both, only one of them, neither."""
    pairs = list(zip(first, second, strict=True))
    return {
        "rows": len(pairs),
        "both": pairs.count((True, True)),
        "only_float": pairs.count((True, False)),
        "only_integer": pairs.count((False, True)),
    }


def mean_and_upper(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean, and its one-sided upper 95 % limit by Student's t: ``m + t(0.95, n - 1) s / sqrt(n)``; none for n = 1."""
    from scipy import stats

    mean = statistics.fmean(values)
    if len(values) < 2:
        return mean, None
    error = statistics.stdev(values) / len(values) ** 0.5
    return mean, mean + float(stats.t.ppf(0.95, len(values) - 1)) * error
