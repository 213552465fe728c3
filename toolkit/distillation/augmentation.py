"""More sentences for stage 2, made from those at hand: the augmentation of Tang et al. 2019.

(Distilling Task-Specific Knowledge from BERT into Simple Neural Networks, section 3.3; SpikeBERT uses it.)
Each variant walks over the words of a sentence once. A word becomes the mask token with probability
``mask``, another word of its part of speech, drawn by its frequency in the training text, with
probability ``replace``, and otherwise stays. Then, with probability ``ngram``, only n successive words
are kept, n being drawn from 1 to ``longest`` (nothing is cut from a sentence of n words or fewer).

A new sentence has no label: only the teacher's answer says what it is. So sentences are all that comes out.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Self

from toolkit.distillation.parts_of_speech import Language, load_language
from toolkit.errors import SpikeportError


@dataclass(frozen=True)
class Rates:
    """How much is changed; the defaults are those of Tang et al., as SpikeBERT uses them.

    Attributes:
        variants: passes over a sentence V; it gives at most V new ones.
        mask, replace: probabilities per word; they exclude each other, so that their sum is at most 1.
        ngram: probability per variant.
        longest: largest n of an n-gram.
    """

    variants: int = 20
    mask: float = 0.1
    replace: float = 0.1
    ngram: float = 0.25
    longest: int = 5

    def __post_init__(self) -> None:
        for name in ("variants", "longest"):
            if getattr(self, name) < 1:
                raise SpikeportError(f"augmentation: {name} is {getattr(self, name)}, needs at least 1; raise it")
        for name, value in (
            ("mask", self.mask),
            ("replace", self.replace),
            ("ngram", self.ngram),
            ("mask + replace", self.mask + self.replace),
        ):
            if not 0 <= value <= 1:
                raise SpikeportError(f"augmentation: {name} is {value}, needs a probability from 0 to 1; correct it")


class Augmenter:
    """Variants of sentences; equal for equal seed, sentence and training text, in whatever process or order.

    Args:
        texts: training text from which replacements are drawn; read once, kept as word counts.
        language: words and parts of speech; without a tagger no word is replaced.
        rates: how much is changed.
        mask_token: what the tokenizer reads as its mask.
        seed: of all draws.

    Raises:
        SpikeportError: the training text holds no word.
    """

    def __init__(
        self,
        texts: Iterable[str],
        language: Language,
        rates: Rates | None = None,
        *,
        mask_token: str = "[MASK]",
        seed: int = 0,
    ) -> None:
        self.language, self.mask_token, self.seed = language, mask_token, seed
        self.rates = rates or Rates()
        self._pools = _pools(texts, language) if language.tag and self.rates.replace else {}

    @classmethod
    def load(
        cls,
        texts: Iterable[str],
        *,
        language: str = "en",
        tagger: str = "auto",
        rates: Rates | None = None,
        mask_token: str = "[MASK]",
        seed: int = 0,
    ) -> Self:
        """The same, with language and tagger by name (see :mod:`toolkit.distillation.parts_of_speech`).

        Raises:
            MissingComponentError: the tagger is not installed.
            SpikeportError: the names are unknown, or the training text holds no word.
        """
        return cls(texts, load_language(language, tagger), rates, mask_token=mask_token, seed=seed)

    def __call__(self, texts: Iterable[str]) -> Iterator[str]:
        """New sentences for all of ``texts``, one sentence's after the other's; nothing is held back."""
        for text in texts:
            yield from self.variants(text)

    def variants(self, text: str) -> list[str]:
        """Distinct variants of one sentence, itself excluded, in the order in which they arose."""
        words = self.language.split(text)
        if not words:
            return []
        # A text seed is hashed by the generator itself (SHA-512), so no process-wide salt enters.
        generator = random.Random(f"{self.seed}:{text}")
        tags = self.language.tag(words) if self.language.tag and self._pools else [""] * len(words)
        made = (self._variant(words, tags, generator) for _ in range(self.rates.variants))
        original = self.language.glue.join(words)
        return [new for new in dict.fromkeys(made) if new != original]

    def _variant(self, words: list[str], tags: list[str], generator: random.Random) -> str:
        new = [self._word(word, tag, generator) for word, tag in zip(words, tags, strict=True)]
        if generator.random() < self.rates.ngram:
            length = generator.randint(1, self.rates.longest)
            if length < len(new):
                start = generator.randrange(len(new) - length + 1)
                new = new[start : start + length]
        return self.language.glue.join(new)

    def _word(self, word: str, tag: str, generator: random.Random) -> str:
        draw = generator.random()
        if draw < self.rates.mask:
            return self.mask_token
        if draw < self.rates.mask + self.rates.replace and tag in self._pools:
            return self._pools[tag].draw(generator)
        return word


@dataclass(frozen=True)
class _Pool:
    """Words of one part of speech, drawn in proportion to their counts."""

    words: list[str]
    cumulative: list[int]

    def draw(self, generator: random.Random) -> str:
        return generator.choices(self.words, cum_weights=self.cumulative)[0]


def _pools(texts: Iterable[str], language: Language) -> dict[str, _Pool]:
    assert language.tag is not None
    counts: dict[str, Counter[str]] = {}
    for text in texts:
        words = language.split(text)
        for word, tag in zip(words, language.tag(words) if words else [], strict=True):
            counts.setdefault(tag, Counter())[word] += 1
    if not counts:
        raise SpikeportError("augmentation: 0 words in the training text, needs at least 1; give it sentences")
    return {tag: _Pool(list(found), list(accumulate(found.values()))) for tag, found in counts.items()}
