"""Runs compiled Lava processes in this one operating-system process, step by step.

The compiler, its process models and their ports are Lava's own; only the channels differ, which are queues here
and shared memory between processes there. So a model that raises shows at once, and a network starts in no time.
For acyclic networks, spiking phase only.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
from lava.magma.core.process.ports.ports import create_port_id
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.run_configs import Loihi2SimCfg


class LocalPort:
    """One end of a channel: what a model calls on Lava's own."""

    def __init__(self, initializer: Any, d_type: Any, queue: deque) -> None:
        self.name, self.shape, self.size = initializer.name, initializer.shape, initializer.size
        self.d_type, self.queue = d_type, queue

    def start(self) -> None:
        """Nothing to start."""

    def join(self) -> None:
        """Nothing to end."""

    def probe(self) -> bool:
        """Whether something waits."""
        return bool(self.queue)

    def send(self, data: np.ndarray) -> None:
        """Copies, as shared memory does, in the sender's type."""
        self.queue.append(np.array(data, dtype=self.d_type).reshape(self.shape))

    def recv(self) -> np.ndarray:
        """The oldest message; an empty queue is an error, it would be a hang between processes."""
        return self.queue.popleft()


def build_models(process: AbstractProcess) -> list[Any]:
    """The models of a whole network, in an order in which each runs after those that feed it.

    Args:
        process: any one of the network.

    Raises:
        ValueError: if the network has a loop.
    """
    executable = process.compile(Loihi2SimCfg(select_tag="fixed_pt"))
    builders = executable.proc_builders
    feeders: dict[AbstractProcess, set[AbstractProcess]] = {p: set() for p in builders}
    for channel in executable.channel_builders:
        source, target, queue = channel.src_process, channel.dst_process, deque()
        d_type = channel.src_port_initializer.d_type
        out = LocalPort(channel.src_port_initializer, d_type, queue)
        into = LocalPort(channel.dst_port_initializer, d_type, queue)
        builders[source].set_csp_ports([out])
        builders[target].set_csp_ports([into])
        builders[target].add_csp_port_mapping(create_port_id(source.id, out.name), into)
        feeders[target].add(source)
    return [builders[p].build() for p in _ordered(feeders)]


def _ordered(feeders: dict[AbstractProcess, set[AbstractProcess]]) -> list[AbstractProcess]:
    order: list[AbstractProcess] = []
    waiting = dict(feeders)
    while waiting:
        ready = [p for p, before in waiting.items() if before.isdisjoint(waiting)]
        if not ready:
            raise ValueError(
                f"{', '.join(sorted(p.name for p in waiting))}: feed each other, need a network without loop"
            )
        order += ready
        for p in ready:
            del waiting[p]
    return order


def step(models: list[Any], count: int) -> None:
    """Advances all models by ``count`` time steps."""
    for _ in range(count):
        for model in models:
            model.time_step += 1
            model.run_spk()
