"""``spikeport watermark attack``: what is left of a mark after one attack, at several strengths."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from toolkit.cli.io import emit, tell
from toolkit.cli.watermark.options import ALPHA, JSON, KEY, QUERIES, load_key

if TYPE_CHECKING:
    from toolkit.attacks.catalogue import Means
    from toolkit.attacks.suspect import Suspect
    from toolkit.distillation.corpus import Example


def attack(
    name: str = typer.Argument(
        help="finetune, newhead, prune, requantise, fewer-steps, thresholds, noise, redistil, strip-words, overwrite "
        "or permute."
    ),
    student: Path = typer.Option(..., help="Marked student folder, in integer form."),
    clean: list[Path] = typer.Option(..., help="Independent unmarked student folder; at least two."),
    carriers: Path = typer.Option(..., help="Labelled sentences that carry the triggers."),
    test: Path | None = typer.Option(None, help="Labelled sentences for clean accuracy (default: the carriers)."),
    key: Path | None = KEY,
    strength: list[float] = typer.Option([], help="Of the attack, repeatable; by default those of its curve."),
    kind: list[str] = typer.Option(["words", "combination"], help="Kinds of triggers."),
    words: int = typer.Option(4, min=1, help="Rare words of the mark."),
    combination: int | None = typer.Option(None, min=2, max=4, help="Words of the mark's combination."),
    task: Path | None = typer.Option(None, help="finetune: labelled sentences that the attacker trains on."),
    other: Path | None = typer.Option(None, help="newhead: labelled sentences of another task, to train on."),
    other_test: Path | None = typer.Option(None, help="newhead: its test sentences (default: --other)."),
    other_labels: int = typer.Option(2, min=2, help="newhead: number of its labels."),
    texts: list[Path] = typer.Option([], help="redistil, strip-words, overwrite: clean text."),
    attacker_key: Path | None = typer.Option(None, help="overwrite: the attacker's key file."),
    queries: int = QUERIES,
    alpha: float = ALPHA,
    seed: int = typer.Option(0, min=0, help="Random seed of the attack."),
    work: Path = typer.Option(Path("runs/attacks"), help="Folder for what is trained."),
    out: Path | None = typer.Option(None, help="File for the curve (spikeport.attack/1), for watermark report."),
    threads: int | None = typer.Option(None, min=1, help="CPU threads."),
    json: bool = JSON,
) -> None:
    """Attack a marked student and measure WESR, p and clean accuracy side by side.

    Everything is asked of the student in integer form under torch, whose answers are those of every backend.
    """
    import torch

    from toolkit.attacks.catalogue import attack_of, check_means
    from toolkit.attacks.curve import Trial, curve, line_of, record_of
    from toolkit.attacks.suspect import read_suspect
    from toolkit.distillation.corpus import read_examples
    from toolkit.errors import SpikeportError
    from toolkit.models.storage import student_hash
    from toolkit.watermark.triggers import check_kind, default_count

    if threads:
        torch.set_num_threads(threads)
    chosen = attack_of(name)
    counts = {"words": words, "combination": combination or default_count("combination")}
    kinds = {one: counts.get(one, 1) for one in kind}
    for one, count in kinds.items():
        check_kind(one, count)
    if out is not None and out.exists():
        raise SpikeportError(f"{out}: exists, and a curve is never overwritten; name another file")
    victim = read_suspect(student)
    labels = victim.model.config.num_labels
    means = _means(task, other, other_labels, texts, attacker_key, labels, seed, work)
    check_means(chosen, means)
    carrying = read_examples(carriers, labels)
    trial = Trial(
        key=load_key(key),
        kinds=kinds,
        clean=_clean(clean, victim),
        carriers=[(example.text, example.label) for example in carrying],
        examples=read_examples(test, labels) if test else carrying,
        other=read_examples(other_test or other, other_labels) if other else [],
        queries=queries,
        alpha=alpha,
    )
    points: list[dict[str, Any]] = []
    for point in curve(chosen, victim, trial, means, strength or list(chosen.strengths)):
        points.append(point)
        tell(f"{chosen.dial}: {line_of(point)}")
    record = record_of(chosen, trial, student_hash(student), points)
    if out is not None:
        from toolkit.distillation.stage import write_whole

        write_whole(out, record)
    emit(record, json)


def _clean(folders: list[Path], victim: Suspect) -> list[Suspect]:
    from toolkit.attacks.suspect import read_suspect
    from toolkit.errors import SpikeportError

    found = [read_suspect(folder) for folder in folders]
    for folder, model in zip(folders, found, strict=True):
        if model.tokenizer.get_vocab() != victim.tokenizer.get_vocab():
            raise SpikeportError(f"{folder}: another tokenizer than {victim.name}'s; give students with one tokenizer")
        if model.model.config.num_labels != victim.model.config.num_labels:
            raise SpikeportError(
                f"{folder}: {model.model.config.num_labels} labels, {victim.name} has "
                f"{victim.model.config.num_labels}; give students of its task"
            )
    return found


def _means(
    task: Path | None,
    other: Path | None,
    other_labels: int,
    texts: list[Path],
    attacker_key: Path | None,
    labels: int,
    seed: int,
    work: Path,
) -> Means:
    from toolkit.attacks.catalogue import Means
    from toolkit.attacks.training import Schooling
    from toolkit.cli.watermark.embed import read_sentences
    from toolkit.distillation.corpus import read_examples
    from toolkit.distillation.trainer import Machine
    from toolkit.watermark.key import Key

    def labelled(path: Path | None, count: int) -> list[Example]:
        return read_examples(path, count) if path else []

    return Means(
        how=Schooling(work, seed, Machine(quiet=True, cpu=True)),
        texts=[line for path in texts for line in read_sentences(path)],
        task=labelled(task, labels),
        other=labelled(other, other_labels),
        classes={label: f"label {label}" for label in range(other_labels)},
        key=Key.load(attacker_key) if attacker_key else None,
    )
