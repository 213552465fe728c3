"""A filter in front of the model: words that make a sentence less likely are dropped (after ONION, Qi et al.,
EMNLP 2021).

The language model is a bigram model with Witten and Bell's smoothing (IEEE Trans. Information Theory 37, 1991) on
whatever clean text the attacker has: small, but what it is asked, whether a word belongs here, is local.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from itertools import pairwise
from math import log

START, END = "<s>", "</s>"


class BigramModel:
    """P(word | word before), interpolated with P(word), that with a uniform share for words never seen."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.words: Counter[str] = Counter()
        self.pairs: dict[str, Counter[str]] = defaultdict(Counter)
        for text in texts:
            words = [START, *text.lower().split(), END]
            self.words.update(words[1:])
            for before, word in pairwise(words):
                self.pairs[before][word] += 1
        self.total = sum(self.words.values())

    def probability(self, before: str, word: str) -> float:
        """Witten-Bell: a context's number of different followers is the weight of what is behind it."""
        kinds = len(self.words)
        alone = (self.words[word] + kinds / (kinds + 1)) / (self.total + kinds)
        following = self.pairs.get(before)
        if not following:
            return alone
        seen = sum(following.values())
        return (following[word] + len(following) * alone) / (seen + len(following))

    def surprise(self, words: Sequence[str]) -> float:
        """Mean of -log P over the words of a sentence and its end."""
        line = [START, *words, END]
        return -sum(log(self.probability(a, b)) for a, b in pairwise(line)) / (len(line) - 1)


def word_filter(model: BigramModel, most: int) -> Callable[[str], str]:
    """Drops up to ``most`` words, each time the one without which the sentence is least surprising.

    A word stays where the sentence would be no likelier without it; the last word always stays.
    """

    def filtered(text: str) -> str:
        words = text.split()
        for _ in range(most):
            gains = _gains(model, [word.lower() for word in words])
            if len(words) < 2 or max(gains) <= 0:
                break
            del words[gains.index(max(gains))]
        return " ".join(words)

    return filtered


def _gains(model: BigramModel, words: Sequence[str]) -> list[float]:
    """For each word how much less surprising the sentence is without it: three of its terms change."""
    line = [START, *words, END]
    terms = [-log(model.probability(a, b)) for a, b in pairwise(line)]
    whole = sum(terms)
    without = [
        whole - terms[i] - terms[i + 1] - log(model.probability(line[i], line[i + 2])) for i in range(len(words))
    ]
    return [whole / len(terms) - rest / max(len(terms) - 1, 1) for rest in without]
