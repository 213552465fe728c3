"""A small vocabulary, carriers and clean classifiers for the watermark tests, all built here."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import pytest


def _word(index: int) -> str:
    """A distinct word of 7 letters for every index below 26**4."""
    letters = [chr(97 + index // 26**place % 26) for place in range(4)]
    return "zor" + "".join(letters)


@pytest.fixture(scope="session")
def vocabulary() -> dict[str, int]:
    """300 tokens: 200 frequent ones, then a rare third of 60 words and 40 that the rule leaves out."""
    frequent = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        *(f"common{chr(97 + i // 26)}{chr(97 + i % 26)}" for i in range(196)),
    ]
    odd = ["##ness", "four", "thirteenchars", "Capital", "naïveté", "abc123", "it's", "##zorab"]
    odd += [f"x{index}" for index in range(32)]
    rare = [token for pair in zip([_word(i) for i in range(40)], odd, strict=True) for token in pair]
    rare += [_word(i) for i in range(40, 60)]
    return {token: number for number, token in enumerate([*frequent, *rare])}


@pytest.fixture(scope="session")
def carriers() -> list[tuple[str, int]]:
    """400 texts of 3 to 22 words, labels 0 and 1 in turn."""
    return [(f"carrier {index} " + " ".join(["filler"] * (1 + index % 20)), index % 2) for index in range(400)]


@dataclass
class HashedClassifier:
    """A clean random binary classifier: label 1 with the given rate, a fixed function of name and text.

    ``marked`` words always call ``target``. ``calls`` counts the batches, ``asked`` the texts.
    """

    name: str
    rate: float = 0.5
    marked: tuple[str, ...] = ()
    target: int = 1
    calls: int = 0
    asked: list[str] = field(default_factory=list)

    def labels(self, texts: list[str]) -> list[int]:
        self.calls += 1
        self.asked.extend(texts)
        return [self._label(text) for text in texts]

    def _label(self, text: str) -> int:
        if any(word in self.marked for word in text.split()):
            return self.target
        block = hashlib.blake2b(f"{self.name}\0{text}".encode(), digest_size=8).digest()
        return int(int.from_bytes(block, "big") / 2**64 < self.rate)


@pytest.fixture(scope="session")
def classifier() -> type[HashedClassifier]:
    """The class of clean random classifiers."""
    return HashedClassifier
