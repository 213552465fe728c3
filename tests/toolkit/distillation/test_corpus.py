"""Corpus files: what the layout allows is read as it stands, everything else is refused in one line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.distillation.corpus import Example, batches, read_examples, read_lines
from toolkit.errors import SpikeportError


def written(folder: Path, content: str | bytes) -> Path:
    path = folder / "data.tsv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_a_good_file_is_read_in_order(tmp_path: Path) -> None:
    path = written(tmp_path, "text\tlabel\na b\t1\n\nc\t0\n")
    assert read_examples(path) == [Example("a b", 1), Example("c", 0)]


@pytest.mark.parametrize(
    "text",
    ['he said " hello', '"quoted"', "it 's ' odd", '""', "a , b ; c", "naïve café", "line\u2028end", "\\t \\n"],
)
def test_quotes_and_other_characters_are_kept(text: str, tmp_path: Path) -> None:
    path = written(tmp_path, f"text\tlabel\n{text}\t1\nnext\t0\n")
    assert read_examples(path) == [Example(text, 1), Example("next", 0)]


def test_columns_come_in_any_order_with_others_between(tmp_path: Path) -> None:
    path = written(tmp_path, "label\tid\ttext\n1\t7\tfine\n0\t8\tbad\n")
    assert read_examples(path) == [Example("fine", 1), Example("bad", 0)]


def test_windows_line_ends_and_a_missing_last_one(tmp_path: Path) -> None:
    path = written(tmp_path, "text\tlabel\r\na\t1\r\nb\t0")
    assert read_examples(path) == [Example("a", 1), Example("b", 0)]


def test_more_labels(tmp_path: Path) -> None:
    path = written(tmp_path, "text\tlabel\na\t4\n")
    assert read_examples(path, labels=5) == [Example("a", 4)]
    with pytest.raises(SpikeportError, match=r"'4'.* 0 to 3"):
        read_examples(path, labels=4)


def test_pairs_of_sentences(tmp_path: Path) -> None:
    path = written(tmp_path, "text\tpair\tlabel\na b\t c \t2\nd\te\t0\n")
    assert read_examples(path, labels=3) == [Example("a b", 2, "c"), Example("d", 0, "e")]
    assert Example("a", 1).pair is None


def test_a_pair_lacking_its_second_sentence_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpikeportError, match=r"line 3: empty sentence"):
        read_examples(written(tmp_path, "text\tpair\tlabel\na\tb\t1\nc\t \t1\n"))
    with pytest.raises(SpikeportError, match=r"line 2: 2 fields, needs 3"):
        read_examples(written(tmp_path, "text\tpair\tlabel\na\t1\n"))


BAD = {
    "no header": ("a good film\t1\n", ["header", "'text'", "'label'"]),
    "header in spaces": ("text label\na\t1\n", ["header"]),
    "header in other case": ("Text\tLabel\na\t1\n", ["header"]),
    "one column": ("text\na\n", ["header"]),
    "empty file": ("", ["header"]),
    "only a header": ("text\tlabel\n", ["0 examples"]),
    "only blank lines": ("text\tlabel\n\n\n", ["0 examples"]),
    "empty sentence": ("text\tlabel\na\t1\n\t1\n", ["line 3", "empty sentence"]),
    "blank sentence": ("text\tlabel\n   \t1\n", ["line 2", "empty sentence"]),
    "label out of range": ("text\tlabel\na\t2\n", ["line 2", "'2'", "0 to 1"]),
    "negative label": ("text\tlabel\na\t-1\n", ["line 2", "'-1'"]),
    "no label": ("text\tlabel\na\t\n", ["line 2", "''"]),
    "label in words": ("text\tlabel\na\tpositive\n", ["line 2", "'positive'"]),
    "fractional label": ("text\tlabel\na\t1.0\n", ["line 2", "'1.0'"]),
    "raised label": ("text\tlabel\na\t²\n", ["line 2"]),
    "endless label": ("text\tlabel\na\t" + "1" * 6000 + "\n", ["line 2"]),
    "no tab": ("text\tlabel\na 1\n", ["line 2", "1 fields", "2"]),
    "two tabs": ("text\tlabel\na\tb\t1\n", ["line 2", "3 fields"]),
    "blank characters": ("text\tlabel\na\t1\n  \n", ["line 3", "1 fields"]),
    "not UTF-8": (b"text\tlabel\ncaf\xe9\t1\n", ["UTF-8"]),
    "a picture": (bytes(range(256)), ["UTF-8"]),
}


@pytest.mark.parametrize("fault", BAD)
def test_a_fault_is_refused_in_one_line(fault: str, tmp_path: Path) -> None:
    content, words = BAD[fault]
    path = written(tmp_path, content)
    with pytest.raises(SpikeportError) as refused:
        read_examples(path)
    message = str(refused.value)
    assert "\n" not in message and str(path) in message
    assert all(word in message for word in words), message


@pytest.mark.parametrize("reader", [read_examples, read_lines])
def test_a_file_that_is_not_there_and_a_folder_are_refused(reader, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    for path in (tmp_path / "absent.tsv", tmp_path):
        with pytest.raises(SpikeportError) as refused:
            reader(path)
        assert "\n" not in str(refused.value)


def test_unlabelled_lines_leave_blank_ones_out(tmp_path: Path) -> None:
    assert read_lines(written(tmp_path, 'one\n\n  \n"two"\n')) == ["one", '"two"']


@given(
    st.lists(st.integers(1, 64), max_size=300),
    st.integers(1, 20),
    st.integers(0, 5),
    st.integers(1, 60),
)
def test_batches_give_every_index_exactly_once(lengths: list[int], size: int, seed: int, window: int) -> None:
    groups = list(batches(lengths, size, seed, window))
    assert sorted(i for group in groups for i in group) == list(range(len(lengths)))
    assert all(1 <= len(group) <= size for group in groups)
    assert list(batches(lengths, size, seed, window)) == groups


def test_batches_hold_similar_lengths_in_fresh_order() -> None:
    lengths = [1 + (7 * i) % 50 for i in range(2000)]
    groups = list(batches(lengths, 20, seed=0))
    padding = sum(max(lengths[i] for i in g) * len(g) for g in groups) / sum(lengths)
    assert padding < 1.1  # in file order it is about 1.9
    assert list(batches(lengths, 20, seed=1)) != groups
    longest = [max(lengths[i] for i in g) for g in groups]
    assert longest != sorted(longest)
