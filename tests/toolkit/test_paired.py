"""The paired loss and its limit, against hand arithmetic and a table of Student's t."""

from __future__ import annotations

import pytest

from toolkit.paired import mean_and_upper, paired


def test_the_upper_limit_is_by_hand() -> None:
    """1, 2, 3, 6: mean 3, s^2 = (4 + 1 + 0 + 9) / 3; t(0.95, 3) = 2.353 in printed tables."""
    mean, upper = mean_and_upper([1.0, 2.0, 3.0, 6.0])
    assert mean == 3 and upper == pytest.approx(3 + 2.353 * (14 / 3) ** 0.5 / 2, abs=1e-3)
    assert mean_and_upper([5.0]) == (5.0, None)
    assert mean_and_upper([0.0] * 7) == (0.0, 0.0)


def test_rows_are_counted_once_each() -> None:
    first, second = [True, True, True, False, False, False], [True, False, False, True, False, False]
    assert paired(first, second) == {"rows": 6, "both": 1, "only_float": 2, "only_integer": 1}
    with pytest.raises(ValueError, match="shorter"):
        paired([True], [])
