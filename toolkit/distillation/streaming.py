"""Unlabelled text as it streams by: files, folders and Hub data sets, never a corpus in memory.

A source is

- a file ``.txt`` (a sentence a line) or ``.tsv`` (its column ``text``), either of them also ``.gz``;
- a folder: all such files in it and below, in the order of their paths; files named ``test``,
  ``validation``, ``valid`` or ``dev`` are left out, for what a figure is measured on must not be
  trained on (name such a file itself to read it);
- ``hub:NAME[:CONFIG[:SPLIT]][#COLUMN]``, for instance ``hub:wikimedia/wikipedia:20231101.en:train#text``,
  streamed by ``datasets``. SPLIT is ``train`` and COLUMN ``text`` unless said. NAME may be a local folder.

Local files are read here and not by ``datasets``: a fault is then named by file and line, and an
installation without the Hub's libraries can train.
"""

from __future__ import annotations

import gzip
import random
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TextIO

from torch.utils.data import IterableDataset, get_worker_info

from toolkit.errors import MissingComponentError, SpikeportError

SUFFIXES = (".txt", ".tsv", ".txt.gz", ".tsv.gz")
HELD_OUT = ("test", "validation", "valid", "dev")
HUB = "hub:"
MAX_ROW = 1_000_000  # characters of a table's row
MAX_CHARS = 5_000  # beyond what a teacher reads of one sentence (512 word pieces); BUFFER of them are 50 MB
BUFFER = 10_000


class TextStream(IterableDataset[str]):
    """Sentences of some sources, in a seeded order of each epoch's own, divided among processes.

    An epoch's order comes from ``seed`` and its number alone: files in random order, then a buffer of
    ``buffer`` sentences from which one is drawn as each new one comes in (0: everything in its order).
    Process ``rank`` of ``world_size`` takes the sentences whose number in that order is ``rank`` modulo
    ``world_size``; workers of a data loader divide these in the same way. So each comes once in all.

    A corpus of one sentence is accepted: with its two special tokens it is enough for the statistics of
    a batch.

    Args:
        sources: files, folders or Hub data sets.
        seed: of the order.
        buffer: sentences held for shuffling.
        rank, world_size: this process, and how many there are.
        skip: sentences of this process's share to leave out at the start of every epoch (to resume in one).
        limit: sentences of an epoch, over all processes; ``None`` for all.
        max_chars: a longer line comes as several pieces, cut at white space where there is any.

    Raises:
        SpikeportError: no source, one that is missing, or a number out of range.
    """

    def __init__(
        self,
        sources: Sequence[str | Path],
        *,
        seed: int = 0,
        buffer: int = BUFFER,
        rank: int = 0,
        world_size: int = 1,
        skip: int = 0,
        limit: int | None = None,
        max_chars: int = MAX_CHARS,
    ) -> None:
        for name, value, least in (
            ("buffer", buffer, 0),
            ("world_size", world_size, 1),
            ("skip", skip, 0),
            ("limit", 1 if limit is None else limit, 1),
            ("max_chars", max_chars, 1),
        ):
            if value < least:
                raise SpikeportError(f"text stream: {name} is {value}, needs at least {least}; raise it")
        if not 0 <= rank < world_size:
            raise SpikeportError(f"text stream: rank is {rank}, needs 0 to {world_size - 1}; correct it")
        self.parts = [part for source in sources for part in expand(source)]
        if not self.parts:
            raise SpikeportError("text stream: 0 sources, needs at least 1; name a file, a folder or hub:NAME")
        self.seed, self.buffer = seed, buffer
        self.rank, self.world_size = rank, world_size
        self.skip, self.limit, self.max_chars = skip, limit, max_chars
        self.current = 0

    def set_epoch(self, epoch: int) -> None:
        """The epoch that the next iteration gives; data loaders of ``accelerate`` call this."""
        self.current = epoch

    def __iter__(self) -> Iterator[str]:
        return self.epoch(self.current)

    def epoch(self, number: int) -> Iterator[str]:
        """Sentences of an epoch that fall to this process.

        Raises:
            SpikeportError: a file cannot be read, or the epoch has fewer sentences than there are processes.
        """
        own = islice(self._counted(number), self.rank, None, self.world_size)
        resumed = islice(own, self.skip, None)
        worker = get_worker_info()
        return islice(resumed, worker.id, None, worker.num_workers) if worker else resumed

    def _counted(self, number: int) -> Iterator[str]:
        seen = 0
        for text in islice(self._ordered(number), self.limit):
            seen += 1
            yield text
        if seen < self.world_size:
            raise SpikeportError(
                f"{', '.join(self.parts)}: {seen} sentences, needs at least {self.world_size}"
                f"{'' if self.world_size == 1 else ', one for each process'}; add text"
            )

    def _ordered(self, number: int) -> Iterator[str]:
        parts = list(self.parts)
        if not self.buffer:
            return stream_texts(parts, self.max_chars)
        generator = random.Random(f"{self.seed}:{number}")
        generator.shuffle(parts)
        return shuffled(stream_texts(parts, self.max_chars), self.buffer, generator)


def stream_texts(sources: Iterable[str | Path], max_chars: int = MAX_CHARS) -> Iterator[str]:
    """Sentences of the sources in their order, stripped, blank ones left out.

    Raises:
        MissingComponentError: a Hub data set, and ``datasets`` is not installed.
        SpikeportError: a source is missing, not UTF-8, or has no text column.
    """
    for source in sources:
        for part in expand(source):
            yield from _hub_texts(part, max_chars) if part.startswith(HUB) else _file_texts(Path(part), max_chars)


def shuffled(texts: Iterable[str], buffer: int, generator: random.Random) -> Iterator[str]:
    """``texts`` in random order within a window: as one comes in, one of ``buffer`` held ones goes out."""
    held: list[str] = []
    for text in texts:
        if len(held) < buffer:
            held.append(text)
            continue
        out = generator.randrange(buffer)
        held[out], text = text, held[out]
        yield text
    generator.shuffle(held)
    yield from held


def expand(source: str | Path) -> list[str]:
    """Files of a folder; a file or a Hub data set as it is.

    Raises:
        SpikeportError: it is missing, of another kind, or a folder without text files.
    """
    if str(source).startswith(HUB):
        HubSource.parse(str(source))
        return [str(source)]
    path = Path(source)
    if path.is_dir():
        found = [p for p in sorted(path.rglob("*")) if p.name.endswith(SUFFIXES) and p.is_file()]
        files = [str(p) for p in found if p.name.partition(".")[0] not in HELD_OUT]
        if not files:
            raise SpikeportError(f"{path}: 0 files to train on, needs one of {', '.join(SUFFIXES)}; name another")
        return files
    if not path.exists():
        raise SpikeportError(f"{path}: no such file or folder; name an existing one, or hub:NAME")
    if not path.name.endswith(SUFFIXES):
        raise SpikeportError(f"{path}: unknown kind of file, needs one of {', '.join(SUFFIXES)}; rename or convert it")
    return [str(path)]


def _file_texts(path: Path, max_chars: int) -> Iterator[str]:
    number = 0
    try:
        with _open(path) as file:
            for number, text in _table(path, file) if ".tsv" in path.suffixes else _pieces(file, max_chars):  # noqa: B007
                yield from _cut(text, max_chars)
    except UnicodeDecodeError as error:
        raise SpikeportError(f"{path}: not UTF-8 after line {number} ({error.reason}); convert it first") from None
    except (OSError, EOFError, zlib.error) as error:
        raise SpikeportError(f"{path}: cannot be read after line {number} ({error}); replace the file") from None


def _open(path: Path) -> TextIO:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8")
    return path.open(encoding="utf-8")


def _table(path: Path, file: TextIO) -> Iterator[tuple[int, str]]:
    """Line number and column ``text`` of each row."""
    header = file.readline(MAX_ROW).rstrip("\n").split("\t")
    if "text" not in header:
        raise SpikeportError(f"{path}: header is {str(header)[:80]}, needs a column 'text'; add it")
    column, number = header.index("text"), 1
    while row := file.readline(MAX_ROW):
        number += 1
        fields = row.rstrip("\n").split("\t")
        if len(row) == MAX_ROW or (row != "\n" and len(fields) != len(header)):
            raise SpikeportError(
                f"{path}, line {number}: {len(fields)} fields in {len(row)} characters, needs {len(header)} in less "
                f"than {MAX_ROW}; one tab between columns"
            )
        if row != "\n":
            yield number, fields[column]


def _pieces(file: TextIO, max_chars: int) -> Iterator[tuple[int, str]]:
    """Line number and line; one above ``max_chars`` in pieces, so that it is never held as a whole."""
    number, rest = 1, ""
    while line := file.readline(max_chars + 1 - len(rest)):
        line, rest = rest + line, ""
        if not line.endswith("\n") and len(line) > max_chars:
            cut = _end(line, max_chars)
            line, rest = line[:cut], line[cut:]
        yield number, line
        number += line.endswith("\n")
    yield number, rest


def _cut(text: str, max_chars: int) -> Iterator[str]:
    """Stripped pieces of ``text`` of at most ``max_chars`` characters; none of a blank text."""
    while text := text.strip():
        cut = len(text) if len(text) <= max_chars else _end(text, max_chars)
        yield text[:cut].strip()
        text = text[cut:]


def _end(text: str, max_chars: int) -> int:
    """Where the first piece of a longer text ends: behind its last space within reach, if there is one."""
    return text.rfind(" ", 1, max_chars + 1) + 1 or max_chars


@dataclass(frozen=True)
class HubSource:
    """A Hub data set by the name that a recipe gives it."""

    name: str
    config: str | None
    split: str
    column: str

    @classmethod
    def parse(cls, source: str) -> HubSource:
        """Read ``hub:NAME[:CONFIG[:SPLIT]][#COLUMN]``; an empty part means its default.

        Raises:
            SpikeportError: it has no name, or more parts.
        """
        path, _, column = source.removeprefix(HUB).partition("#")
        name, *more = path.split(":")
        if not name or len(more) > 2:
            raise SpikeportError(f"{source}: not a Hub data set, needs hub:NAME[:CONFIG[:SPLIT]][#COLUMN]; correct it")
        config, split = (*more, "", "")[:2]
        return cls(name, config or None, split or "train", column or "text")


def _hub_texts(source: str, max_chars: int) -> Iterator[str]:
    wanted = HubSource.parse(source)
    try:
        from datasets import load_dataset
    except ImportError:
        raise MissingComponentError(f"{source}: datasets is missing; pip install 'spikeport[train]'") from None
    try:
        for row in load_dataset(wanted.name, wanted.config, split=wanted.split, streaming=True):
            if wanted.column not in row:
                raise SpikeportError(
                    f"{source}: no column {wanted.column!r}, it has {', '.join(row)}; name one after '#'"
                )
            for line in str(row[wanted.column] or "").split("\n"):
                yield from _cut(line, max_chars)
    except SpikeportError:
        raise
    except Exception as error:  # network, hub and builder errors have no common class
        reason = " ".join(str(error).split())[:120]
        raise SpikeportError(f"{source}: cannot be streamed ({reason}); check the name, or use local text") from None
