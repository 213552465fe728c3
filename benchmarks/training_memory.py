"""Activation memory of a training step: the student at 1, 2 and 4 steps against BERT of the same size.

    python -m benchmarks.training_memory [--size 2x128] [--batch 8] [--out FILE.json]

Counted are the bytes that autograd holds between forward and backward pass, each storage once, parameters,
inputs of the loss and their likes left out: what grows with the batch. BERT is transformers' ``BertModel``
with its default dropout and ``sdpa`` attention, in training mode, over the same tokens; its loss is the mean
of its last hidden state, so that nothing but the model counts, and the student's that of its features and logits.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import BertConfig, BertModel

from benchmarks.student_step import HEAD_WIDTH, SIZES, build, config_of

STEPS = (1, 2, 4)


def held_bytes(model: nn.Module, forward: Callable[[], Tensor]) -> int:
    """Bytes of the storages kept for the backward pass, those of parameters and buffers apart."""
    own = {x.untyped_storage().data_ptr() for x in (*model.parameters(), *model.buffers())}
    kept: dict[int, int] = {}

    def pack(x: Tensor) -> Tensor:
        storage = x.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return x

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        loss = forward()
    total = sum(kept.values())  # the graph of ``loss`` is alive: no storage was freed and its address used again
    loss.backward()
    return total


def student_bytes(size: str, batch: int, tokens: int, steps: int, *, checkpointing: bool) -> int:
    student, _, given = build(config_of(size, tokens, steps), batch)
    student.gradient_checkpointing = checkpointing

    def forward() -> Tensor:
        output = student(given.ids, given.valid)
        return output.logits.sum() + torch.stack([x.sum() for x in output.features]).sum()

    return held_bytes(student, forward)


def bert_bytes(size: str, batch: int, tokens: int) -> int:
    layers, width = SIZES[size]
    config = BertConfig(
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=width // HEAD_WIDTH,
        intermediate_size=4 * width,
        attn_implementation="sdpa",
    )
    model = BertModel(config, add_pooling_layer=False).train()
    ids = torch.randint(config.vocab_size, (batch, tokens))

    def forward() -> Tensor:
        return model(input_ids=ids).last_hidden_state.mean()

    return held_bytes(model, forward)


def measure(size: str, batch: int, tokens: int) -> dict[str, object]:
    """Bytes per token of both, and their ratios."""
    bert = bert_bytes(size, batch, tokens)
    rows = {}
    for steps in STEPS:
        full = student_bytes(size, batch, tokens, steps, checkpointing=False)
        short = student_bytes(size, batch, tokens, steps, checkpointing=True)
        rows[steps] = {
            "bytes_per_token": full / (batch * tokens),
            "checkpointed_bytes_per_token": short / (batch * tokens),
            "over_steps_times_bert": full / (steps * bert),
            "checkpointed_over_full": short / full,
        }
    return {"bert_bytes_per_token": bert / (batch * tokens), "student": rows}


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--size", choices=list(SIZES), action="append", help="default: all")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    sizes = {size: measure(size, arguments.batch, arguments.tokens) for size in arguments.size or SIZES}
    result = json.dumps({"batch": arguments.batch, "tokens": arguments.tokens, "sizes": sizes}, indent=2)
    print(result)
    if arguments.out:
        arguments.out.write_text(result + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
