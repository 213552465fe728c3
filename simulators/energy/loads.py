"""What each layer asks of its cores, step by step: arrays over layers and steps, made once for all chips."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from simulators.activity import Activity, NodeActivity
from simulators.layers import Layer, layers_of
from simulators.once import once

Table = NDArray[np.float64]  # (layers, T)


@dataclass(frozen=True, eq=False)
class Loads:
    """Counts of a whole run by layer and step, (L, T); where only a total is known, spread evenly over the steps.

    Attributes:
        layers: in the order of the rows.
        events: synaptic events over non-zero weights; walked: over stored zeros too.
        active, idle: neuron updates; spikes: of neurons.
        messages: spike messages that enter, by the window of the synapses that they meet.
        unknown: (L,) events of synapses of which it is not known how many messages made them.
    """

    layers: tuple[Layer, ...]
    events: Table
    walked: Table
    active: Table
    idle: Table
    spikes: Table
    messages: dict[int, Table]
    unknown: NDArray[np.float64]

    @cached_property
    def by_layer(self) -> tuple[list[float], list[float]]:
        """``events`` and ``walked`` over all steps, by layer."""
        return self.events.sum(axis=1).tolist(), self.walked.sum(axis=1).tolist()


@once
def loads_of(activity: Activity) -> Loads:
    """The table of a run. Raises EstimateError for counts that cannot be."""
    layers, steps = tuple(layers_of(activity)), activity.steps
    shape = len(layers), steps
    events, walked, unknown = np.zeros(shape), np.zeros(shape), np.zeros(len(layers))
    messages: dict[int, Table] = {}
    for row, layer in enumerate(layers):
        for node in layer.synapses:
            own = _series(node, "synops", float(node.synops), steps)
            events[row] += own
            walked[row] += own * (layer.walked(node) / node.synops if node.synops else 1.0)
            arriving = entering(layer, node)
            unknown[row] += node.synops if arriving is None else 0.0
            table = messages.setdefault(node.window, np.zeros(shape))
            table[row] += _series(node, "messages", arriving or 0.0, steps)
    active, idle, spikes = (
        np.array([_of(layer, name, steps) for layer in layers]).reshape(shape)
        for name in ("updates_active", "updates_idle", "spikes")
    )
    return Loads(layers, events, walked, active, idle, spikes, messages, unknown)


def entering(layer: Layer, node: NodeActivity) -> float | None:
    """Spike messages of the whole run that enter a synapse node, as counted, else from its events; None if unknown."""
    return float(node.messages) if node.messages else layer.spikes_in(node)


def _of(layer: Layer, name: str, steps: int) -> Table:
    if layer.neuron is None:
        return np.zeros(steps)
    return _series(layer.neuron, name, float(getattr(layer.neuron, name)), steps)


def _series(node: NodeActivity, name: str, total: float, steps: int) -> Table:
    known = node.per_step.get(name)
    return np.array(known, dtype=np.float64) if known and sum(known) == total else np.full(steps, total / steps)
