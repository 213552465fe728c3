"""The host encoder against the tokenizers library's truncation and against its equation in fractions."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.toolkit.small_students import word_pieces
from toolkit.bundle.encoder import HostEncoder, spike_code
from toolkit.errors import SpikeportError

SENTENCES = [
    "bad",
    "a gripping , funny film with a generous heart , and more words than eight slots can hold",
    'naïve "quotes" — and an unbelievably-hyphenated wonder',
    "日本語 🎬 \u200b zero-width",
    "[SEP] [MASK] literally typed",
    "  spaces   and\ttabs  ",
    "antidisestablishmentarianism floccinaucinihilipilification",
    "word " * 10_000,
]


def encoder(bundle: Path, slots: int) -> HostEncoder:
    return HostEncoder.open(bundle, theta=1024, steps=4, slots=slots)


@pytest.mark.parametrize("slots", [2, 3, 8])
def test_ids_are_those_of_the_tokenizers_librarys_own_truncation(small_bundle: Path, slots: int) -> None:
    ids, valid = word_pieces(SENTENCES, slots)
    batch = encoder(small_bundle, slots).encode(SENTENCES)
    assert np.array_equal(batch.ids, ids) and np.array_equal(batch.valid, valid)


def test_what_is_cut_is_said_with_its_full_length_and_keeps_its_closing_token(small_bundle: Path) -> None:
    from tokenizers import Tokenizer

    plain = Tokenizer.from_file(str(small_bundle / "tokenizer.json"))
    plain.no_truncation()
    plain.no_padding()
    lengths = [len(plain.encode(text).ids) for text in SENTENCES]
    batch = encoder(small_bundle, 8).encode(SENTENCES)
    assert batch.truncated == tuple((i, n) for i, n in enumerate(lengths) if n > 8)
    assert lengths[-1] == 10_002
    closing = plain.token_to_id("[SEP]")
    assert all(batch.ids[i, 7] == closing for i, _ in batch.truncated)


def test_a_tokenizer_file_with_its_own_truncation_and_padding_changes_nothing(spoilt: Path) -> None:
    from tokenizers import Tokenizer

    before = encoder(spoilt, 8).encode(SENTENCES)
    path = str(spoilt / "tokenizer.json")
    tokenizer = Tokenizer.from_file(path)
    tokenizer.enable_truncation(4)
    tokenizer.enable_padding(length=6)
    tokenizer.save(path)
    after = encoder(spoilt, 8).encode(SENTENCES)
    assert np.array_equal(before.ids, after.ids) and before.truncated == after.truncated


def test_spikes_do_not_depend_on_padding_or_on_the_rest_of_the_batch(small_bundle: Path) -> None:
    short = ["bad", "i liked it"]
    reference = encoder(small_bundle, 8).encode(short)
    used = reference.valid.any(0).sum()
    for slots in (8, 16, 64):
        batch = encoder(small_bundle, slots).encode(short)
        assert np.array_equal(batch.spikes[..., :used], reference.spikes[..., :used])
        assert not batch.spikes[..., used:].any()
    together = encoder(small_bundle, 8).encode([SENTENCES[1], *short])
    assert np.array_equal(together.spikes[1:], reference.spikes)


def test_a_padded_token_has_neither_code_nor_valid_spike(small_bundle: Path) -> None:
    batch = encoder(small_bundle, 8).encode(["bad", SENTENCES[1]])
    silent = ~np.broadcast_to(batch.valid[:, None, None], batch.spikes.shape)
    assert silent.any() and not batch.spikes[silent].any()
    assert np.array_equal(batch.spikes[:, :, -1], np.broadcast_to(batch.valid[:, None], (2, 4, 8)))


@given(
    current=st.lists(st.integers(-(2**15), 2**15 - 1), min_size=2, max_size=2),
    theta=st.integers(1, 2**14),
    steps=st.integers(1, 4),
)
def test_the_code_is_v_half_plus_i_half_in_fractions(current: list[int], theta: int, steps: int) -> None:
    token, position = current
    membrane, expected = Fraction(0), []
    for _ in range(steps):
        membrane = (membrane + token + position) / 2
        expected.append(membrane >= theta)
        membrane = Fraction(0) if expected[-1] else membrane
    tables = np.array([[token]], np.int16), np.array([[position]], np.int16)
    spikes = spike_code(*tables, np.zeros((1, 1), np.int64), theta, steps)
    assert spikes.shape == (1, steps, 1, 1) and spikes[0, :, 0, 0].tolist() == expected


@pytest.mark.parametrize("text", ["", " ", "\t\n", "\u00a0\u3000"])
def test_an_empty_sentence_is_refused(small_bundle: Path, text: str) -> None:
    with pytest.raises(SpikeportError, match="needs at least 1"):
        encoder(small_bundle, 8).encode(["fine", text])


def test_bytes_that_were_no_text_are_refused(small_bundle: Path) -> None:
    """An argument that is not UTF-8 reaches Python as lone surrogates."""
    with pytest.raises(SpikeportError, match="UTF-8"):
        encoder(small_bundle, 8).encode([b"caf\xe9".decode("utf-8", "surrogateescape")])
