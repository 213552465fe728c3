"""Networks described in TOML rather than simulated: their counts, as bounds where rates are not published."""

from simulators.described.counts import DescribedNetwork, described_network, described_network_of
from simulators.described.estimate import estimate_described

__all__ = ["DescribedNetwork", "described_network", "described_network_of", "estimate_described"]
