"""SST-2 from the Hugging Face Hub, written in the layout of a local data folder."""

from __future__ import annotations

from pathlib import Path

from toolkit.errors import MissingComponentError, SpikeportError

HELD_OUT = 1000  # of the training rows: GLUE's test labels are hidden, so its validation split is our test


def fetch(name: str, folder: Path) -> Path:
    """Download ``glue/sst2`` once; its phrases become ``sst2_phrases``, its validation split the test.

    Raises:
        MissingComponentError: ``datasets`` is not installed.
        SpikeportError: another data set is asked for, or the Hub cannot be reached.
    """
    if name != "glue/sst2":
        raise SpikeportError(f"hub:{name}: only hub:glue/sst2 is known; write TSV files and give their folder")
    if (folder / "sst2" / "test.tsv").exists():
        return folder
    try:
        from datasets import load_dataset
    except ImportError:
        raise MissingComponentError("datasets is missing; pip install datasets") from None
    try:
        splits = load_dataset("nyu-mll/glue", "sst2")
    except Exception as error:  # network, hub and cache errors have no common class
        reason = " ".join(str(error).split())[:120]
        raise SpikeportError(f"hub:{name}: cannot be downloaded ({reason}); give a data folder") from None
    train = splits["train"].shuffle(seed=0)
    cut = len(train) - HELD_OUT
    _write(train.select(range(cut)), folder / "sst2_phrases" / "train.tsv")
    _write(
        train.select(range(cut)).filter(lambda r: len(r["sentence"].split()) > 9),
        folder / "sst2" / "train.tsv",
    )
    _write(train.select(range(cut, len(train))), folder / "sst2" / "validation.tsv")
    _write(splits["validation"], folder / "sst2" / "test.tsv")
    return folder


def _write(rows: object, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"{' '.join(r['sentence'].split())}\t{r['label']}" for r in rows]  # type: ignore[attr-defined]
    path.write_text("text\tlabel\n" + "\n".join(line for line in lines if line[0] != "\t") + "\n", encoding="utf-8")
