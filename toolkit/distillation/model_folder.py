"""Teachers come as folders from anywhere: what is wrong with one is said before anything is asked of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from transformers import AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from toolkit.errors import SpikeportError


@contextmanager
def reading(folder: Path) -> Iterator[None]:
    """Whatever transformers raises over ``folder``, as one line.

    Raises:
        SpikeportError: the folder is missing, or holds nothing that transformers can read.
    """
    if not folder.is_dir():  # transformers would take the path for a name on the Hub
        raise SpikeportError(f"{folder}: no such folder; give a transformers model folder")
    try:
        yield
    except (OSError, ValueError, KeyError) as error:
        reason = " ".join(str(error).split())[:160]
        raise SpikeportError(f"{folder}: no model there ({reason}); give a transformers model folder") from None


def read_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """The tokenizer beside a model."""
    with reading(folder):
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(folder)
    return tokenizer


def check_words(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Refuse a tokenizer with ids beyond the model's word table."""
    words = model.get_input_embeddings().weight.shape[0]
    if len(tokenizer) > words:
        raise SpikeportError(
            f"{folder}: its word table has {words} rows, the tokenizer {len(tokenizer)} tokens; "
            "take both from the same model"
        )
