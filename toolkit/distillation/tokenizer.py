"""A WordPiece tokenizer trained on the corpus itself, where no teacher brings one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from toolkit.errors import SpikeportError

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
KINDS = ("characters", "pieces")


def train_tokenizer(texts: Sequence[str], options: Mapping[str, object], out: Path) -> PreTrainedTokenizerFast:
    """Train on ``texts`` and save into ``out``.

    Args:
        options: ``vocabulary``, the largest number of pieces; ``kind``: ``characters`` cuts Chinese into
            single characters as BERT does, ``pieces`` also learns words of several.

    Raises:
        SpikeportError: no text, or an option that is unknown.
    """
    known = {"vocabulary": 8000, "kind": "characters"}
    if unknown := sorted(set(options) - set(known)):
        raise SpikeportError(f"[tokenizer] unknown field {unknown[0]!r}; known: {', '.join(known)}")
    values = {**known, **options}
    if values["kind"] not in KINDS:
        raise SpikeportError(f"[tokenizer] kind = {values['kind']!r}: choose one of {', '.join(KINDS)}")
    if not texts:
        raise SpikeportError("tokenizer: 0 sentences to train on, needs at least 1; name labelled data")
    characters = values["kind"] == "characters"
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=200))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True, handle_chinese_chars=characters)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    trainer = trainers.WordPieceTrainer(
        vocab_size=int(str(values["vocabulary"])), special_tokens=list(SPECIAL), show_progress=False, min_frequency=2
    )
    tokenizer.train_from_iterator(texts, trainer)
    cls, sep = SPECIAL.index("[CLS]"), SPECIAL.index("[SEP]")  # special tokens take the first ids
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", sep), ("[CLS]", cls))
    names = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")}
    wrapped = PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names)
    wrapped.save_pretrained(out)
    return wrapped
