"""The frozen teacher as its students see it: logits and the hidden states of chosen layers."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from inspect import signature
from pathlib import Path

import torch
from torch import Tensor
from transformers import AutoModel, AutoModelForSequenceClassification

from toolkit.distillation.model_folder import reading
from toolkit.errors import SpikeportError


@dataclass(frozen=True)
class Answer:
    """What the teacher says of a batch.

    Attributes:
        logits: (B, K) float32; K is 0 for a teacher without a head.
        features: (layers, B, N, H) float32, hidden states of the chosen layers.
    """

    logits: Tensor
    features: Tensor


class Oracle:
    """A BERT-like teacher in evaluation mode; its weights never change.

    Args:
        folder: a ``transformers`` model folder.
        layers: layer taught to each student block, 1 the first; see ``layer_map``.
        head: whether the folder holds a classifier, not just an encoder.
        max_tokens: longest row that will be asked.

    Raises:
        SpikeportError: the folder holds no such model, or it has fewer layers or positions than asked for.
    """

    def __init__(self, folder: Path, layers: list[int], *, head: bool, max_tokens: int, device: str = "cpu") -> None:
        loader = AutoModelForSequenceClassification if head else AutoModel
        with reading(folder):
            self.model = loader.from_pretrained(folder).eval().to(device).requires_grad_(False)
        config = self.model.config
        self.layers, self.device = layers, device
        self.width: int = config.hidden_size
        self.labels: int = config.num_labels if head else 0
        self.head = head
        self.takes_segments = "token_type_ids" in signature(self.model.forward).parameters
        self.identity = _hash_of_weights(folder)
        if layers and max(layers) > config.num_hidden_layers:
            raise SpikeportError(
                f"teacher layer {max(layers)}: {folder} has {config.num_hidden_layers}; "
                "set teacher_layers in the recipe to layers that exist"
            )
        positions = getattr(config, "max_position_embeddings", max_tokens)
        if max_tokens > positions:
            raise SpikeportError(
                f"tokens {max_tokens}: the teacher {folder} has {positions} positions; set tokens to at most that"
            )

    @torch.no_grad()
    def __call__(self, ids: Tensor, mask: Tensor, segments: Tensor | None = None) -> Answer:
        """Ask about a padded batch, each (B, N) int64."""
        inputs = {"input_ids": ids, "attention_mask": mask}
        if segments is not None and self.takes_segments:
            inputs["token_type_ids"] = segments
        output = self.model(**{k: v.to(self.device) for k, v in inputs.items()}, output_hidden_states=True)
        states = [output.hidden_states[layer].float() for layer in self.layers]
        features = torch.stack(states) if states else torch.empty(0, *ids.shape, self.width)
        logits = output.logits.float() if self.head else torch.empty(len(ids), 0)
        return Answer(logits, features)

    @torch.no_grad()
    def word_vectors(self, vocabulary: int, cls: int | None, sep: int | None) -> Tensor:
        """Last hidden state of every token alone between the special tokens, (V, H) float32.

        A static summary of what the teacher takes a token for: after fine-tuning it holds the task's
        view of the word, which the raw word table does not.
        """
        rows = []
        for ids in torch.arange(vocabulary).split(1024):
            frame = [torch.full_like(ids, i) for i in (cls, sep) if i is not None]
            parts = [ids] if len(frame) < 2 else [frame[0], ids, frame[1]]
            x = torch.stack(parts, dim=1).to(self.device)
            output = self.model(input_ids=x, attention_mask=torch.ones_like(x), output_hidden_states=True)
            rows.append(output.hidden_states[-1][:, len(parts) // 2].float().cpu())
        return torch.cat(rows)


def layer_map(teacher_layers: int, student_layers: int, chosen: list[int] | None = None) -> list[int]:
    """Teacher layer (1-based) taught to each student block: ``chosen``, or evenly spaced up to the last.

    Raises:
        SpikeportError: ``chosen`` does not name one layer per block.
    """
    if chosen is None:
        return [max((i + 1) * teacher_layers // student_layers, 1) for i in range(student_layers)]
    if len(chosen) != student_layers or min(chosen) < 1:
        raise SpikeportError(
            f"teacher_layers {chosen}: needs {student_layers} numbers from 1, one per student block; correct the recipe"
        )
    return chosen


def _hash_of_weights(folder: Path) -> str:
    digest = hashlib.sha256()
    for weights in sorted([*Path(folder).glob("*.safetensors"), *Path(folder).glob("*.bin")]):
        digest.update(weights.read_bytes())
    return digest.hexdigest()
