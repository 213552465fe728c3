"""A prepared graph on one batch: all steps at once where there is no cycle, step by step where there is one.

Signals are (T, S, *shape), time first, so that a step is contiguous.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import torch
from torch import Tensor

from exporters.nir.stock.order import Group
from exporters.nir.stock.prepare import Prepared
from simulators.stock.conventions import Conventions
from simulators.stock.loihi2 import fixed
from simulators.stock.neurons import Delayed, State, Stateful, stateful
from simulators.stock.tally import Tally
from simulators.stock.transforms import Transform, transform


class Executor:
    """Every node of a graph made ready to run ``steps`` steps in ``dtype``; holds no state between batches."""

    def __init__(self, prepared: Prepared, how: Conventions, dtype: torch.dtype, steps: int, record: bool) -> None:
        self.prepared, self.dtype = prepared, dtype
        self.tally = Tally(prepared)
        flat, entering = prepared.flat, prepared.shapes.entering
        self.sources, self.targets = flat.sources(), flat.targets()
        self.neurons: dict[str, Stateful] = {}
        self.transforms: dict[str, Transform] = {}
        for name, node in flat.nodes.items():
            integer = fixed(node, name, entering[name], how, dtype) if how.arithmetic == "loihi2" else None
            if neuron := integer or stateful(node, entering[name], how, dtype, steps):
                self.neurons[name] = neuron
            else:
                self.transforms[name] = transform(node, name, entering[name], dtype)
        self.kept = {*flat.outputs, *(self.tally.spikes if record else ())}

    def batch(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Run one batch: inputs and what is kept, by name, (T, S, *shape)."""
        values, some = dict(inputs), next(iter(inputs.values()))
        uses = Counter(a for a, _ in self.prepared.flat.edges)
        kept = {}
        for group in self.prepared.order.groups:
            fresh = self._loop(group, values, some) if group.loop else self._at_once(group.nodes[0], values)
            values.update(fresh)
            kept.update({name: y for name, y in fresh.items() if name in self.kept})
            for source in (source for name in group.nodes for source in self.sources[name]):
                uses[source] -= 1
                if not uses[source]:
                    del values[source]
        return kept

    def _at_once(self, name: str, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        if name in self.prepared.flat.inputs:
            return {name: values[name]}
        x = _sum([values[source] for source in self.sources[name]])
        self.tally.arrives(name, x.flatten(0, 1))
        y = self._scan(name, x) if name in self.neurons else self._apply(name, x)
        self.tally.leaves(name, y)
        return {name: y}

    def _apply(self, name: str, x: Tensor) -> Tensor:
        return self.transforms[name](x.flatten(0, 1)).unflatten(0, x.shape[:2])

    def _scan(self, name: str, x: Tensor) -> Tensor:
        neuron = self.neurons[name]
        state = neuron.begin(x.shape[1])
        y = torch.empty_like(x)
        for t in range(len(x)):
            y[t] = neuron.step(x[t], state)
        return y

    def _loop(self, group: Group, values: Mapping[str, Tensor], some: Tensor) -> dict[str, Tensor]:
        """Step through a cycle, as often as ``some`` signal has steps; what comes from outside is summed before."""
        members = set(group.nodes)
        outside = {n: [values[s] for s in self.sources[n] if s not in members] for n in group.nodes}
        loop = _Loop(self, group, {n: _sum(found) for n, found in outside.items() if found})
        steps, samples = some.shape[:2]
        loop.begin(samples)
        wanted = [n for n in group.nodes if n in self.kept or set(self.targets[n]) - members]
        shapes = self.prepared.shapes.leaving
        out = {n: some.new_empty((steps, samples, *shapes[n])) for n in wanted}
        for t in range(steps):
            loop.step(t)
            for name in wanted:
                out[name][t] = loop.now[name]
        # Nobody outside reads the rest; an entry for it keeps the books of ``batch`` simple.
        return {n: out.get(n, some.new_empty(0)) for n in group.nodes}


class _Loop:
    """One cycle while it runs: ``now`` holds this step's outputs, ``before`` those of the step before."""

    def __init__(self, executor: Executor, group: Group, outside: Mapping[str, Tensor]) -> None:
        self.run, self.group, self.outside = executor, group, outside
        members, delayed = set(group.nodes), executor.prepared.order.delayed
        self.inner = {n: [(s, (s, n) in delayed) for s in executor.sources[n] if s in members] for n in group.nodes}
        self.now: dict[str, Tensor] = {}
        self.before: dict[str, Tensor] = {}
        self.states: dict[str, State] = {}

    def begin(self, samples: int) -> None:
        shapes = self.run.prepared.shapes.leaving
        self.now = {n: torch.zeros((samples, *shapes[n]), dtype=self.run.dtype) for n in self.group.nodes}
        self.states = {n: self.run.neurons[n].begin(samples) for n in self.group.nodes if n in self.run.neurons}

    def step(self, t: int) -> None:
        self.before, self.now = self.now, {}
        for name in self.group.nodes:
            late = self._late(name)
            self.now[name] = self._one(name, self._arriving(name, t)) if late is None else late
            self.run.tally.leaves(name, self.now[name])
        for name in self.group.nodes:
            neuron = self.run.neurons.get(name)
            if isinstance(neuron, Delayed) and neuron.late:
                neuron.accept(self._arriving(name, t), self.states[name])

    def _late(self, name: str) -> Tensor | None:
        """What leaves a Delay of a step or more, whose input of this step may not be known yet."""
        neuron = self.run.neurons.get(name)
        return neuron.look(self.states[name]) if isinstance(neuron, Delayed) and neuron.late else None

    def _one(self, name: str, x: Tensor) -> Tensor:
        self.run.tally.arrives(name, x)
        if name in self.run.neurons:
            return self.run.neurons[name].step(x, self.states[name])
        return self.run.transforms[name](x)

    def _arriving(self, name: str, t: int) -> Tensor:
        parts = [self.outside[name][t]] if name in self.outside else []
        return _sum([*parts, *((self.before if late else self.now)[s] for s, late in self.inner[name])])


def _sum(signals: list[Tensor]) -> Tensor:
    """Edges into a node added up, in the order of their names."""
    total = signals[0]
    for signal in signals[1:]:
        total = total + signal
    return total
