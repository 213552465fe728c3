"""Labelled data sets of the Hugging Face Hub, written in the layout of a local data folder.

``<name>/{train,validation,test}.tsv``, one header line and one example a line. What each one is:

=============== ===================================== ==================================================
name            on the Hub                            splits
=============== ===================================== ==================================================
sst2            SetFit/sst2, nyu-mll/glue             published; GLUE's phrases beside, ``sst2_phrases``
mr              cornell-movie-review-data/            that publisher's
                rotten_tomatoes
subj            SetFit/subj                           its test; validation is 1,000 of its training rows
chnsenticorp    lansinuote/ChnSentiCorp               published
=============== ===================================== ==================================================
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolkit.errors import MissingComponentError, SpikeportError

SPLITS = ("train", "validation", "test")
HELD_OUT = 1000  # of the training rows, where the publisher gives no validation split
LABEL_TEXT = "label_text"  # column in which some publishers spell the label out

Rows = list[tuple[str, int]]


@dataclass(frozen=True)
class HubSet:
    """Where a data set is on the Hub, and what its rows mean.

    Attributes:
        path, config: as ``datasets.load_dataset`` takes them; a local folder does as well.
        labels: names of our classes 0, 1, ...; where the Hub names a row's label, the name decides and not
            the number, for publishers number the same classes differently.
        text: column of the sentence; that of the label is ``label``.
        phrases: a second data set whose training rows become ``<name>_phrases/train.tsv``.
    """

    path: str
    labels: tuple[tuple[str, ...], ...]
    config: str | None = None
    text: str = "text"
    phrases: HubSet | None = None


POLARITY = (("negative", "neg"), ("positive", "pos"))
HUB_SETS: Mapping[str, HubSet] = {
    "sst2": HubSet("SetFit/sst2", POLARITY, phrases=HubSet("nyu-mll/glue", POLARITY, "sst2", "sentence")),
    "mr": HubSet("cornell-movie-review-data/rotten_tomatoes", POLARITY),
    "subj": HubSet("SetFit/subj", (("objective",), ("subjective",))),
    "chnsenticorp": HubSet("lansinuote/ChnSentiCorp", POLARITY),
}
ALIASES = {"glue/sst2": "sst2", "rotten_tomatoes": "mr"}


def fetch(name: str, folder: Path, known: Mapping[str, HubSet] = HUB_SETS) -> Path:
    """Download a data set once and write it below ``folder``.

    Rows without text are left out; runs of white space become one space. A phrase that equals a validation or
    test sentence is left out of the phrases.

    Args:
        name: a name of the table above, or ``glue/sst2``.
        folder: the data folder.
        known: the table, by name.

    Returns:
        ``folder``.

    Raises:
        MissingComponentError: ``datasets`` is not installed.
        SpikeportError: the name is unknown, the Hub cannot be reached, or the rows are not what the table says.
    """
    name = ALIASES.get(name, name)
    if name not in known:
        raise SpikeportError(f"hub:{name}: needs one of {', '.join(known)}; write TSV files and give their folder")
    source = known[name]
    wanted = [folder / name / f"{split}.tsv" for split in SPLITS]
    if source.phrases:
        wanted.append(folder / f"{name}_phrases" / "train.tsv")
    if all(path.exists() for path in wanted):
        return folder
    tables = _splits(_download(name, source), source, name)
    if source.phrases:
        held_out = {text for split in SPLITS[1:] for text, _ in tables[split]}
        phrases = _rows(_download(name, source.phrases), "train", source.phrases, name)
        tables["phrases"] = [row for row in phrases if row[0] not in held_out]
    for path, rows in zip(wanted, tables.values(), strict=True):
        _write(rows, path)
    return folder


def _download(name: str, source: HubSet) -> Mapping[str, Any]:
    try:
        from datasets import load_dataset
    except ImportError:
        raise MissingComponentError(f"hub:{name}: datasets is missing; pip install 'spikeport[train]'") from None
    try:
        return load_dataset(source.path, source.config)
    except Exception as error:  # network, hub and cache errors have no common class
        reason = " ".join(str(error).split())[:120]
        raise SpikeportError(f"hub:{name}: cannot be downloaded ({reason}); give a data folder") from None


def _splits(data: Mapping[str, Any], source: HubSet, name: str) -> dict[str, Rows]:
    """Rows of train, validation and test, in this order."""
    train = _rows(data, "train", source, name)
    if "validation" in data:
        validation = _rows(data, "validation", source, name)
    else:
        if len(train) <= HELD_OUT:
            raise SpikeportError(
                f"hub:{name}: {len(train)} training rows and no validation split, needs more than {HELD_OUT}; "
                "write TSV files and give their folder"
            )
        chosen = set(random.Random(0).sample(range(len(train)), HELD_OUT))
        validation = [row for i, row in enumerate(train) if i in chosen]
        train = [row for i, row in enumerate(train) if i not in chosen]
    return {"train": train, "validation": validation, "test": _rows(data, "test", source, name)}


def _rows(data: Mapping[str, Any], split: str, source: HubSet, name: str) -> Rows:
    where = f"hub:{name} ({source.path}), split {split}"
    if split not in data:
        raise SpikeportError(f"{where}: missing, it has {', '.join(data)}; write TSV files and give their folder")
    table = data[split]
    missing = [column for column in (source.text, "label") if column not in table.column_names]
    if missing:
        raise SpikeportError(
            f"{where}: no column {missing[0]!r}, it has {', '.join(table.column_names)}; write TSV files instead"
        )
    names = getattr(table.features["label"], "names", None)
    rows = [row for row in _labelled(table, names, source, where) if row[0]]
    if not rows:
        raise SpikeportError(f"{where}: 0 rows, needs at least 1; write TSV files and give their folder")
    return rows


def _labelled(
    table: Iterable[Mapping[str, Any]], names: list[str] | None, source: HubSet, where: str
) -> Iterator[tuple[str, int]]:
    classes = {alias: label for label, aliases in enumerate(source.labels) for alias in aliases}
    for number, row in enumerate(table):
        label = row["label"]
        # Hidden labels come as -1, which would count from the end of the names.
        spelled = row.get(LABEL_TEXT) or (names[label] if names and label in range(len(names)) else None)
        label = label if spelled is None else classes.get(str(spelled), spelled)
        if label not in range(len(source.labels)):
            raise SpikeportError(
                f"{where}, row {number}: label {label!r:.40}, needs one of {', '.join(classes)} or an integer from "
                f"0 to {len(source.labels) - 1}; write TSV files and give their folder"
            )
        yield " ".join(str(row[source.text] or "").split()), int(label)


def _write(rows: Rows, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")  # a run that is stopped here leaves no file that looks whole
    part.write_text("text\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in rows), encoding="utf-8")
    part.replace(path)
