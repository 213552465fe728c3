"""Law 2 on the shipped students: padding costs no spike and changes no logit, whoever runs the file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from toolkit import students
from toolkit.backends.protocol import SpikeBackend
from toolkit.backends.simulator import Simulator
from toolkit.backends.snntorch_reader import SnnTorchReader
from toolkit.backends.torch_student import TorchStudent
from toolkit.bundle.manifest import GRAPH_FILE
from toolkit.bundle.reader import open_bundle
from toolkit.bundle.writer import write_bundle

TEXTS = ("a warm and funny film .", "the plot goes nowhere .", "not bad at all")  # at most 14 word pieces


@pytest.mark.parametrize("folder", [students.MARKED, students.UNMARKED_SDSA], ids=["ssa", "sdsa"])
def test_padding_costs_nothing_and_changes_nothing(folder: Path, tmp_path: Path) -> None:
    sums: dict[tuple[str, int], list[list[int]]] = {}
    for slots in (16, 32, 64):
        write_bundle(folder, tmp_path / str(slots), slots)
        bundle = open_bundle(tmp_path / str(slots))
        batch = bundle.encoder.encode(TEXTS)
        assert batch.valid.sum(axis=1).max() <= 14
        backends: list[SpikeBackend] = [TorchStudent(folder), Simulator(bundle.graph)]
        if folder == students.UNMARKED_SDSA:
            backends.append(SnnTorchReader(bundle.folder / GRAPH_FILE))
        for backend in backends:
            result = backend.run(batch, record=True)
            for layer, spikes in result.spikes.items():
                by_token = np.moveaxis(spikes, 3, 1)
                assert not by_token[~batch.valid].any(), (backend.name, slots, layer)
                if layer in ("code", "block0.q", "block1.fc2"):
                    assert by_token[batch.valid].any(), "a silent network would pass for the wrong reason"
            assert not np.moveaxis(result.logits, 3, 1)[~batch.valid].any()
            sums[backend.name, slots] = result.summed.tolist()
    assert len({str(value) for value in sums.values()}) == 1, sums
