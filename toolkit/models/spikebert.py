"""The faithful SpikeBERT (arXiv 2308.15122) as a ``transformers`` model: the baseline, not the deployable form.

    code  = [E(id) >= 0], the same in all T steps
    block : x <- x + SSA(x);  x <- x + MLP(x)
    SSA   : q, k, v = LIF(LN(Linear(x)));  a = LIF(scale * (q k^T) v);  LIF(LN(Linear(a)))
    MLP   : LIF(LN(Linear(D -> 4D)));  LIF(LN(Linear(4D -> D)))
    logits: mean over T of Linear(mean over tokens of LN(x))

It is written from a description of the paper and of the published code. Where the two differ it follows
the code. It has no position, so the order of the tokens does not matter, and no dropout.
Importing this module tells ``AutoConfig`` and ``AutoModelForSequenceClassification`` about it.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForSequenceClassification, PreTrainedModel, initialization
from transformers.modeling_outputs import SequenceClassifierOutput

from toolkit.errors import SpikeportError
from toolkit.models.attention import ssa
from toolkit.models.spikebert_configuration import SpikeBertConfig
from toolkit.models.spikebert_neuron import fire, spike
from toolkit.models.strict_loading import check_tensors, load_strictly

HEAD = "classifier."


class FiringLinear(nn.Module):
    """LIF(LN(Linear(x))), the only layer with weights that a block has."""

    def __init__(self, inputs: int, outputs: int, config: SpikeBertConfig) -> None:
        super().__init__()
        self.config = config
        self.linear = nn.Linear(inputs, outputs)
        self.norm = nn.LayerNorm(outputs, eps=config.layer_norm_eps)

    def forward(self, x: Tensor) -> Tensor:
        """Spikes (T, B, N, out) from spikes or sums of spikes (T, B, N, in)."""
        return fire(self.norm(self.linear(x)), self.config.threshold, self.config.tau, self.config.surrogate_alpha)


class SpikeBertBlock(nn.Module):
    """Spiking self-attention and feed-forward part, each added to the residual sum of spike trains."""

    def __init__(self, config: SpikeBertConfig) -> None:
        super().__init__()
        self.config = config
        width, hidden = config.hidden_size, config.intermediate_size
        self.q, self.k, self.v, self.o = (FiringLinear(width, width, config) for _ in range(4))
        self.fc1, self.fc2 = FiringLinear(width, hidden, config), FiringLinear(hidden, width, config)

    def forward(self, x: Tensor, valid: Tensor | None) -> Tensor:
        """Residual sum after the block.

        Args:
            x: residual sum, (T, B, N, D), integers.
            valid: 1 for a token that may be attended to, (B, N); None means all.
        """
        x = x + self.o(self.attend(x, valid))
        return x + self.fc2(self.fc1(x))

    def attend(self, x: Tensor, valid: Tensor | None) -> Tensor:
        """Spikes of the attention neuron, (T, B, N, D)."""
        config = self.config
        q, k, v = self.q(x), self.k(x), self.v(x)
        if valid is not None:
            v = v * valid.unsqueeze(-1)  # K^T V is a sum over tokens: without the value the key adds nothing
        # Integers, so Q (K^T V) is (Q K^T) V, and cheaper for more tokens than channels of a head.
        current = ssa(q, k, v, config.num_attention_heads) * config.attention_scale
        return fire(current, config.attention_threshold, config.tau, config.surrogate_alpha)


class SpikeBertForSequenceClassification(PreTrainedModel):
    """Spiking text classifier for any number of classes.

    Raises:
        SpikeportError: the configuration holds an impossible value.
    """

    config_class = SpikeBertConfig
    config: SpikeBertConfig
    base_model_prefix = "spikebert"
    _no_split_modules = ["SpikeBertBlock"]  # noqa: RUF012  # read off the class by device placement

    def __init__(self, config: SpikeBertConfig) -> None:
        config.check()
        super().__init__(config)
        self.embeddings = nn.Embedding(config.vocab_size, config.hidden_size)
        self.blocks = nn.ModuleList(SpikeBertBlock(config) for _ in range(config.num_hidden_layers))
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)
        self.post_init()

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        labels: Tensor | None = None,
        output_hidden_states: bool | None = None,
    ) -> SequenceClassifierOutput:
        """Classify a batch.

        Args:
            input_ids: token ids, (B, N) int64, N at most ``config.max_tokens``.
            attention_mask: 1 for a token, 0 for padding, (B, N); of effect only with ``config.mask_padding``,
                where None means that nothing is padding.
            token_type_ids: taken because tokenizers give them; the published model has no such table.
            labels: classes, (B,) int64 (float for ``problem_type`` regression), to get a loss.
            output_hidden_states: also give the features; None asks ``config.output_hidden_states``.

        Returns:
            ``logits`` (B, K); ``loss`` where there are labels; ``hidden_states``, per block the residual sum
            averaged over the steps, (B, N, D), padded tokens included.

        Raises:
            SpikeportError: the input is no batch of token ids, is too long, or the mask does not fit it.
        """
        self._check_ids(input_ids)
        valid = self._valid(input_ids, attention_mask)
        wanted = self.config.output_hidden_states if output_hidden_states is None else output_hidden_states
        code = spike(self.embeddings(input_ids), self.config.surrogate_alpha)
        x = code.expand(self.config.steps, *code.shape)
        features = []
        for block in self.blocks:
            x = block(x, valid)
            if wanted:
                features.append(x.mean(dim=0))
        logits = self.classifier(_token_mean(self.norm(x), valid)).mean(dim=0)
        loss = None
        if labels is not None:
            loss = self.loss_function(labels=labels, pooled_logits=logits, config=self.config)
        return SequenceClassifierOutput(loss=loss, logits=logits, hidden_states=tuple(features) if wanted else None)

    def get_input_embeddings(self) -> nn.Embedding:
        """The word table; a token's spike code is the sign of its row."""
        return self.embeddings

    def set_input_embeddings(self, value: nn.Embedding) -> None:
        """Put another word table in its place."""
        self.embeddings = value

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: Any, *args: Any, **kwargs: Any) -> Any:
        """Load a model whose file holds exactly its tensors; as ``PreTrainedModel.from_pretrained`` otherwise.

        ``ignore_mismatched_sizes=True`` asks for a fresh head where the number of classes has changed, and
        for nothing else. Only safetensors files are read.

        Raises:
            SpikeportError: a file cannot be read, or a tensor is missing, unexpected or of another shape.
        """
        source = pretrained_model_name_or_path
        return load_strictly(partial(super().from_pretrained, source, *args), source, head=HEAD, **kwargs)

    def load_state_dict(self, state_dict: Any, strict: bool = True, assign: bool = False) -> Any:
        """As ``torch.nn.Module.load_state_dict``, strict whatever ``strict`` says.

        Raises:
            SpikeportError: a tensor is missing, unexpected or of another shape; nothing was loaded.
        """
        check_tensors("state dict", {name: tuple(t.shape) for name, t in state_dict.items()}, self, head=HEAD)
        return super().load_state_dict(state_dict, strict=True, assign=assign)

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Embedding):  # N(0, 1): half of a fresh code's bits are set, whatever the width
            initialization.normal_(module.weight)
        else:
            super()._init_weights(module)

    def _check_ids(self, ids: Tensor) -> None:
        if ids.ndim != 2 or not ids.numel():
            raise SpikeportError(
                f"input_ids: shape {tuple(ids.shape)}, needs (sentences, tokens) with at least one of each; "
                "give a padded batch"
            )
        limit = self.config.max_tokens
        if ids.shape[1] > limit:
            raise SpikeportError(
                f"input_ids: {ids.shape[1]} tokens, this model takes at most {limit}; truncate the text"
            )

    def _valid(self, ids: Tensor, mask: Tensor | None) -> Tensor | None:
        """Mask as floats, (B, N), or None where padding is not masked."""
        if mask is None:
            return None
        if mask.shape != ids.shape:
            raise SpikeportError(
                f"attention_mask: shape {tuple(mask.shape)}, input_ids have {tuple(ids.shape)}; give both one shape"
            )
        if not self.config.mask_padding:
            return None
        empty = (mask == 0).all(dim=1)
        if bool(empty.any()):
            raise SpikeportError(
                f"attention_mask: sentence {int(empty.nonzero()[0])} has no token, needs at least one; leave it out"
            )
        return (mask != 0).to(self.embeddings.weight.dtype)


def _token_mean(x: Tensor, valid: Tensor | None) -> Tensor:
    """Mean over tokens, (T, B, N, D) to (T, B, D)."""
    if valid is None:
        return x.mean(dim=2)
    return (x * valid.unsqueeze(-1)).sum(dim=2) / valid.sum(dim=1, keepdim=True)


AutoConfig.register(SpikeBertConfig.model_type, SpikeBertConfig, exist_ok=True)
AutoModelForSequenceClassification.register(SpikeBertConfig, SpikeBertForSequenceClassification, exist_ok=True)
