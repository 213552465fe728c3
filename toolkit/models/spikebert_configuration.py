"""Sizes and fixed choices of the faithful SpikeBERT (arXiv 2308.15122), as a ``transformers`` configuration."""

from __future__ import annotations

import math
from typing import Any

from transformers import PreTrainedConfig

from toolkit.errors import SpikeportError
from toolkit.models.spikebert_lowering import MODEL_TYPE

MAX_SIZE = 2**20  # of any one field: beyond it a damaged file, not a model

_COUNTS = (
    *("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_ratio"),
    *("steps", "max_tokens", "num_labels"),
)
_POSITIVE = ("threshold", "attention_threshold", "attention_scale", "surrogate_alpha", "layer_norm_eps")


class SpikeBertConfig(PreTrainedConfig):
    """Defaults are those of the published task distillation on SST-2 (12 layers, T = 4, tau = 2).

    Args:
        vocab_size: rows of the word table; 28,996 is that of the published teacher, bert-base-cased.
        hidden_size: width D.
        num_hidden_layers: blocks.
        num_attention_heads: heads of the spiking self-attention; D must be a multiple of it.
        intermediate_ratio: width of the feed-forward part in units of D.
        steps: time steps T.
        tau: membrane time constant, in steps; the input is divided by it, so at 1 nothing is remembered.
        threshold: firing threshold of every neuron but the attention's.
        attention_threshold: 0.5 in the published code; the paper is reported to say 0.25.
        attention_scale: factor on Q K^T V; fixed at 0.125 whatever the width of a head.
        surrogate_alpha: slope of the arctangent surrogate is ``alpha / 2`` at the threshold.
        layer_norm_eps: added to the variance in every LayerNorm.
        initializer_range: standard deviation of fresh linear weights; the word table starts from N(0, 1).
        max_tokens: longest input. There is no positional table: the limit is the length trained at.
        mask_padding: False is the model as published: padded tokens spike, are attended to and enter the
            mean, so that the logits depend on how far a batch was padded (published runs pad all inputs to
            one length). True leaves them out of the attention's keys and values and out of the mean: the
            logits of a sentence are then its own. Weights trained one way do worse the other way.
        teacher_hidden_size: width of the teacher's features, to which training-only heads map the blocks'
            (they belong to the distillation, not to this model); None means D.
        **kwargs: what every ``transformers`` configuration takes: ``num_labels``, ``id2label``, ...

    Raises:
        SpikeportError: a value that no SpikeBERT can have.
    """

    model_type = MODEL_TYPE
    # Tools that ask a text model for its longest input ask under this name.
    attribute_map = {"max_position_embeddings": "max_tokens"}  # noqa: RUF012  # transformers reads it off the class

    def __init__(
        self,
        vocab_size: int = 28996,
        hidden_size: int = 768,
        num_hidden_layers: int = 12,
        num_attention_heads: int = 8,
        intermediate_ratio: int = 4,
        steps: int = 4,
        tau: float = 2.0,
        threshold: float = 1.0,
        attention_threshold: float = 0.5,
        attention_scale: float = 0.125,
        surrogate_alpha: float = 2.0,
        layer_norm_eps: float = 1e-5,
        initializer_range: float = 0.02,
        max_tokens: int = 128,
        mask_padding: bool = False,
        teacher_hidden_size: int | None = None,
        **kwargs: Any,
    ) -> None:
        _check_labels(kwargs.get("num_labels"), kwargs.get("id2label"))
        self.vocab_size = vocab_size
        self.hidden_size = hidden_size
        self.num_hidden_layers = num_hidden_layers
        self.num_attention_heads = num_attention_heads
        self.intermediate_ratio = intermediate_ratio
        self.steps = steps
        self.tau = tau
        self.threshold = threshold
        self.attention_threshold = attention_threshold
        self.attention_scale = attention_scale
        self.surrogate_alpha = surrogate_alpha
        self.layer_norm_eps = layer_norm_eps
        self.initializer_range = initializer_range
        self.max_tokens = max_tokens
        self.mask_padding = mask_padding
        self.teacher_hidden_size = teacher_hidden_size
        super().__init__(**kwargs)
        self.check()

    def __eq__(self, other: object) -> bool:
        # transformers makes a dataclass of this class, whose own comparison would see none of our fields.
        return isinstance(other, SpikeBertConfig) and self.to_dict() == other.to_dict()

    __hash__ = None  # type: ignore[assignment]  # it can be changed

    @property
    def intermediate_size(self) -> int:
        """Channels between the two layers of the feed-forward part."""
        return self.hidden_size * self.intermediate_ratio

    @property
    def feature_size(self) -> int:
        """Width at which a block's feature is compared with the teacher's."""
        return self.teacher_hidden_size or self.hidden_size

    def check(self) -> None:
        """Refuse impossible values; the model asks again, for fields can be set after construction.

        Raises:
            SpikeportError: the first value found that no SpikeBERT can have.
        """
        for name in _COUNTS:
            _check_count(name, getattr(self, name))
        if self.teacher_hidden_size is not None:
            _check_count("teacher_hidden_size", self.teacher_hidden_size)
        if self.hidden_size % self.num_attention_heads:
            raise SpikeportError(
                f"hidden_size {self.hidden_size}: not a multiple of num_attention_heads {self.num_attention_heads}; "
                "choose another number of heads"
            )
        for name in _POSITIVE:
            _check_number(name, getattr(self, name), 0.0, strictly=True)
        _check_number("initializer_range", self.initializer_range, 0.0)
        _check_number("tau", self.tau, 1.0)
        if not isinstance(self.mask_padding, bool):
            raise SpikeportError(f"mask_padding is {self.mask_padding!r:.40}, needs true or false; correct it")


def _check_labels(count: object, names: object) -> None:
    if count is not None:
        _check_count("num_labels", count)
    if names is None:
        return
    if not isinstance(names, dict) or sorted(map(str, names)) != sorted(map(str, range(len(names)))):
        raise SpikeportError(f"id2label is {names!r:.80}, needs one name for each of 0, 1, 2, ...; correct it")
    if count is not None and count != len(names):
        raise SpikeportError(
            f"num_labels {count}: id2label names {len(names)} classes; pass id2label and label2id of the new classes "
            "instead of num_labels"
        )


def _check_count(name: str, value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MAX_SIZE:
        raise SpikeportError(f"{name} is {value!r:.40}, needs an integer from 1 to {MAX_SIZE}; correct it")


def _check_number(name: str, value: object, least: float, strictly: bool = False) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not number or value < least or (strictly and value == least):  # type: ignore[operator]
        limit = f"above {least:g}" if strictly else f"of at least {least:g}"
        raise SpikeportError(f"{name} is {value!r:.40}, needs a finite number {limit}; correct it")
