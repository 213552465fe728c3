"""Words of a sentence and their parts of speech, from whichever tagger is installed.

A tagger takes the words of one sentence and gives as many tags. Only equality of tags matters here, so
each tagger keeps its own set. Loaders download nothing: what is missing is named with its command.

========== ======== ==========================================================================
name       language source of the model
========== ======== ==========================================================================
textblob   en       lexicon and rules inside the package (extra ``augment``); what ``auto`` takes
nltk       en       averaged perceptron, where the user has its data
spacy      en       ``en_core_web_sm``, where the user has it; ``spacy:NAME`` for another model
jieba      zh       dictionary inside the package (extra ``augment``); what ``auto`` takes
none       all      no classes, hence no replacement; words are white space (en) or characters (zh)
========== ======== ==========================================================================
"""

from __future__ import annotations

import importlib
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

from toolkit.errors import MissingComponentError, SpikeportError

Tagger = Callable[[list[str]], list[str]]
"""Words of one sentence to one tag each."""

LANGUAGES = ("en", "zh")
INSTALL = "pip install 'spikeport[augment]'"


@dataclass(frozen=True)
class Language:
    """How a sentence falls into words, and what classes these have.

    Attributes:
        split: words of a sentence; joined by ``glue`` they give it back, runs of white space aside.
        glue: what stands between words.
        tag: the tagger, or ``None``: no classes.
    """

    split: Callable[[str], list[str]]
    glue: str
    tag: Tagger | None


def load_language(language: str = "en", tagger: str = "auto") -> Language:
    """Words and tagger of a language.

    Args:
        language: ``en`` (any language that writes spaces between words, with ``none``) or ``zh``.
        tagger: a name of the table above.

    Raises:
        MissingComponentError: the tagger or its model is not installed.
        SpikeportError: the language or the tagger is unknown, or the two do not go together.
    """
    if language not in LANGUAGES:
        raise SpikeportError(
            f"language {language!r}: needs one of {', '.join(LANGUAGES)}; "
            "'en' with tagger 'none' does for any language that writes spaces between words"
        )
    if tagger == "auto":
        tagger = "jieba" if language == "zh" else "textblob"
    kind, _, model = tagger.partition(":")
    if tagger != "none" and (kind not in _LOADERS or (model and kind != "spacy")):
        raise SpikeportError(f"tagger {tagger!r}: needs one of auto, none, {', '.join(_LOADERS)}; choose one of them")
    if tagger != "none" and (kind == "jieba") != (language == "zh"):
        raise SpikeportError(f"tagger {tagger!r}: does not know language {language!r}; choose auto or none")
    tag = None if tagger == "none" else _LOADERS[kind](model)
    if language == "en":
        return Language(str.split, " ", tag)
    return Language(list if tag is None else _jieba_words, "", tag)


def _import(name: str, command: str) -> ModuleType:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # theirs, on import; under -W error they would stop us
            return importlib.import_module(name)
    except ImportError:
        package = name.partition(".")[0]
        raise MissingComponentError(f"tagger {package}: {package} is missing; {command}, or choose none") from None


def _textblob(model: str) -> Tagger:
    parser = _import("textblob.en", INSTALL).parser
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # it leaves the file of its lexicon open
        parser.find_tags(["the"])  # reads the lexicon now
    return lambda words: [tag for _, tag in parser.find_tags(list(words))]


def _nltk(model: str) -> Tagger:
    nltk = _import("nltk", "pip install nltk and python -m nltk.downloader averaged_perceptron_tagger_eng")

    def tag(words: list[str]) -> list[str]:
        return [tag for _, tag in nltk.pos_tag(words)]

    try:
        tag(["the"])
    except LookupError:
        raise MissingComponentError(
            "tagger nltk: its data are missing; python -m nltk.downloader averaged_perceptron_tagger_eng, "
            "or choose textblob"
        ) from None
    return tag


def _spacy(model: str) -> Tagger:
    name = model or "en_core_web_sm"
    spacy = _import("spacy", f"pip install spacy and python -m spacy download {name}")
    try:
        pipeline: Any = spacy.load(name, exclude=["ner", "parser", "lemmatizer"])
    except OSError:
        raise MissingComponentError(
            f"tagger spacy: model {name} is missing; python -m spacy download {name}, or choose textblob"
        ) from None
    return lambda words: [token.tag_ for token in pipeline(spacy.tokens.Doc(pipeline.vocab, words=words))]


def _jieba(model: str) -> Tagger:
    cut = _jieba_module().posseg.cut

    @lru_cache(maxsize=100_000)
    def class_of(word: str) -> str:
        # A word that the tagger cuts again has the class of its last part, its head.
        return [pair.flag for pair in cut(word)][-1] if word else ""

    return lambda words: [class_of(word.strip()) for word in words]


def _jieba_module() -> ModuleType:
    jieba = _import("jieba", INSTALL)
    _import("jieba.posseg", INSTALL)
    if jieba.dt.tmp_dir is None:
        # It unmarshals its cache, and would look for it where anybody may write.
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "spikeport"
        cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        jieba.dt.tmp_dir = str(cache)
        jieba.setLogLevel("ERROR")
    return jieba


def _jieba_words(text: str) -> list[str]:
    words: list[str] = []
    for piece in _jieba_module().cut(text):
        if words and not piece.strip():
            words[-1] += piece  # white space is no word, and belongs to the one before it
        else:
            words.append(piece)
    return words


_LOADERS: dict[str, Callable[[str], Tagger]] = {
    "textblob": _textblob,
    "nltk": _nltk,
    "spacy": _spacy,
    "jieba": _jieba,
}
