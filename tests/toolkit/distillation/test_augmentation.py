"""Augmentation: its rates, its classes, its n-grams, and that it can be repeated."""

from __future__ import annotations

import json
import math
import random
import subprocess
import sys
import types
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.distillation.augmentation import Augmenter, Rates
from toolkit.distillation.parts_of_speech import Language, load_language
from toolkit.errors import MissingComponentError, SpikeportError

WORDS = [f"w{i}" for i in range(1000)]
CORPUS = [" ".join(WORDS[i : i + 10]) for i in range(0, 1000, 10)]
WHOLE = Rates(ngram=0.0)


def parity(words: list[str]) -> list[str]:
    """Two classes that anybody can check: even and odd numbers."""
    return ["even" if int(word[1:]) % 2 == 0 else "odd" for word in words]


NUMBERS = Language(str.split, " ", parity)


def within(count: int, trials: int, p: float, deviations: float = 5.0) -> bool:
    """Whether a binomial count lies as near its mean as all but one in a million do."""
    return abs(count - trials * p) <= deviations * math.sqrt(trials * p * (1 - p))


def unconditioned(augmenter: Augmenter, draws: int = 40_000) -> Counter[str]:
    """What becomes of one word, drawn on its own; variants show what differs only, and each once."""
    generator = random.Random(5)
    return Counter(augmenter._word("w10", "even", generator) for _ in range(draws))


@pytest.mark.parametrize(("mask", "replace"), [(0.1, 0.1), (0.3, 0.05), (0.0, 0.5), (0.2, 0.0)])
def test_words_change_at_the_given_rates(mask: float, replace: float) -> None:
    augmenter = Augmenter(CORPUS, NUMBERS, Rates(mask=mask, replace=replace, ngram=0.0))
    seen = unconditioned(augmenter)
    total = seen.total()
    assert within(seen["[MASK]"], total, mask)
    # A word is drawn for itself once in the 500 of its class.
    assert within(total - seen["[MASK]"] - seen["w10"], total, replace * 499 / 500)


def test_the_rates_hold_in_whole_sentences() -> None:
    # 30 words: a variant that equals its original, and is left out, comes up once in 800.
    texts = [" ".join(WORDS[i : i + 30]) for i in range(0, 990, 30)]
    augmenter = Augmenter(CORPUS, NUMBERS, Rates(variants=100, ngram=0.0))
    pairs = [
        (a, b)
        for text in texts
        for new in augmenter.variants(text)
        for a, b in zip(text.split(), new.split(), strict=True)
    ]
    assert len(pairs) > 98_000
    assert within(sum(b == "[MASK]" for _, b in pairs), len(pairs), 0.1)
    assert within(sum(b not in (a, "[MASK]") for a, b in pairs), len(pairs), 0.1)


def test_a_replacement_has_the_class_of_the_word() -> None:
    augmenter, replaced = Augmenter(CORPUS, NUMBERS, WHOLE), 0
    for text in CORPUS:
        for new in augmenter.variants(text):
            for a, b in zip(text.split(), new.split(), strict=True):
                assert b == "[MASK]" or parity([a]) == parity([b])
                replaced += b not in (a, "[MASK]")
    assert replaced > 1000


def test_replacements_come_by_their_frequency() -> None:
    texts = ["w2 " * 30 + "w4 " * 10, "w1 w3"]
    augmenter = Augmenter(texts, NUMBERS, Rates(mask=0.0, replace=1.0, ngram=0.0))
    seen = unconditioned(augmenter, 20_000)
    assert set(seen) == {"w2", "w4"} and within(seen["w2"], 20_000, 0.75)


@given(st.integers(1, 40), st.integers(0, 1000), st.integers(1, 8))
def test_an_n_gram_is_a_piece_of_the_sentence(length: int, seed: int, longest: int) -> None:
    words = WORDS[:length]
    rates = Rates(mask=0.0, replace=0.0, ngram=1.0, longest=longest)
    for new in Augmenter(CORPUS, NUMBERS, rates, seed=seed).variants(" ".join(words)):
        piece = new.split()
        assert 1 <= len(piece) <= longest and len(piece) < length
        start = words.index(piece[0])
        assert words[start : start + len(piece)] == piece


def test_n_grams_of_all_lengths_and_places_come_up() -> None:
    rates = Rates(variants=20_000, mask=0.0, replace=0.0, ngram=0.25)
    augmenter = Augmenter(CORPUS, NUMBERS, rates)
    generator = random.Random(1)
    made = [augmenter._variant(WORDS[:20], [""] * 20, generator).split() for _ in range(20_000)]
    lengths = Counter(map(len, made))
    assert set(lengths) == {1, 2, 3, 4, 5, 20}
    assert within(lengths[20], 20_000, 0.75)
    assert all(within(lengths[n], 20_000, 0.05) for n in range(1, 6))
    assert len({piece[0] for piece in made if len(piece) == 5}) == 16
    assert len({piece[0] for piece in made if len(piece) == 1}) == 20


def test_variants_are_distinct_and_new() -> None:
    augmenter = Augmenter(CORPUS, NUMBERS)
    for text in [*CORPUS, "w1", "w1 w2"]:
        variants = augmenter.variants(text)
        assert len(variants) == len(set(variants)) <= 20
        assert text not in variants
    assert Augmenter(CORPUS, NUMBERS, Rates(mask=0.0, replace=0.0, ngram=0.0)).variants("w1 w2") == []
    assert augmenter.variants("  ") == []


def test_sentences_stream_through_without_labels() -> None:
    asked = 0

    def endless() -> Iterator[str]:
        nonlocal asked
        while True:
            asked += 1
            yield CORPUS[asked % 100]

    made = Augmenter(CORPUS, NUMBERS)(endless())
    first = [next(made) for _ in range(100)]
    assert asked < 12  # what was asked for, and no more, was read
    assert all(type(text) is str for text in first)


def test_a_variant_depends_on_seed_and_sentence_alone() -> None:
    one, other = Augmenter(CORPUS, NUMBERS, seed=1), Augmenter(CORPUS, NUMBERS, seed=2)
    assert list(one(CORPUS[:5])) == [new for text in CORPUS[:5] for new in one.variants(text)]
    assert one.variants(CORPUS[3]) == Augmenter(CORPUS, NUMBERS, seed=1).variants(CORPUS[3])
    assert one.variants(CORPUS[3]) != other.variants(CORPUS[3])


@pytest.mark.parametrize("hash_seed", ["1", "123"])
def test_another_process_makes_the_same_variants(hash_seed: str, repository: Path) -> None:
    code = (
        "import json; from toolkit.distillation.augmentation import Augmenter\n"
        "from toolkit.distillation.parts_of_speech import Language\n"
        "texts = [' '.join(f'w{i}' for i in range(n, n + 9)) for n in range(50)]\n"
        "tag = lambda words: [word[-1] for word in words]\n"
        "print(json.dumps(list(Augmenter(texts, Language(str.split, ' ', tag), seed=7)(texts))))"
    )
    environment = {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(repository)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    texts = [" ".join(f"w{i}" for i in range(n, n + 9)) for n in range(50)]
    last_digit = Language(str.split, " ", lambda words: [word[-1] for word in words])
    assert json.loads(done.stdout) == list(Augmenter(texts, last_digit, seed=7)(texts))


def test_without_a_tagger_words_are_masked_and_cut_but_not_replaced() -> None:
    augmenter = Augmenter.load(CORPUS, tagger="none", rates=WHOLE, mask_token="<mask>")
    old = CORPUS[0].split()
    variants = augmenter.variants(CORPUS[0])
    assert variants and all(b in (a, "<mask>") for new in variants for a, b in zip(old, new.split(), strict=True))
    characters = Augmenter.load(["很好看的电影"], language="zh", tagger="none", rates=WHOLE)
    assert all(len(new.replace("[MASK]", "M")) == 6 for new in characters.variants("很好看的电影"))


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"mask": -0.1}, "mask is -0.1"),
        ({"replace": 1.5}, "replace is 1.5"),
        ({"mask": 0.6, "replace": 0.6}, "mask + replace"),
        ({"ngram": math.nan}, "ngram is nan"),
        ({"variants": 0}, "variants is 0"),
        ({"longest": 0}, "longest is 0"),
    ],
)
def test_rates_out_of_range_are_refused(fault: dict[str, float], words: str) -> None:
    with pytest.raises(SpikeportError) as refused:
        Rates(**fault)  # type: ignore[arg-type]
    assert words in str(refused.value) and "\n" not in str(refused.value)


def test_a_training_text_without_words_is_refused() -> None:
    with pytest.raises(SpikeportError, match="0 words"):
        Augmenter(["", " "], NUMBERS)


@pytest.mark.parametrize(
    ("language", "tagger"),
    [("fr", "auto"), ("en", "unknown"), ("en", "jieba"), ("zh", "textblob"), ("zh", "spacy"), ("en", "textblob:x")],
)
def test_names_that_do_not_fit_are_refused(language: str, tagger: str) -> None:
    with pytest.raises(SpikeportError, match=r"needs one of|does not know"):
        load_language(language, tagger)


@pytest.mark.parametrize(
    ("language", "tagger", "package"),
    [("en", "auto", "textblob"), ("en", "nltk", "nltk"), ("en", "spacy", "spacy"), ("zh", "auto", "jieba")],
)
def test_a_missing_tagger_is_named(monkeypatch: pytest.MonkeyPatch, language: str, tagger: str, package: str) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingComponentError, match=f"{package}.*pip install") as missing:
        load_language(language, tagger)
    assert "\n" not in str(missing.value)


@pytest.fixture
def english() -> Language:
    pytest.importorskip("textblob.en")
    return load_language("en")


def test_english_replacements_have_their_part_of_speech(english: Language) -> None:
    from textblob.en import parser

    texts = ["the quick brown fox jumps over a lazy dog .", "she slowly read an old book in the garden ."]
    augmenter = Augmenter(texts, english, Rates(mask=0.0, replace=0.5, ngram=0.0))
    # A word's class depends on its sentence: which words of the training text had it anywhere?
    classes: dict[str, set[str]] = {}
    for text in texts:
        for word, tag in parser.find_tags(text.split()):
            classes.setdefault(tag, set()).add(word)
    changed = 0
    for text in texts:
        for new in augmenter.variants(text):
            for (old, tag), word in zip(parser.find_tags(text.split()), new.split(), strict=True):
                assert word in classes[tag]
                changed += word != old
    assert changed > 50


def test_english_classes_are_those_of_a_grammar(english: Language) -> None:
    assert english.tag is not None
    tags = english.tag(["she", "reads", "a", "very", "old", "book", "about", "3", "cats"])
    assert tags == ["PRP", "VBZ", "DT", "RB", "JJ", "NN", "IN", "CD", "NNS"]
    assert len(english.tag(["a/b", "[MASK]", '"', "isn't", "//"])) == 5


def test_chinese_words_and_classes() -> None:
    pytest.importorskip("jieba", exc_type=ImportError)
    chinese = load_language("zh")
    assert chinese.tag is not None
    text = "酒店 的 iPhone 4 房间很漂亮"
    words = chinese.split(text)
    assert "".join(words) == text and len(words) < len(text) and all(word.strip() for word in words)
    assert chinese.tag(["酒店", "漂亮", "我们", "喜欢"]) == ["n", "a", "r", "v"]
    augmenter = Augmenter([text, "服务很热情"], chinese, Rates(mask=0.2, replace=0.3, ngram=0.0))
    assert any("[MASK]" in new for new in augmenter.variants(text))


def test_nltk_without_its_data_says_how_to_get_them(monkeypatch: pytest.MonkeyPatch) -> None:
    def pos_tag(words: list[str]) -> list[tuple[str, str]]:
        raise LookupError("no data")

    module = types.ModuleType("nltk")
    module.pos_tag = pos_tag  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "nltk", module)
    with pytest.raises(MissingComponentError, match=r"nltk\.downloader"):
        load_language("en", "nltk")
