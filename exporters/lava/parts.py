"""A network of processes before its times are known: what the delay pass balances."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from exporters.lava.delays import Schedule, schedule
from exporters.lava.plan import FAST, Connection, PlanError
from exporters.lava.processes import (
    Delay,
    Gate,
    Graded,
    IntegerSink,
    Lif,
    MaskAttention,
    Process,
    Product,
    SelfAttention,
    Wiring,
    latency_of,
)


@dataclass(frozen=True)
class Part:
    """A process, or a junction, which dissolves: whoever reads it is connected to all that it joins.

    Attributes:
        process: its ``delay`` is not set yet; ``None`` for a junction.
        channels: signals per token at its output.
        late: placed as late as its targets allow.
    """

    process: Process | None
    channels: int
    late: bool = False


@dataclass
class Network:
    """Parts by name, topological; edges (source, target, in-port)."""

    tokens: int
    mode: str
    parts: dict[str, Part] = field(default_factory=dict)
    edges: list[tuple[str, str, str]] = field(default_factory=list)

    def add(self, process: Process, channels: int, *, late: bool = False) -> None:
        """One more process, whose sources are all there already.

        Raises:
            PlanError: if its name is taken.
        """
        if process.name in self.parts:
            raise PlanError(f"{process.name}: two processes of this name; rename the node of the graph")
        self.parts[process.name] = Part(process, channels, late)

    def timing(self) -> Schedule:
        """When each part speaks, from the latencies of this realisation's own processes.

        Raises:
            PlanError: if the graph has a loop.
        """
        latency = {name: latency_of(part.process) for name, part in self.parts.items() if part.process}
        late = {name for name, part in self.parts.items() if part.late}
        try:
            return schedule(list(self.parts), {(a, b) for a, b, _ in self.edges}, latency, late)
        except ValueError as error:
            raise PlanError(str(error)) from error

    def taps(self, timing: Schedule, name: str) -> list[int]:
        """Where the delay line of ``name`` has processes: one per wanted delay, or one per step (stock)."""
        wanted = timing.taps(name)
        return wanted if self.mode == FAST else list(range(1, max(wanted, default=0) + 1))

    def processes(self, timing: Schedule, steps: int) -> list[Process]:
        """All processes with their times, delay lines included, in topological order."""
        found: list[Process] = []
        for name, part in self.parts.items():
            if part.process is not None:
                found.append(_timed(part.process, timing.time[name], steps))
            before = 0
            for tap in self.taps(timing, name):
                found.append(self._delay(_tap(name, tap), part.channels, tap - before))
                before = tap
        return found

    def _delay(self, name: str, channels: int, steps: int) -> Process:
        if self.mode == FAST:
            return Delay(name, channels, steps)
        return Wiring(name, "identity", self.tokens * channels, self.tokens * channels, channels)

    def connections(self, timing: Schedule) -> list[Connection]:
        """All connections, delay lines included.

        Raises:
            PlanError: if a port would sum one process twice.
        """
        port = "a_in" if self.mode == FAST else "s_in"
        found: list[Connection] = []
        for name in self.parts:
            before = 0
            for tap in self.taps(timing, name):
                found += [Connection(p, _tap(name, tap), port) for p in self._emitters(timing, name, before)]
                before = tap
        for a, b, into in self.edges:
            if self.parts[b].process is not None:
                found += [Connection(p, b, into) for p in self._emitters(timing, a, timing.delay[a, b])]
        _check_distinct(found)
        return found

    def _emitters(self, timing: Schedule, name: str, wait: int) -> list[str]:
        """Processes whose sum is the signal of ``name``, ``wait`` steps late."""
        if wait:
            return [_tap(name, wait)]
        if self.parts[name].process is not None:
            return [name]
        sources = [a for a, b, _ in self.edges if b == name]
        return [p for a in sources for p in self._emitters(timing, a, timing.delay[a, name])]


def _tap(name: str, steps: int) -> str:
    return f"{name}.delay{steps}"


def _timed(process: Process, time: int, steps: int) -> Process:
    if isinstance(process, Lif):
        return replace(process, delay=time, reset_interval=steps, reset_offset=(time + 1) % steps)
    if isinstance(process, Gate | Product | Graded | SelfAttention | MaskAttention | IntegerSink):
        return replace(process, delay=time)
    return process


def _check_distinct(connections: list[Connection]) -> None:
    seen: set[Connection] = set()
    for connection in connections:
        if connection in seen:
            raise PlanError(f"{connection.target}: would sum {connection.source} twice; double the weight instead")
        seen.add(connection)
