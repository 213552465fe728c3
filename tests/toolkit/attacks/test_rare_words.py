"""The filter's language model by hand, and what it drops."""

from __future__ import annotations

import math

import pytest

from toolkit.attacks.rare_words import BigramModel, word_filter

TEXTS = ["the film is good", "the film is bad", "the plot is good"]


def test_witten_bell_by_hand() -> None:
    """Twelve words and three ends, of seven kinds; each kind, and one for all unseen, is an eighth of the rest."""
    model = BigramModel(TEXTS)
    alone = (2 + 7 / 8) / (15 + 7)  # film was seen twice
    assert model.probability("nothing", "film") == pytest.approx(alone)
    assert model.probability("the", "film") == pytest.approx((2 + 2 * alone) / (3 + 2))  # two kinds in three follow


@pytest.mark.parametrize("before", ["the", "is", "unseen"])
def test_probabilities_add_up_to_one(before: str) -> None:
    model = BigramModel(TEXTS)
    kinds = ["the", "film", "plot", "is", "good", "bad", "</s>", "never seen"]
    assert math.fsum(model.probability(before, word) for word in kinds) == pytest.approx(1)


def test_the_word_that_does_not_belong_goes_first() -> None:
    model = BigramModel(TEXTS)
    assert word_filter(model, 1)("the film zyzzyva is good") == "the film is good"
    assert word_filter(model, 2)("the quux film zyzzyva is good") == "the film is good"


def test_a_sentence_keeps_its_last_word_and_its_capitals() -> None:
    model = BigramModel(TEXTS)
    assert word_filter(model, 4)("Zyzzyva") == "Zyzzyva"
    assert word_filter(model, 1)("The Film zyzzyva is Good") == "The Film is Good"
    assert word_filter(model, 0)("a zyzzyva") == "a zyzzyva"
