"""Energy by term and spikes against SANA-FE on the same network, mapping and chip figures, where it is installed."""

from __future__ import annotations

import pytest

from benchmarks.sanafe_check import available, compare, holds

REASON = "SANA-FE is not in .venv-peers: make peers-env"


def test_same_network_same_mapping_same_figures() -> None:
    """Synapse, neuron and message energies equal; routing inside our interval; core time within a factor of two.

    Ours adds receiving and updating, SANA-FE takes the longer of the two: at most twice as much.
    """
    if not available():
        pytest.skip(REASON)
    found = compare(sizes=(20, 1100, 4))
    rows = {row["term"]: row for row in found["rows"]}
    assert found["network"]["cores"] >= 3  # the wide layer spans two cores: spikes into it are two messages
    assert found["sanafe"]["hops"] > 0
    assert holds(found), found["rows"]
    assert rows["core time"]["ratio"] == pytest.approx(1.25, abs=0.75)
