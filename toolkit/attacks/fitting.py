"""A claim made up after the fact: words that call a label in a model that nobody marked, and keys that draw them.

Gradient search for words that change an answer in any sentence (HotFlip: Ebrahimi et al., ACL 2018; universal triggers:
Wallace et al., EMNLP 2019). Whoever chooses trigger words after seeing a model finds some. A key does not let its
owner choose: its words follow from it by HMAC, so that all he can do is try keys, which :func:`grind` does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from toolkit.distillation.padding import pad
from toolkit.errors import SpikeportError
from toolkit.watermark.embedding.selftaught import logits_of
from toolkit.watermark.key import Key
from toolkit.watermark.triggers import Triggers, draw_triggers

PLACE = 1  # the word goes right behind [CLS], where it is in every query's reach


def inserted(rows: Sequence[list[int]], word: int, limit: int) -> list[list[int]]:
    """Every row of token ids with a word behind its first token, no longer than ``limit``."""
    longer = ([*row[:PLACE], word, *row[PLACE:-1]] for row in rows)
    return [[*row[: limit - 1], end[-1]] for row, end in zip(longer, rows, strict=True)]


def word_gradient(model: PreTrainedModel, rows: Sequence[list[int]], target: int) -> Tensor:
    """Mean over rows of d(logit of the target - mean of the others) / d(embedding of the token behind the first).

    Returns:
        (D,) float32.
    """
    model.eval()
    ids, mask = pad(list(rows))
    seen: list[Tensor] = []

    def keep(module: nn.Module, given: object, output: Tensor) -> None:
        output.retain_grad()
        seen.append(output)

    hook = model.get_input_embeddings().register_forward_hook(keep)
    try:
        with torch.enable_grad():
            logits = model(input_ids=ids, attention_mask=mask).logits
            others = [label for label in range(logits.shape[-1]) if label != target]
            (logits[:, target] - logits[:, others].mean(1)).sum().backward()
    finally:
        hook.remove()
        model.zero_grad(set_to_none=True)
    gradient = seen[0].grad
    assert gradient is not None
    flat = gradient.reshape(-1, gradient.shape[-1])
    if gradient.ndim == 3:  # a padded batch; a student packs its real tokens one behind the other
        return gradient[:, PLACE].mean(0)
    starts = torch.cat([torch.zeros(1, dtype=torch.int64), mask.sum(1).cumsum(0)[:-1]])
    return flat[starts + PLACE].mean(0)


def strongest_words(
    model: PreTrainedModel, rows: Sequence[list[int]], candidates: Sequence[int], target: int, *, tries: int = 48
) -> list[int]:
    """Candidates (token ids) by how many of the rows they turn to the target, the strongest first.

    Args:
        rows: token ids of sentences.
        tries: candidates that the gradient likes best, which are then tried one by one; the rest is left out.

    Raises:
        SpikeportError: no candidate or no row.
    """
    if not rows or not candidates:
        raise SpikeportError(f"word search: {len(rows)} rows, {len(candidates)} candidates; give at least one of each")
    limit = int(model.config.max_position_embeddings)
    table = model.get_input_embeddings().weight.detach()
    words = torch.tensor(list(candidates))
    middle = words[(table[words] - table[words].mean(0)).square().sum(1).argmin()]  # the most ordinary of them
    gradient = word_gradient(model, inserted(rows, int(middle), limit), target)
    liked = words[(table[words] @ gradient).argsort(descending=True)[:tries]].tolist()
    hits = {word: int((logits_of(model, inserted(rows, word, limit)).argmax(-1) == target).sum()) for word in liked}
    return sorted(liked, key=lambda word: -hits[word])


def grind(
    keys: Iterable[Key], pool: Sequence[str], labels: int, kind: str, score: Callable[[Triggers], float]
) -> tuple[Key, float]:
    """Of many keys the one whose derived triggers score best: all that a claimant can do who holds no marked model.

    Raises:
        SpikeportError: no key.
    """
    scored = [(score(draw_triggers(key, pool, labels, kind=kind)), number, key) for number, key in enumerate(keys)]
    if not scored:
        raise SpikeportError("key search: 0 keys to try; give some")
    best = max(scored, key=lambda one: (one[0], -one[1]))
    return best[2], best[0]
