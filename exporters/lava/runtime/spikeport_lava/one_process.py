"""Runs compiled Lava processes in this one operating-system process, step by step.

The compiler, its process models and their ports are Lava's own; only the channels differ, which are queues here
and shared memory between processes there. So a model that raises shows at once, and a network starts in no time.
Spiking phase only.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
from lava.magma.core.process.ports.ports import create_port_id
from lava.magma.core.process.process import AbstractProcess

from spikeport_lava.config import Config


class Turn:
    """One model, at most once a step."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def take(self, step: int) -> None:
        """Runs the model's time step ``step`` unless it has begun it already."""
        if self.model.time_step < step:
            self.model.time_step += 1
            self.model.run_spk()


class Channel:
    """A queue, and whose turn it is when it is empty."""

    def __init__(self) -> None:
        self.waiting: deque[np.ndarray] = deque()
        self.source: Turn | None = None

    def oldest(self, step: int) -> np.ndarray:
        """The oldest message; the source takes its turn if there is none.

        Raises:
            ValueError: if there is none then either; between processes this would be a hang.
        """
        if not self.waiting and self.source is not None:
            self.source.take(step)
        if not self.waiting:
            name = "nothing" if self.source is None else type(self.source.model).__name__
            raise ValueError(f"a port waits for {name}, which waits for it in turn; delay one of the two by a step")
        return self.waiting.popleft()


class LocalPort:
    """One end of a channel: what a model calls on Lava's own."""

    def __init__(self, initializer: Any, d_type: Any, channel: Channel) -> None:
        self.name, self.shape, self.size = initializer.name, initializer.shape, initializer.size
        self.d_type, self.channel = d_type, channel
        self.reader: Turn | None = None

    def start(self) -> None:
        """Nothing to start."""

    def join(self) -> None:
        """Nothing to end."""

    def probe(self) -> bool:
        """Whether something waits."""
        return bool(self.channel.waiting)

    def send(self, data: np.ndarray) -> None:
        """Copies, as shared memory does, in the sender's type."""
        self.channel.waiting.append(np.array(data, dtype=self.d_type).reshape(self.shape))

    def recv(self) -> np.ndarray:
        """The oldest message, of the step that the reader is in."""
        assert self.reader is not None
        return self.channel.oldest(self.reader.model.time_step)


def build_turns(process: AbstractProcess) -> list[Turn]:
    """The models of a whole network, each after those that feed it where there is such an order.

    Args:
        process: any one of the network.
    """
    executable = process.compile(Config())
    builders = executable.proc_builders
    feeders: dict[AbstractProcess, set[AbstractProcess]] = {p: set() for p in builders}
    ends: list[tuple[AbstractProcess, AbstractProcess, LocalPort]] = []
    for built in executable.channel_builders:
        source, target, channel = built.src_process, built.dst_process, Channel()
        d_type = built.src_port_initializer.d_type
        out = LocalPort(built.src_port_initializer, d_type, channel)
        into = LocalPort(built.dst_port_initializer, d_type, channel)
        builders[source].set_csp_ports([out])
        builders[target].set_csp_ports([into])
        builders[target].add_csp_port_mapping(create_port_id(source.id, out.name), into)
        feeders[target].add(source)
        ends.append((source, target, into))
    turns = {p: Turn(builders[p].build()) for p in _ordered(feeders)}
    for source, target, into in ends:
        into.channel.source, into.reader = turns[source], turns[target]
    return list(turns.values())


def _ordered(feeders: dict[AbstractProcess, set[AbstractProcess]]) -> list[AbstractProcess]:
    """Of those that feed each other, the one that most others feed is first: they take their turns as it asks them."""
    order: list[AbstractProcess] = []
    waiting = dict(feeders)
    while waiting:
        ready = [p for p, before in waiting.items() if before.isdisjoint(waiting)] or [
            max(waiting, key=lambda p: len(waiting[p]))
        ]
        order += ready
        for p in ready:
            del waiting[p]
    return order


def step(turns: list[Turn], count: int) -> None:
    """Advances all models by ``count`` time steps."""
    for _ in range(count):
        now = min(turn.model.time_step for turn in turns) + 1
        for turn in turns:
            turn.take(now)
