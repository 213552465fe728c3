"""From a recipe and a data folder to rows with the teachers' answers, computed once for all students."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from torch import Tensor
from torch.utils.data import Dataset
from transformers import AutoConfig, PreTrainedTokenizerBase

from toolkit.distillation.augmentation import Augmenter
from toolkit.distillation.cache import TeacherCache, build_cache, kept_word_vectors
from toolkit.distillation.corpus import UNLABELLED, Example, read_examples
from toolkit.distillation.encode import encode, encode_examples
from toolkit.distillation.lessons import Answers, Lessons
from toolkit.distillation.model_folder import check_words, reading
from toolkit.distillation.oracle import Oracle, layer_map
from toolkit.distillation.recipe import AugmentRecipe, Recipe
from toolkit.distillation.streaming import HUB, TextStream
from toolkit.errors import SpikeportError

DRAWN_FROM = 100_000  # sentences of a source held at a time, 20 MB of reviews


@dataclass(frozen=True)
class Corpus:
    """The labelled sentences that a recipe names, and where its unlabelled text is."""

    train: list[Example]
    validation: list[Example]
    test: list[Example]
    unlabelled: list[str]

    @classmethod
    def read(cls, recipe: Recipe, folder: Path, *, unlabelled: bool = True, hub: bool = False) -> Corpus:
        """Read a data folder in the layout that the recipe's ``[data]`` names.

        Args:
            unlabelled: whether the unlabelled text is needed.
            hub: the folder was downloaded; unlabelled text then comes from the Hub too.
        """
        data, labels = recipe.data, len(recipe.labels)
        named = data.hub_unlabelled if hub else data.unlabelled
        sources = [name if name.startswith(HUB) else str(folder / name) for name in named] if unlabelled else []
        missing = [name for name in sources if not name.startswith(HUB) and not Path(name).exists()]
        if missing:
            raise SpikeportError(
                f"{missing[0]}: no such file, the recipe's unlabelled text; put it there or take it out of [data]"
            )

        def read(name: str) -> list[Example]:
            examples = read_examples(folder / name, labels)
            if (examples[0].pair is not None) != recipe.pairs:
                raise SpikeportError(
                    f"{folder / name}: {'single sentences' if recipe.pairs else 'sentence pairs'}, the recipe says "
                    f"pairs = {str(recipe.pairs).lower()}; correct one of them"
                )
            return examples

        train = [example for name in data.train for example in read(name)]
        validation = read(data.validation)
        if data.distinct:
            train = list({(e.text, e.pair): e for e in reversed(train)}.values())[::-1]
            seen = {(e.text, e.pair) for e in train}
            validation = [e for e in validation if (e.text, e.pair) not in seen]
        if not validation:
            raise SpikeportError(f"{folder / data.validation}: 0 examples that are not in train; hold other ones out")
        return cls(train, validation, read(data.test), sources)


@dataclass(frozen=True)
class Prepared:
    """What the stages read.

    Attributes:
        train, validation: rows for stages 2 and 3.
        unlabelled: sources of text for stage 1.
        raw: the raw teacher, for stage 1; ``None`` where there is none.
        words: vectors from which the student's word table starts, (V, H).
        raw_words: the raw teacher's word table, (V, H), for the embedding term.
        teacher_width: H; ``None`` without a teacher.
    """

    train: Dataset[Any]
    validation: Answers
    unlabelled: list[str]
    raw: Oracle | None = None
    words: Tensor | None = None
    raw_words: Tensor | None = None
    teacher_width: int | None = None


def prepare(
    recipe: Recipe,
    corpus: Corpus,
    tokenizer: PreTrainedTokenizerBase,
    *,
    base: Path | None,
    teacher: Path | None,
    work: Path,
    device: str = "cpu",
) -> Prepared:
    """Ask the fine-tuned teacher about all rows of stage 2, or read what an earlier run asked.

    Args:
        base: the raw teacher; ``teacher``: the fine-tuned one; both ``None`` for training on labels alone.
        work: where the answers are kept.
    """
    tokens = recipe.tokens
    validation = encode_examples(tokenizer, corpus.validation, tokens)
    if teacher is None or base is None:
        return Prepared(encode_examples(tokenizer, corpus.train, tokens), validation, corpus.unlabelled)
    chosen = list(recipe.distil.teacher_layers) if recipe.distil.teacher_layers else None
    depth = _depth(teacher)
    layers = layer_map(depth, recipe.blocks, chosen)
    tuned = Oracle(teacher, layers, head=True, max_tokens=tokens, device=device)
    raw = Oracle(base, layers, head=False, max_tokens=tokens, device=device)
    _check_teachers(recipe, tuned, raw)
    check_words(tuned.model, tokenizer, teacher)
    check_words(raw.model, tokenizer, base)
    raw_words = raw.model.get_input_embeddings().weight.detach().float().cpu()
    words = {
        "tuned": lambda: kept_word_vectors(tuned, len(tokenizer), tokenizer.cls_token_id, tokenizer.sep_token_id, work),
        "raw": lambda: raw_words,
        "random": lambda: None,
    }[recipe.distil.words]()
    keep = any(recipe.stages[name].losses.features > 0 for name in ("stage2", "stage3") if name in recipe.stages)
    with PartialState(cpu=device == "cpu").main_process_first():
        parts = _ask(recipe, corpus, tokenizer, tuned, work, tokens, keep)
    return Prepared(
        Lessons(parts, features=keep), validation, corpus.unlabelled,
        raw=raw, words=words, raw_words=raw_words, teacher_width=tuned.width,
    )  # fmt: skip


def _ask(
    recipe: Recipe,
    corpus: Corpus,
    tokenizer: PreTrainedTokenizerBase,
    tuned: Oracle,
    work: Path,
    tokens: int,
    features: bool,
) -> list[tuple[TeacherCache, Tensor]]:
    """Labelled, augmented and unlabelled rows with the fine-tuned teacher's answers."""
    parts = []

    def ask(name: str, texts: list[str], labels: list[int], pairs: list[str] | None = None) -> None:
        encoded = encode(tokenizer, texts, tokens, pairs)
        cache = build_cache(
            tuned, encoded["input_ids"], work / name, segments=encoded.get("token_type_ids"), features=features
        )
        parts.append((cache, torch.tensor(labels)))

    pairs = [e.pair or "" for e in corpus.train] if recipe.pairs else None
    ask("labelled", [e.text for e in corpus.train], [e.label for e in corpus.train], pairs)
    if recipe.augment is not None:
        new = augmented(recipe, recipe.augment, corpus.train, str(tokenizer.mask_token or "[MASK]"))
        ask("augmented", new, [UNLABELLED] * len(new))
    if recipe.data.unlabelled_lines and corpus.unlabelled:
        lines = unlabelled_lines(corpus.unlabelled, recipe.data.unlabelled_lines)
        ask("unlabelled", lines, [UNLABELLED] * len(lines))
    return parts


def unlabelled_lines(sources: Sequence[str], wanted: int) -> list[str]:
    """Sentences from all sources in equal shares; a source that has fewer leaves the rest to those behind it.

    Drawn from the first ``DRAWN_FROM`` sentences of a source at least, because files come sorted: by label, by topic.
    """
    lines: list[str] = []
    for i, source in enumerate(sources):
        share = (wanted - len(lines)) // (len(sources) - i)
        lines += islice(TextStream([source], buffer=DRAWN_FROM).epoch(0), share)
    return lines


def augmented(recipe: Recipe, augment: AugmentRecipe, train: Sequence[Example], mask_token: str) -> list[str]:
    """New sentences from the labelled ones; from a stride of them where ``augment.rows`` asks for fewer.

    Raises:
        SpikeportError: the recipe is one for sentence pairs, of which the paper's rules make none.
    """
    if recipe.pairs:
        raise SpikeportError("[augment]: sentence pairs cannot be augmented; remove the table")
    texts = [e.text for e in train]
    maker = Augmenter.load(
        texts, language=recipe.language, tagger=augment.tagger, rates=augment.rates, mask_token=mask_token
    )
    if not augment.rows:
        return list(maker(texts))
    stride = max(len(texts) * augment.rates.variants // augment.rows, 1)
    return list(islice(maker(texts[::stride]), augment.rows))


def _depth(teacher: Path) -> int:
    with reading(teacher):
        return int(AutoConfig.from_pretrained(teacher).num_hidden_layers)


def _check_teachers(recipe: Recipe, tuned: Oracle, raw: Oracle) -> None:
    if tuned.labels != len(recipe.labels):
        raise SpikeportError(
            f"teacher: it knows {tuned.labels} classes, the recipe {len(recipe.labels)}; fine-tune one on this task"
        )
    if tuned.width != raw.width:  # both stages share the maps to the teacher's width
        raise SpikeportError(
            f"teacher: hidden size {tuned.width}, its base {raw.width}; give the model that it was fine-tuned from"
        )
