"""An activity as a chip runs it: attention replaced by the neurons and synapses that compute it there."""

from simulators.deployment.deploy import deployed, described

__all__ = ["deployed", "described"]
