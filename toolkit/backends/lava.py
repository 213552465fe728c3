"""Real Lava, in its own interpreter and process group."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from exporters.lava import build_plan, find_python, run
from exporters.nir.graph import Graph
from toolkit.backends.lava_options import LavaOptions
from toolkit.backends.protocol import SpikeResult
from toolkit.bundle.encoder import EncodedBatch


class Lava:
    """Lava's ``fixed_pt`` models on CPU, one process per network part, samples streamed back to back.

    Args:
        graph: typed integer graph.
        report: told about progress.
        calibrated: take a graph whose currents are not proved in range, for inputs that were checked.
        options: which processes, and where they run.

    Raises:
        PlanError: the graph cannot be planned, or an option is not known.
        LavaNotInstalled: no interpreter with Lava.
    """

    name = "lava"

    def __init__(
        self,
        graph: Graph,
        report: Callable[[str], None] | None = None,
        calibrated: bool = False,
        options: LavaOptions | None = None,
    ) -> None:
        self.options = options or LavaOptions()
        self.mode = self.options.told
        self.plan = build_plan(graph, calibrated=calibrated, mode=self.options.mode)
        self.python = find_python()
        self.report = report
        self.version = "unknown"

    def run(self, batch: EncodedBatch, record: bool = False) -> SpikeResult:
        """Run all sentences as one stream."""
        result = run(
            self.plan,
            batch.spikes,
            record=record,
            python=self.python,
            executor=self.options.executor,
            report=self.report,
        )
        self.version = result.versions.get("lava-nc", self.version)
        return SpikeResult(result.logits.astype(np.int64), result.spikes, result.seconds)
