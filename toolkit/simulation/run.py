"""A run in parts: simulate what is not there yet, then put the parts together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulators import Simulator
from simulators.activity import Activity, added
from simulators.trace import LayerTrace
from toolkit.bundle.reader import Bundle
from toolkit.demo.cost import per_layer
from toolkit.distillation.corpus import UNLABELLED
from toolkit.errors import SpikeportError
from toolkit.simulation.folder import LOGITS_FILE, RESULT_FILE, TRACE_FILE, RunFolder
from toolkit.simulation.part import Part, content_of, save_arrays, save_json
from toolkit.simulation.progress import Progress
from toolkit.simulation.source import Source
from toolkit.simulation.world import World


@dataclass(frozen=True)
class Run:
    """What is run, and in which parts.

    Attributes:
        bundle: opened.
        source: the samples.
        simulator: prepared for the bundle's graph and steps.
        part_size: samples of a part.
        record: whether the simulator records, and the folder keeps, spikes.
        folder: where parts are kept; without one they are held in memory.
    """

    bundle: Bundle
    source: Source
    simulator: Simulator
    part_size: int
    record: bool = False
    folder: RunFolder | None = None

    @property
    def samples(self) -> int:
        """Samples in all."""
        return len(self.source.labels)

    @property
    def parts(self) -> int:
        """Number of parts."""
        return -(-self.samples // self.part_size)

    def bounds(self, index: int) -> tuple[int, int]:
        """First sample of a part, and the one behind its last."""
        return index * self.part_size, min((index + 1) * self.part_size, self.samples)

    def make(self, index: int, progress: Callable[[int], None]) -> Part:
        """Simulate a part, and keep it where there is a folder."""
        spikes, truncated = self.source.part(*self.bounds(index))
        done = 0

        def batch(now: int, _: int) -> None:
            nonlocal done
            progress(now - done)
            done = now

        result = self.simulator.run(spikes, batch)
        # The simulator cannot see the host's work: each word piece reads a row of every table.
        lookups = len(self.bundle.encoder.tables) * int(spikes[:, 0, -1].sum())
        logits = np.asarray(result.logits).sum(axis=(1, 3))
        activity = replace(result.activity, host_lookups=lookups)
        part = Part(logits, tuple(truncated), activity, result.trace)
        if self.folder is None:
            return part
        if self.record:
            part = replace(part, spikes_sha256=self.folder.save_spikes(index, result))
        part.write(self.folder.part_file(index), self.folder.run)
        return part

    def done(self, index: int) -> Part | None:
        """A part that was made before, if it is whole."""
        start, stop = self.bounds(index)
        return self.folder.load(index, stop - start, self.record) if self.folder else None

    def execute(self, world: World, report: Callable[[str], None]) -> Outcome | None:
        """Make this process's share of the parts; in the main process, once all are done, put them together.

        Raises:
            SpikeportError: a sample cannot be encoded, or parts of other processes are not in the folder.
        """
        share = world.share(self.parts)
        sizes = {index: stop - start for index in share for start, stop in [self.bounds(index)]}
        progress = Progress(sum(sizes.values()), report)
        kept: dict[int, Part] = {}
        again = 0
        for index in share:
            part = self.done(index)
            if part is None:
                part = self.make(index, progress.add)
            else:
                progress.skip(sizes[index])
                again += 1
            if world.size == 1:
                kept[index] = part
        if again:
            report(f"{again} of {len(share)} parts were there already")
        world.wait()
        return self.together(kept) if world.main else None

    def together(self, kept: dict[int, Part]) -> Outcome:
        """The result of all parts, those not in ``kept`` read from the folder; written there, if there is one.

        Raises:
            SpikeportError: a part is missing or damaged.
        """
        parts = []
        for index in range(self.parts):
            part = kept[index] if index in kept else self.done(index)
            if part is None:
                assert self.folder is not None
                raise SpikeportError(
                    f"{self.folder.part_file(index)}: missing or damaged; all processes must see the same folder, "
                    "start the run again"
                )
            parts.append(part)
        outcome = Outcome.of(parts, self.source.labels)
        if self.folder is not None:
            outcome.write(self.folder)
        return outcome


@dataclass(frozen=True)
class Outcome:
    """What the parts give together.

    Attributes:
        logits: summed over tokens and steps, (S, K) int64.
        truth: (S,) int64, -1 where there is no label.
        truncated: index and full length of sentences that were cut.
        activity: counts of the whole run.
        trace: the ways in which each layer was computed in some part, each with the reason given first.
    """

    logits: NDArray[np.int64]
    truth: NDArray[np.int64]
    truncated: tuple[tuple[int, int], ...]
    activity: Activity
    trace: tuple[LayerTrace, ...]

    @classmethod
    def of(cls, parts: list[Part], truth: NDArray[np.int64]) -> Outcome:
        """Put parts together in their order."""
        return cls(
            np.concatenate([part.logits for part in parts]),
            truth,
            tuple(cut for part in parts for cut in part.truncated),
            added([part.activity for part in parts]),
            tuple({(ly.name, ly.product, ly.neuron): ly for part in reversed(parts) for ly in part.trace}.values()),
        )

    @property
    def labels(self) -> NDArray[np.int64]:
        """Largest logit, ties to the lowest label, (S,)."""
        return self.logits.argmax(axis=1)

    @property
    def accuracy(self) -> float | None:
        """Share of samples whose label was given, a fraction; ``None`` without labels."""
        known = self.truth != UNLABELLED
        return float(np.mean(self.labels[known] == self.truth[known])) if known.any() else None

    def summary(self) -> dict[str, Any]:
        """The figures."""
        return {
            "examples": len(self.logits),
            "accuracy": self.accuracy,
            "truncated": len(self.truncated),
            "spikes_per_inference": self.activity.spikes_per_inference,
            "synops_per_inference": self.activity.per_inference("synops"),
            "layers": per_layer(self.activity),
        }

    def write(self, folder: RunFolder) -> None:
        """Write ``logits.npz``, ``trace.json`` and at last ``result.json``.

        The first and the last depend on bundle and data alone: not on processes, interruptions, engine or device.
        """
        truncated = np.array(self.truncated, np.int64).reshape(-1, 2)
        arrays = {"logits": self.logits, "labels": self.labels, "truth": self.truth, "truncated": truncated}
        save_arrays(folder.path / LOGITS_FILE, arrays)
        save_json(folder.path / TRACE_FILE, [asdict(layer) for layer in self.trace])
        for left in folder.path.glob(".*.tmp"):  # of processes that were killed
            left.unlink(missing_ok=True)
        save_json(folder.path / RESULT_FILE, self.summary() | {"activity": content_of(self.activity)})
