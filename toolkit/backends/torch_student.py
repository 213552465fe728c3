"""The student in deployed form under torch, from a student folder: the reference of every comparison."""

from __future__ import annotations

import time
from pathlib import Path

import torch

from toolkit.backends.protocol import SpikeResult
from toolkit.bundle.encoder import EncodedBatch
from toolkit.lowering.build_graph import relay_columns
from toolkit.models.storage import load_student

BATCH = 64


class TorchStudent:
    """Runs the torch model on token ids: its own encoder included."""

    name, mode = "torch", "student in deployed form"

    def __init__(self, folder: Path) -> None:
        self.student = load_student(folder)
        self.version = str(torch.__version__)
        self.columns = relay_columns(self.student.integers())

    @torch.no_grad()
    def run(self, batch: EncodedBatch, record: bool = False) -> SpikeResult:
        """Logits and, on request, the spikes of every layer."""
        start = time.perf_counter()
        logits, spikes = [], []
        for begin in range(0, len(batch), BATCH):
            part = batch.part(slice(begin, begin + BATCH))
            ids, valid = torch.from_numpy(part.ids), torch.from_numpy(part.valid).float()
            segments = None if part.segments is None else torch.from_numpy(part.segments)
            output = self.student(ids, valid, record=record, segments=segments)
            logits.append(output.token_logits.permute(1, 0, 3, 2).to(torch.int64))
            recorded = {name: s.permute(1, 0, 3, 2) > 0 for name, s in output.spikes.items()}
            if record:
                recorded["valid"] = self._valid_train(torch.from_numpy(part.valid))
            spikes.append(recorded)
        joined = {name: torch.cat([s[name] for s in spikes]).numpy() for name in spikes[0]}
        return SpikeResult(torch.cat(logits).numpy(), joined, time.perf_counter() - start)

    def _valid_train(self, valid: torch.Tensor) -> torch.Tensor:
        """What the bias relays must send: the mask, in every step and bias column, (B, T, R, N)."""
        shape = (len(valid), self.student.config.steps, self.columns, valid.shape[1])
        return valid[:, None, None, :].expand(shape)
