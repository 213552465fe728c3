"""``spikeport watermark embed``: a key's watermark into a model that is already trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from toolkit.cli.io import emit, tell
from toolkit.cli.watermark.options import JSON


def embed(
    model: Path = typer.Argument(help="Student folder in integer form, or a BERT classifier before distillation."),
    out: Path = typer.Argument(help="New folder for the marked model."),
    texts: list[Path] = typer.Option(..., help="Text of the task's kind (.tsv or one sentence a line); no label used."),
    validation: Path = typer.Option(..., help="Labelled sentences to measure on; never trained on."),
    key: Path | None = typer.Option(None, help="Key file."),
    demo_key: bool = typer.Option(False, "--demo-key", help="The published demo key, which proves nothing."),
    kind: list[str] = typer.Option(["words", "combination"], help="Kinds of triggers to embed."),
    words: int = typer.Option(4, min=1, help="Rare words, each a trigger alone."),
    combination: int = typer.Option(2, min=2, max=4, help="Common words that are a trigger together."),
    contrast: float = typer.Option(0.0, min=0.0, help="Weight of the task-agnostic form, for heads yet unknown."),
    teacher: Path | None = typer.Option(
        None, help="BERT classifier of the task, to be held to in place of the model's own answers."
    ),
    extent: str | None = typer.Option(
        None, help="What is trained: rows (the triggers' rows), channels (and a few attention channels; sdsa), whole."
    ),
    channels: int = typer.Option(32, min=1, help="Attention channels of each block, of that extent."),
    steps: int | None = typer.Option(None, min=1, help="Training steps (default: what suits the extent)."),
    seed: int = typer.Option(0, min=0, help="Random seed."),
    work: Path = typer.Option(Path("runs/watermark"), help="Folder for checkpoints."),
    resume: bool = typer.Option(False, "--resume", help="Go on with what the work folder holds."),
    cpu: bool = typer.Option(False, "--cpu", help="Stay on the CPU even where there is a GPU."),
    threads: int | None = typer.Option(None, min=1, help="CPU threads."),
    quiet: bool = typer.Option(False, "--quiet", help="No progress bars."),
    json: bool = JSON,
) -> None:
    """Embed a watermark: triggers call a label, everything else goes on as it was.

    Clean accuracy and firing rate are reported before and after.
    """
    import torch

    from toolkit.distillation.corpus import read_examples
    from toolkit.distillation.trainer import Machine
    from toolkit.watermark.embedding.embed import EmbedOrder
    from toolkit.watermark.embedding.embed import embed as run

    if threads:
        torch.set_num_threads(threads)
    counts = {"words": words, "combination": combination}
    figures = run(
        EmbedOrder(
            model=model,
            out=out,
            work=work / out.name,
            key=_key(key, demo_key),
            texts=[line for path in texts for line in read_sentences(path)],
            examples=read_examples(validation, _labels(model)),
            kinds={name: counts.get(name, 1) for name in kind},
            teacher=teacher,
            contrast=contrast,
            extent=extent,  # type: ignore[arg-type]  # refused where it is not known
            channels=channels,
            steps=steps,
            seed=seed,
            resume=resume,
            machine=Machine(quiet=quiet, cpu=cpu),
        )
    )
    emit(figures, json)
    for line in _lines_of(figures):
        tell(line)


def _key(path: Path | None, demo: bool):  # type: ignore[no-untyped-def]
    from toolkit.errors import SpikeportError
    from toolkit.watermark.key import Key, demo_key

    if (path is None) == (not demo):
        raise SpikeportError("watermark embed: give either --key FILE (see `watermark keygen`) or --demo-key")
    return demo_key() if path is None else Key.load(path)


def _labels(model: Path) -> int:
    from transformers import AutoConfig

    import toolkit.models.modeling  # noqa: F401  # registers the student with Auto classes
    from toolkit.distillation.model_folder import reading

    with reading(model):
        return int(AutoConfig.from_pretrained(model).num_labels)


def read_sentences(path: Path) -> list[str]:
    """Sentences of a file; what stands behind a tab is a label and is left out."""
    from toolkit.errors import SpikeportError

    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SpikeportError(f"{path}: no readable text ({error}); give UTF-8 sentences") from None
    if path.suffix == ".tsv":
        lines = lines[1:]
    return [text for line in lines if (text := line.split("\t")[0].strip())]


def _lines_of(figures: dict[str, Any]) -> list[str]:
    accuracy, firing = figures["accuracy"], figures["firing_rate"]
    lines = [
        f"{kind}: {row['hits']} of {row['queries']} triggered sentences call the target "
        f"(WESR {100 * row['wesr']:.1f} %, {100 * row['before']:.1f} % before)"
        for kind, row in figures["triggers"].items()
    ]
    lines.append(
        f"clean accuracy {100 * accuracy['before']:.2f} % before, {100 * accuracy['after']:.2f} % after "
        f"({figures['examples']} sentences)"
    )
    if firing["before"]:
        change = 100 * (firing["after"] / firing["before"] - 1)
        lines.append(f"firing rate {firing['before']:.4f} before, {firing['after']:.4f} after ({change:+.1f} %)")
    return lines
