"""Sentences and sentence pairs to token ids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from transformers import PreTrainedTokenizerBase

from toolkit.distillation.corpus import Example
from toolkit.distillation.lessons import Answers


def encode(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], tokens: int, pairs: Sequence[str] | None = None
) -> dict[str, list[list[int]]]:
    """``input_ids`` and, for pairs, ``token_type_ids``, special tokens included, cut to ``tokens``."""
    if not texts:
        return {"input_ids": []}
    encoded: Any = tokenizer(
        list(texts),
        list(pairs) if pairs is not None else None,
        truncation=True,
        max_length=tokens,
        return_token_type_ids=pairs is not None,
    )
    return {name: encoded[name] for name in ("input_ids", "token_type_ids") if name in encoded}


def encode_examples(tokenizer: PreTrainedTokenizerBase, examples: Sequence[Example], tokens: int) -> Answers:
    """Labelled rows, ready for training or validation."""
    pairs = [e.pair or "" for e in examples] if any(e.pair is not None for e in examples) else None
    encoded = encode(tokenizer, [e.text for e in examples], tokens, pairs)
    return Answers(encoded, [e.label for e in examples], pairs=pairs is not None)
