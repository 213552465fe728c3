"""Everything between the neurons of a ``fast`` plan: linears, delay lines, attention, and their sums.

Neurons are apart, in populations: a population is told currents and answers with spikes. A message holds one member
or record after the other, of each all L samples that run side by side, of each sample (N, C), token after token.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from spikeport_lava.operators import Line, Linear, MaskAttention, SelfAttention
from spikeport_lava.order import ATTENTION, MEMORY, order_of
from spikeport_lava.plan import CUSTOM, InputError, Plan, populations

Spec = dict[str, Any]
Sources = tuple[str, ...]
FLOAT32_EXACT, INT32_LIMIT = 2**24, 2**31


def sources_of(plan: Plan) -> dict[tuple[str, str], Sources]:
    """Of each (process, in-port), the processes that it sums."""
    found: dict[tuple[str, str], list[str]] = {}
    for source, target, port in plan.connections:
        found.setdefault((target, port), []).append(source)
    return {key: tuple(sorted(sources)) for key, sources in found.items()}


class Fabric:
    """The operators of a plan and the signals of the step.

    Args:
        plan: of mode ``fast``.
        lanes: L, samples that run side by side.
        recorded: names of the sinks whose signals :meth:`results` gives, in that order.

    Attributes:
        order: what to do in a step, in this order.
        members: of each population, (name, channels) in the order of its signals.

    Raises:
        InputError: if a sum might leave int32, a process is not of the kinds of this mode, or one waits for itself.
    """

    def __init__(self, plan: Plan, recorded: list[str], lanes: int = 1) -> None:
        self.plan, self.lanes, self.rows = plan, lanes, lanes * plan.tokens
        self.specs: dict[str, Spec] = {p["name"]: p for p in plan.processes}
        self.sources = sources_of(plan)
        dtype = np.float32 if self._largest_sum() < FLOAT32_EXACT else np.float64
        self.order = order_of(plan)
        self.members = {n: [(p["name"], p["channels"]) for p in specs] for n, specs in populations(plan).items()}
        self.recorded = [(name, self.specs[name]["channels"]) for name in recorded]
        self.memory = {p["name"]: self._memory(p, dtype) for p in plan.processes if p["kind"] in MEMORY}
        self.attention = {p["name"]: _attention(p) for p in plan.processes if p["kind"] in ATTENTION}
        self.dtype = dtype
        self.signals: dict[Any, np.ndarray] = {}

    def begin(self, inputs: np.ndarray) -> None:
        """A step's input, int32 (L * N * (D + 1),), and what the linears and lines give in it."""
        (source,) = (p["name"] for p in self.plan.processes if p["kind"] == "source")
        self.signals = {name: operator.out for name, operator in self.memory.items()}
        self.signals[source] = self._tokens(inputs)

    def attend(self, name: str) -> None:
        """One attention, its inputs being there."""
        operator = self.attention[name]
        self.signals[name] = operator(*(self._into(name, port) for port in operator.ports))

    def store(self, name: str) -> None:
        """A linear or a line takes this step's input, its own being there; what it gives in this step stays."""
        operator = self.memory[name]
        operator.store(self._into(name, "s_in" if isinstance(operator, Linear) else "a_in"))

    def currents(self, population: str) -> np.ndarray:
        """Input of a population, int32 (L * N * channels,), member after member; of the next step if it is early."""
        members = self.members[population]
        if population not in self.order.early:
            return self._message([(self._into(name, "a_in"), channels) for name, channels in members])
        return self._message([(self._next(name), channels) for name, channels in members])

    def hear(self, population: str, spikes: np.ndarray) -> None:
        """What the population answered, int32 as :meth:`currents`."""
        start = 0
        for name, channels in self.members[population]:
            size = self.rows * channels
            self.signals[name] = self._tokens(spikes[start : start + size])
            start += size

    def results(self) -> np.ndarray:
        """What the sink gets of this step, int32, one record after the other."""
        return self._message([(self._into(name, "a_in"), channels) for name, channels in self.recorded])

    def _tokens(self, flat: np.ndarray) -> np.ndarray:
        return flat.reshape(self.lanes, self.plan.tokens, -1).astype(self.dtype)

    def _message(self, parts: list[tuple[np.ndarray, int]]) -> np.ndarray:
        message, start = np.empty(self.rows * sum(channels for _, channels in parts), np.int32), 0
        for part, channels in parts:
            end = start + self.rows * channels
            message[start:end], start = part.reshape(-1), end
        return message

    def _next(self, name: str) -> np.ndarray:
        first, *others = (self.memory[source].out for source in self.sources[name, "a_in"])
        return sum(others, first)

    def _into(self, name: str, port: str) -> np.ndarray:
        """The sum at an in-port; computed once a step for all that sum the same."""
        sources = self.sources[name, port]
        key = sources if len(sources) > 1 else sources[0]
        if key not in self.signals:
            self.signals[key] = sum((self.signals[s] for s in sources[1:]), self.signals[sources[0]])
        return self.signals[key]

    def _memory(self, spec: Spec, dtype: type) -> Linear | Line:
        before = (self.lanes, self.plan.tokens)
        if spec["kind"] == "fast_linear":
            scaled = self.plan.weights[spec["name"]].astype(dtype) * dtype(2 ** spec["weight_exp"])
            taps = [np.ascontiguousarray(tap.T) for tap in np.split(scaled, spec["window"], axis=1)]
            return Linear(taps, np.zeros((*before, spec["outputs"]), dtype))
        if spec["steps"] < 1:
            raise InputError(f"{spec['name']}: a delay of {spec['steps']} steps, need at least 1")
        return Line([np.zeros((*before, spec["channels"]), dtype)] * spec["steps"])

    def _largest_sum(self) -> int:
        """Bound of every sum in the network, unscaled: messages are 1, their sums as many as are joined."""
        largest: dict[str, int] = {}
        worst = 0
        for spec in self.plan.processes:
            name, kind = spec["name"], spec["kind"]
            if kind not in ("source", "lif", "spike_sink", "integer_sink", *CUSTOM):
                raise InputError(f"{name}: a {kind} beside custom processes; plan it as stock or as fast")
            into = max(
                (sum(largest[s] for s in sources) for (n, _), sources in self.sources.items() if n == name), default=1
            )
            largest[name] = _gain(spec, self.plan) * into if kind in CUSTOM else 1
            worst = max(worst, into, largest[name])
        exponents = [p.get("weight_exp", p.get("exponent", 0)) for p in self.plan.processes]
        if worst << max(exponents) >= INT32_LIMIT:
            raise InputError(f"plan: a sum may reach {worst}, times 2^{max(exponents)} beyond int32; lower the weights")
        return worst


def _gain(spec: Spec, plan: Plan) -> int:
    if spec["kind"] == "fast_linear":
        return int(np.abs(plan.weights[spec["name"]].astype(np.int64)).sum(axis=1).max())
    return plan.tokens * (spec["width"] // spec["heads"]) if spec["kind"] == "ssa" else 1


def _attention(spec: Spec) -> SelfAttention | MaskAttention:
    if spec["kind"] == "ssa":
        if not spec["heads"] or spec["width"] % spec["heads"]:
            raise InputError(f"{spec['name']}: width {spec['width']} is not a multiple of {spec['heads']} heads")
        return SelfAttention(spec["heads"], 2 ** spec["exponent"])
    if spec["valid_channel"] >= spec["valid_channels"]:
        raise InputError(f"{spec['name']}: valid channel {spec['valid_channel']} of {spec['valid_channels']}")
    return MaskAttention(spec["threshold"], spec["valid_channel"])
