"""Stage 1: the student learns to represent text as the raw teacher does, from unlabelled text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from torch.utils.data import IterableDataset

from toolkit.distillation.corpus import UNLABELLED, batches
from toolkit.distillation.lessons import Lesson
from toolkit.distillation.trainer import StageTrainer

WINDOW = 50  # batches held at a time, to group similar lengths


class PretrainTrainer(StageTrainer):
    """Hidden states and embeddings of the raw teacher; it is asked batch by batch, its answers are not kept."""

    stage = "stage 1"


class StreamedLessons(IterableDataset[Lesson]):
    """Unlabelled text as it streams by, tokenised, in groups of similar length; never the corpus in memory.

    Args:
        texts: gives the sentences of an epoch in order, when called with its number.
        encode: token ids of some sentences, special tokens included.
        batch_size: rows that are used together.
        seed: of the order of the groups.
    """

    def __init__(
        self,
        texts: Callable[[int], Iterable[str]],
        encode: Callable[[list[str]], list[list[int]]],
        batch_size: int,
        seed: int,
    ) -> None:
        self.texts, self.encode = texts, encode
        self.batch_size, self.seed, self.epoch = batch_size, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Called by the data loader before each epoch."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[Lesson]:
        row, buffer = 0, list[str]()
        for text in self.texts(self.epoch):
            buffer.append(text)
            if len(buffer) == WINDOW * self.batch_size:
                yield from self._grouped(buffer, row)
                row, buffer = row + len(buffer), []
        if buffer:
            yield from self._grouped(buffer, row)

    def _grouped(self, texts: list[str], first: int) -> Iterator[Lesson]:
        rows = self.encode(texts)
        order = batches([len(row) for row in rows], self.batch_size, self.seed + first, WINDOW)
        # A short group goes last: elsewhere it would shift the borders of all batches behind it.
        for group in sorted(order, key=lambda group: len(group) < self.batch_size):
            for i in group:
                yield {"row": first + i, "ids": rows[i], "label": UNLABELLED}
