"""Stage 1: the student learns to represent text as the raw teacher does, from unlabelled text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import count

from torch.utils.data import IterableDataset

from toolkit.distillation.corpus import UNLABELLED, batches
from toolkit.distillation.lessons import Lesson
from toolkit.distillation.trainer import StageTrainer
from toolkit.errors import SpikeportError

WINDOW = 50  # batches held at a time, to group similar lengths


class PretrainTrainer(StageTrainer):
    """Hidden states and embeddings of the raw teacher; it is asked batch by batch, its answers are not kept."""

    stage = "stage 1"


class StreamedLessons(IterableDataset[Lesson]):
    """Unlabelled text as it streams by, tokenised, in groups of similar length; never the corpus in memory.

    Endless, epoch after epoch: Trainer counts the batches of a stream and not its epochs, so that only a
    stream without an end can be skipped to where a stopped run was.

    Args:
        texts: gives the sentences of an epoch in order, when called with its number.
        encode: token ids of some sentences, special tokens included.
        batch_size: rows that are used together.
        seed: of the order of the groups.

    Raises:
        SpikeportError: an epoch without a sentence.
    """

    def __init__(
        self,
        texts: Callable[[int], Iterable[str]],
        encode: Callable[[list[str]], list[list[int]]],
        batch_size: int,
        seed: int,
    ) -> None:
        self.texts, self.encode = texts, encode
        self.batch_size, self.seed = batch_size, seed

    def __iter__(self) -> Iterator[Lesson]:
        held, row = list[tuple[int, str]](), 0
        for epoch in count():
            begin = row
            for text in self.texts(epoch):
                held.append((row, text))
                row += 1
                if len(held) == WINDOW * self.batch_size:
                    yield from self._grouped(held)
                    held = []
            if row == begin:
                raise SpikeportError("stage 1: 0 sentences of unlabelled text, needs at least 1; add text")
            # Rows that fill no batch wait for the next epoch: a short one would shift the borders of all behind it.
            whole = len(held) - len(held) % self.batch_size
            yield from self._grouped(held[:whole])
            held = held[whole:]

    def _grouped(self, held: list[tuple[int, str]]) -> Iterator[Lesson]:
        """Whole batches of similar length, from numbered sentences."""
        rows = self.encode([text for _, text in held])
        for group in batches([len(row) for row in rows], self.batch_size, self.seed + (held[0][0] if held else 0)):
            for i in group:
                yield {"row": held[i][0], "ids": rows[i], "label": UNLABELLED}
