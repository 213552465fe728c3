"""One time step of everything between the neurons of a ``fast`` plan: linears, delay lines, attention, their sums.

Neurons are apart, in populations: a population is told currents and answers with spikes, in the same step. Linears and
delay lines give what they stored a step or more ago, so a step begins with them; attention, and the neurons behind it,
follow once the spikes that it reads are there. :func:`stages` puts that in order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from spikeport_lava.operators import Line, Linear, MaskAttention, SelfAttention
from spikeport_lava.plan import CUSTOM, InputError, Plan, populations

Spec = dict[str, Any]
Sources = tuple[str, ...]
FLOAT32_EXACT, INT32_LIMIT = 2**24, 2**31
MEMORY = ("fast_linear", "delay")


@dataclass(frozen=True)
class Stage:
    """What can happen at once: attention first, then populations."""

    attention: list[str]
    populations: list[str]


def sources_of(plan: Plan) -> dict[tuple[str, str], Sources]:
    """Of each (process, in-port), the processes that it sums."""
    found: dict[tuple[str, str], list[str]] = {}
    for source, target, port in plan.connections:
        found.setdefault((target, port), []).append(source)
    return {key: tuple(sorted(sources)) for key, sources in found.items()}


def stages(plan: Plan) -> list[Stage]:
    """The order of a step.

    Raises:
        InputError: if a population, or attention, waits for itself.
    """
    needs: dict[str, set[str]] = {}
    for source, target, _ in plan.connections:
        needs.setdefault(target, set()).add(source)
    known = {p["name"] for p in plan.processes if p["kind"] in ("source", *MEMORY)}
    attention = [p["name"] for p in plan.processes if p["kind"] in ("ssa", "sdsa")]
    waiting = {name: [p["name"] for p in members] for name, members in populations(plan).items()}
    found = []
    while attention or waiting:
        begun: list[str] = []
        for name in attention:
            if needs.get(name, set()) <= known:
                begun.append(name)
                known.add(name)
        ready = [name for name, members in waiting.items() if all(needs.get(m, set()) <= known for m in members)]
        if not begun and not ready:
            raise InputError(f"{', '.join([*attention, *waiting])}: wait for each other in a step; plan them apart")
        attention = [name for name in attention if name not in begun]
        known |= {member for name in ready for member in waiting.pop(name)}
        found.append(Stage(begun, ready))
    return found


class Fabric:
    """The operators of a plan and the signals of the step.

    Args:
        plan: of mode ``fast``.
        recorded: names of the sinks whose signals :meth:`results` gives, in that order.

    Attributes:
        stages: the order of a step.
        members: of each population, (name, channels) in the order of its signals.

    Raises:
        InputError: if a sum might leave int32, a process is not of the kinds of this mode, or one waits for itself.
    """

    def __init__(self, plan: Plan, recorded: list[str]) -> None:
        self.plan = plan
        self.specs: dict[str, Spec] = {p["name"]: p for p in plan.processes}
        self.sources = sources_of(plan)
        dtype = np.float32 if self._largest_sum() < FLOAT32_EXACT else np.float64
        self.stages = stages(plan)
        self.members = {n: [(p["name"], p["channels"]) for p in specs] for n, specs in populations(plan).items()}
        self.recorded = [(name, self.specs[name]["channels"]) for name in recorded]
        self.memory = {p["name"]: self._memory(p, dtype) for p in plan.processes if p["kind"] in MEMORY}
        self.attention = {p["name"]: _attention(p) for p in plan.processes if p["kind"] in ("ssa", "sdsa")}
        self.dtype = dtype
        self.signals: dict[Any, np.ndarray] = {}

    def begin(self, inputs: np.ndarray) -> None:
        """A step's input, int32 (N * (D + 1),), and what the linears and lines give in it."""
        (source,) = (p["name"] for p in self.plan.processes if p["kind"] == "source")
        self.signals = {name: operator.out for name, operator in self.memory.items()}
        self.signals[source] = self._tokens(inputs)

    def attend(self, name: str) -> None:
        """One attention, its inputs being there."""
        operator = self.attention[name]
        self.signals[name] = operator(*(self._into(name, port) for port in operator.ports))

    def currents(self, population: str) -> np.ndarray:
        """Input of a population, int32 (N * channels,), one member after the other."""
        return self._message(self.members[population])

    def hear(self, population: str, spikes: np.ndarray) -> None:
        """What the population answered, int32 as :meth:`currents`."""
        start = 0
        for name, channels in self.members[population]:
            size = self.plan.tokens * channels
            self.signals[name] = self._tokens(spikes[start : start + size])
            start += size

    def end(self) -> np.ndarray:
        """What the sink gets, int32, one record after the other; the linears and lines take this step's input."""
        results = self._message(self.recorded)
        for name, operator in self.memory.items():
            operator.store(self._into(name, "s_in" if isinstance(operator, Linear) else "a_in"))
        return results

    def _tokens(self, flat: np.ndarray) -> np.ndarray:
        return flat.reshape(self.plan.tokens, -1).astype(self.dtype)

    def _message(self, targets: list[tuple[str, int]]) -> np.ndarray:
        sizes = [self.plan.tokens * channels for _, channels in targets]
        message, start = np.empty(sum(sizes), np.int32), 0
        for (name, _), size in zip(targets, sizes, strict=True):
            message[start : start + size] = self._into(name, "a_in").reshape(-1)
            start += size
        return message

    def _into(self, name: str, port: str) -> np.ndarray:
        """The sum at an in-port; computed once a step for all that sum the same."""
        sources = self.sources[name, port]
        key = sources if len(sources) > 1 else sources[0]
        if key not in self.signals:
            self.signals[key] = sum((self.signals[s] for s in sources[1:]), self.signals[sources[0]])
        return self.signals[key]

    def _memory(self, spec: Spec, dtype: type) -> Linear | Line:
        tokens = self.plan.tokens
        if spec["kind"] == "fast_linear":
            scaled = self.plan.weights[spec["name"]].astype(dtype) * dtype(2 ** spec["weight_exp"])
            taps = [np.ascontiguousarray(tap.T) for tap in np.split(scaled, spec["window"], axis=1)]
            return Linear(taps, np.zeros((tokens, spec["outputs"]), dtype))
        if spec["steps"] < 1:
            raise InputError(f"{spec['name']}: a delay of {spec['steps']} steps, need at least 1")
        return Line([np.zeros((tokens, spec["channels"]), dtype)] * spec["steps"])

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
