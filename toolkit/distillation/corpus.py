"""Labelled sentences, or pairs of them, from a TSV file, and unlabelled lines from a text file.

The TSV layout is one header line ``text<TAB>label`` (``text<TAB>pair<TAB>label`` for tasks on two
sentences) and one example a line, without quoting: a quotation mark inside a sentence is a character
like any other.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from toolkit.errors import SpikeportError

LABEL_DIGITS = 9  # Python refuses to convert endless ones
UNLABELLED = -1  # where a row needs a label and the sentence has none


@dataclass(frozen=True)
class Example:
    """One sentence, or two, and its class."""

    text: str
    label: int
    pair: str | None = None


def read_examples(path: Path, labels: int = 2, *, unlabelled: bool = False) -> list[Example]:
    """Read labelled sentences; a column ``pair`` makes them sentence pairs.

    Args:
        path: a UTF-8 TSV file.
        labels: number of classes K; a label is an integer from 0 to K - 1.
        unlabelled: a file without a column ``label`` is taken too; its examples have the label ``UNLABELLED``.

    Raises:
        SpikeportError: the file, a column, a row or a label is not what the layout asks for.
    """
    lines = _lines(path)
    columns = _Columns.of(path, lines[0].split("\t") if lines else [], unlabelled)
    examples = [
        _example(path, number, line.split("\t"), columns, labels)
        for number, line in enumerate(lines[1:], start=2)
        if line
    ]
    if not examples:
        raise SpikeportError(f"{path}: 0 examples, needs at least 1; add a row 'sentence<TAB>label'")
    return examples


def read_texts(path: Path, labels: int = 2) -> list[str | tuple[str, str]]:
    """Sentences or pairs without their labels: from the TSV layout where the first line is its header, else one a line.

    Raises:
        SpikeportError: the file cannot be read, or holds none.
    """
    header = _lines(path)[0].split("\t")
    if "text" in header and "label" in header:
        return [text_of(example) for example in read_examples(path, labels)]
    if not (found := read_lines(path)):
        raise SpikeportError(f"{path}: 0 sentences, needs at least 1; write one a line")
    return list(found)


def text_of(example: Example) -> str | tuple[str, str]:
    """The sentence, or the pair."""
    return example.text if example.pair is None else (example.text, example.pair)


def read_lines(path: Path) -> list[str]:
    """Unlabelled sentences, one a line, empty lines left out."""
    return [line for line in _lines(path) if line.strip()]


def batches(lengths: Sequence[int], batch_size: int, seed: int, window: int = 50) -> Iterator[list[int]]:
    """Indices in random order, grouped so that a batch holds sentences of similar length.

    A window of ``window`` batches is sorted by length, cut, and the cuts are shuffled: little
    padding, and still a fresh order every epoch.
    """
    generator = random.Random(seed)
    order = list(range(len(lengths)))
    generator.shuffle(order)
    groups = []
    for start in range(0, len(order), window * batch_size):
        chunk = sorted(order[start : start + window * batch_size], key=lengths.__getitem__)
        groups += [chunk[i : i + batch_size] for i in range(0, len(chunk), batch_size)]
    generator.shuffle(groups)
    yield from groups


@dataclass(frozen=True)
class _Columns:
    """Where a row keeps what: column numbers, and how many columns there are."""

    text: int
    label: int | None
    pair: int | None
    width: int

    @classmethod
    def of(cls, path: Path, header: list[str], unlabelled: bool) -> _Columns:
        if "text" not in header or not ("label" in header or unlabelled):
            raise SpikeportError(
                f"{path}: header is {header!r}, needs the columns 'text' and 'label' separated by a tab; "
                "add the line 'text<TAB>label'"
            )
        pair = header.index("pair") if "pair" in header else None
        label = header.index("label") if "label" in header else None
        return cls(header.index("text"), label, pair, len(header))


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").split("\n")
    except FileNotFoundError:
        raise SpikeportError(f"{path}: no such file; name an existing UTF-8 file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SpikeportError(f"{path}: cannot be read as UTF-8 text ({error}); convert it first") from None


def _example(path: Path, number: int, fields: list[str], columns: _Columns, labels: int) -> Example:
    if len(fields) != columns.width:
        raise SpikeportError(
            f"{path}, line {number}: {len(fields)} fields, needs {columns.width}; one tab between text and label"
        )
    text = fields[columns.text].strip()
    pair = None if columns.pair is None else fields[columns.pair].strip()
    if not text or pair == "":
        raise SpikeportError(f"{path}, line {number}: empty sentence, needs at least one word; remove the row")
    if columns.label is None:
        return Example(text, UNLABELLED, pair)
    label = fields[columns.label].strip()
    if not label.isdecimal() or len(label) > LABEL_DIGITS or int(label) >= labels:
        raise SpikeportError(
            f"{path}, line {number}: label {label!r:.40}, needs an integer from 0 to {labels - 1}; correct the row"
        )
    return Example(text, int(label), pair)
