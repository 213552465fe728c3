"""Results that the Lava runtime wrote elsewhere, in place of a run here."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from exporters.lava import LavaResult, inputs_sha256, read_results
from toolkit.backends.lava_options import LavaOptions
from toolkit.backends.protocol import SpikeResult
from toolkit.bundle.encoder import EncodedBatch
from toolkit.bundle.manifest import GRAPH_FILE
from toolkit.bundle.reader import Bundle
from toolkit.errors import SpikeportError


class Results:
    """Hands out recorded samples in order, from front to back.

    Attributes:
        records: whether the file has the spikes of the layers, and not only logits.

    Raises:
        ResultsError: the file is no results file.
        SpikeportError: it is of another bundle's graph.
    """

    name = "lava"

    def __init__(self, path: Path, bundle: Bundle) -> None:
        self.path, self.bundle = path, bundle
        self.result: LavaResult = read_results(path)
        origin = self.result.origin
        self.version = self.result.versions.get("lava-nc", "unknown")
        self.mode = f"{LavaOptions(origin['mode'], origin['executor']).told}, run elsewhere"
        self.records = bool(self.result.spikes)
        self.next = 0
        self._check_graph(origin["graph_sha256"])

    def __len__(self) -> int:
        return len(self.result.logits)

    def _check_graph(self, found: str) -> None:
        wanted = self.bundle.manifest.files[GRAPH_FILE]["sha256"]
        if found != wanted:
            what = f"the graph with sha256 {found[:12]}..." if found else "a plan that names no graph"
            raise SpikeportError(
                f"{self.path}: results of {what}, {self.bundle.folder} has {wanted[:12]}...; plan that bundle with "
                "spikeport export lava and run again"
            )

    def check_inputs(self, batch: EncodedBatch, source: str) -> None:
        """Refuse results of other sentences.

        Raises:
            SpikeportError: the hash of the input spikes differs.
        """
        found, wanted = self.result.origin["inputs_sha256"], inputs_sha256(batch.spikes)
        if found != wanted:
            raise SpikeportError(
                f"{self.path}: inputs with sha256 {found[:12]}..., the first {len(batch)} sentences of {source} give "
                f"{wanted[:12]}...; give --data the file that was encoded"
            )

    def run(self, batch: EncodedBatch, record: bool = False) -> SpikeResult:
        """The next recorded samples, as many as ``batch`` has."""
        part = slice(self.next, self.next + len(batch))
        self.next += len(batch)
        spikes = {name: s[part] for name, s in self.result.spikes.items()} if record else {}
        return SpikeResult(self.result.logits[part].astype(np.int64), spikes)
