"""Fine-tune a BERT-like encoder into the teacher of the distillation."""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.nn import functional
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from toolkit.distillation.corpus import Example, batches
from toolkit.distillation.padding import pad


@dataclass(frozen=True)
class TeacherRecipe:
    """Hyper-parameters of the teacher's fine-tuning."""

    epochs: int = 1
    batch_size: int = 64
    learning_rate: float = 1e-4
    weight_decay: float = 0.01
    warmup: float = 0.06
    tokens: int = 64
    labels: int = 2
    seed: int = 0
    stop_step: int | None = None  # end here, the schedule of the learning rate being that of the whole run


def fine_tune(
    base: Path, train: list[Example], validation: list[Example], out: Path, recipe: TeacherRecipe
) -> tuple[float, int]:
    """Fine-tune ``base`` on ``train``; keep the weights that are best on ``validation``.

    Returns:
        Validation accuracy, a fraction, of the weights saved in ``out``, and the step they are from.
    """
    torch.manual_seed(recipe.seed)
    tokenizer = AutoTokenizer.from_pretrained(base)
    model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=recipe.labels)
    ids = tokenizer([e.text for e in train], truncation=True, max_length=recipe.tokens)["input_ids"]
    labels = torch.tensor([e.label for e in train])
    # Dense Adam steps on 11.7 M word embeddings cost more than the encoder; 77 k phrases do not need them.
    model.base_model.embeddings.word_embeddings.weight.requires_grad_(False)
    steps = recipe.epochs * -(-len(train) // recipe.batch_size)
    optimiser = torch.optim.AdamW(
        [p for p in model.parameters() if p.requires_grad],
        lr=recipe.learning_rate,
        weight_decay=recipe.weight_decay,
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, _warmup_linear(steps, recipe.warmup))
    lengths = [len(row) for row in ids]
    order = (i for e in range(recipe.epochs) for i in batches(lengths, recipe.batch_size, recipe.seed + e))
    last = min(recipe.stop_step or steps, steps)
    best, best_step, start = 0.0, 0, time.monotonic()
    for step, index in enumerate(itertools.islice(order, last), start=1):
        model.train()
        input_ids, mask = pad([ids[i] for i in index])
        logits = model(input_ids=input_ids, attention_mask=mask).logits
        loss = functional.cross_entropy(logits, labels[index])
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        if step % 100 == 0:
            seconds = time.monotonic() - start
            print(f"teacher step {step}/{last} loss {loss.item():.3f} {seconds:.0f} s", flush=True)
        if step % max(steps // 6, 1) == 0 or step == last:
            accuracy = evaluate(model, tokenizer, validation, recipe.tokens)
            print(f"teacher step {step}/{last} validation {100 * accuracy:.2f} %", flush=True)
            if accuracy > best:
                best, best_step = accuracy, step
                model.save_pretrained(out)
                tokenizer.save_pretrained(out)
    return best, best_step


@torch.no_grad()
def evaluate(model: torch.nn.Module, tokenizer: object, examples: list[Example], tokens: int) -> float:
    """Accuracy of a ``transformers`` classifier, a fraction."""
    model.eval()
    correct = 0
    for start in range(0, len(examples), 128):
        part = examples[start : start + 128]
        encoded = tokenizer(  # type: ignore[operator]
            [e.text for e in part], truncation=True, max_length=tokens, padding=True, return_tensors="pt"
        )
        predicted = model(**encoded).logits.argmax(-1)
        correct += int((predicted == torch.tensor([e.label for e in part])).sum())
    return correct / len(examples)


def _warmup_linear(steps: int, warmup: float):  # type: ignore[no-untyped-def]
    first = max(int(steps * warmup), 1)
    return lambda step: min((step + 1) / first, max(0.0, (steps - step) / max(steps - first, 1)))
