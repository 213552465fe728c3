"""Streams: every sentence once, in a repeatable order, divided exactly, with little memory."""

from __future__ import annotations

import gzip
import random
import subprocess
import sys
import tracemalloc
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from toolkit.distillation.streaming import HubSource, TextStream, shuffled, stream_texts
from toolkit.errors import MissingComponentError, SpikeportError

SENTENCES = [f"sentence {i}" for i in range(500)]


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text("\n".join(SENTENCES) + "\n", encoding="utf-8")
    return path


def test_the_kinds_of_file_give_the_same_text(tmp_path: Path) -> None:
    lines = ['he said "no', "naïve café", "line\u2028separator", "中文 句子"]
    text = "\n\n".join(f"  {line} " for line in lines)
    table = "label\ttext\n" + "".join(f"1\t{line}\n" for line in lines) + "\n"
    (tmp_path / "a.txt").write_text(text, encoding="utf-8")
    (tmp_path / "b.txt.gz").write_bytes(gzip.compress(text.encode()))
    (tmp_path / "c.tsv").write_text(table, encoding="utf-8")
    (tmp_path / "d.tsv.gz").write_bytes(gzip.compress(table.encode()))
    for name in ("a.txt", "b.txt.gz", "c.tsv", "d.tsv.gz"):
        assert list(stream_texts([tmp_path / name])) == lines
    assert list(stream_texts([tmp_path])) == 4 * lines


def test_a_folder_leaves_out_what_figures_are_measured_on(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    for name in ("train.txt", "test.txt", "deep/validation.tsv", "deep/dev.txt", "deep/more.txt", "notes.md"):
        (tmp_path / name).write_text(f"text\nof {name}\n")
    assert set(stream_texts([tmp_path])) == {"text", "of train.txt", "of deep/more.txt"}
    assert list(stream_texts([tmp_path / "test.txt"])) == ["text", "of test.txt"]


def test_an_epoch_gives_every_sentence_once_in_its_own_order(corpus: Path) -> None:
    stream = TextStream([corpus], seed=3, buffer=50)
    first, second = list(stream.epoch(0)), list(stream.epoch(1))
    assert sorted(first) == sorted(second) == sorted(SENTENCES)
    assert first not in (SENTENCES, second)
    assert list(TextStream([corpus], seed=3, buffer=50).epoch(1)) == second
    assert list(TextStream([corpus], seed=4, buffer=50).epoch(0)) != first
    stream.set_epoch(1)
    assert list(stream) == second
    assert list(TextStream([corpus], buffer=0).epoch(5)) == SENTENCES


def test_a_sentence_leaves_the_buffer_no_earlier_than_its_size_allows(corpus: Path) -> None:
    for place, text in enumerate(TextStream([corpus], buffer=50).epoch(0)):
        assert SENTENCES.index(text) <= place + 50


def test_a_full_buffer_shuffles_evenly() -> None:
    # The last of 4 must be first in a quarter of the draws: 4000 draws, 5 standard deviations of 27.4.
    firsts = Counter(next(shuffled("abcd", 4, random.Random(i))) for i in range(4000))
    assert all(abs(firsts[c] - 1000) < 137 for c in "abcd")


@given(st.integers(1, 7), st.integers(0, 60), st.integers(0, 3), st.one_of(st.none(), st.integers(10, 200)))
def test_processes_divide_an_epoch_exactly(
    tmp_path_factory: pytest.TempPathFactory, world: int, buffer: int, epoch: int, limit: int | None
) -> None:
    path = tmp_path_factory.getbasetemp() / "divide.txt"
    path.write_text("\n".join(SENTENCES))
    options = {"seed": 1, "buffer": buffer, "limit": limit}
    whole = list(TextStream([path], **options).epoch(epoch))  # type: ignore[arg-type]
    shares = [list(TextStream([path], rank=r, world_size=world, **options).epoch(epoch)) for r in range(world)]  # type: ignore[arg-type]
    assert len(whole) == min(limit or 500, 500) == len(set(whole))
    assert sorted(t for share in shares for t in share) == sorted(whole)
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_workers_of_a_data_loader_divide_an_epoch_too(corpus: Path) -> None:
    loader = DataLoader(TextStream([corpus], world_size=2, rank=1, buffer=0), batch_size=None, num_workers=2)
    assert sorted(loader) == sorted(SENTENCES[1::2])


@pytest.mark.parametrize("skip", [0, 1, 77, 250, 400])
def test_a_skip_resumes_in_an_epoch(corpus: Path, skip: int) -> None:
    options = {"seed": 2, "buffer": 40, "world_size": 2, "rank": 1}
    whole = list(TextStream([corpus], **options).epoch(3))  # type: ignore[arg-type]
    assert list(TextStream([corpus], skip=skip, **options).epoch(3)) == whole[skip:]  # type: ignore[arg-type]


def test_files_come_in_another_order_in_another_epoch(tmp_path: Path) -> None:
    for name in "abcdef":
        (tmp_path / f"{name}.txt").write_text(f"{name}\n")
    stream = TextStream([tmp_path], buffer=1)
    orders = {tuple(stream.epoch(i)) for i in range(20)}
    assert len(orders) > 10 and all(sorted(order) == list("abcdef") for order in orders)


@pytest.mark.parametrize("hash_seed", ["1", "77"])
def test_another_process_gives_the_same_order(corpus: Path, hash_seed: str, repository: Path) -> None:
    code = (
        "from toolkit.distillation.streaming import TextStream\n"
        f"print(*TextStream([{str(corpus)!r}]).epoch(4), sep=';')"
    )
    environment = {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(repository), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.strip().split(";") == list(TextStream([corpus]).epoch(4))


def test_memory_does_not_grow_with_the_corpus(tmp_path: Path) -> None:
    path = tmp_path / "large.txt"
    with path.open("w") as file:
        for i in range(100_000):
            file.write(f"{i} " + 500 * "x" + "\n")
    with path.open("a") as file:
        file.write(1_000_000 * "a word ")
    assert path.stat().st_size > 50e6
    stream = TextStream([path], buffer=1000, max_chars=2000)
    tracemalloc.start()
    characters = sum(len(text) for text in stream)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert characters > 50e6
    assert peak < 3e6  # 1,000 held sentences of 2 kB at most and the file's own buffer; the corpus is 57 MB


@given(st.lists(st.text("ab c\t\n", max_size=80), max_size=8), st.integers(1, 30))
def test_long_lines_come_in_pieces_and_lose_nothing(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], longest: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "long.txt"
    path.write_text("\n".join([*lines, "end"]), encoding="utf-8")
    pieces = list(stream_texts([path], longest))
    assert all(0 < len(piece) <= longest and piece == piece.strip() for piece in pieces)
    assert "".join("".join(pieces).split()) == "".join("".join([*lines, "end"]).split())
    words = [word for line in [*lines, "end"] for word in line.split(" ")]
    if longest > max(map(len, words)) + 1 and not any("\t" in line for line in lines):
        assert " ".join(pieces).split() == " ".join(words).split()  # none is cut in two


def refused(sources: list[str | Path], **options: int) -> str:
    with pytest.raises(SpikeportError) as caught:
        list(TextStream(sources, **options))  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    files = {
        "empty.txt": b"",
        "blank.txt": b"\n  \n\n",
        "latin.txt": b"one\n" + b"caf\xe9\n",
        "cut.txt.gz": gzip.compress(b"a sentence\n" * 1000)[:-30],
        "no.txt.gz": b"not gzip",
        "none.tsv": b"sentence\tlabel\na\t1\n",
        "ragged.tsv": b"text\tlabel\na\t1\nb\n",
        "wide.tsv": b"text\tlabel\n" + 1_200_000 * b"a" + b"\t1\n",
        "table.csv": b"text\n",
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    expected = {
        "empty.txt": "0 sentences, needs at least 1",
        "blank.txt": "0 sentences, needs at least 1",
        "latin.txt": "not UTF-8",
        "cut.txt.gz": "cannot be read",
        "no.txt.gz": "cannot be read",
        "none.tsv": "'text'",
        "ragged.tsv": "line 3: 1 fields",
        "wide.tsv": "line 2",
        "table.csv": "unknown kind",
        "absent.txt": "no such file",
    }
    for name, words in expected.items():
        message = refused([tmp_path / name])
        assert str(tmp_path / name) in message and words in message
    (tmp_path / "hollow").mkdir()
    assert "0 files" in refused([tmp_path / "hollow"])
    assert "0 sources" in refused([])


def test_one_sentence_is_enough_for_one_process_only(tmp_path: Path) -> None:
    path = tmp_path / "one.txt"
    path.write_text("alone")
    assert list(TextStream([path])) == ["alone"]
    for rank in range(2):
        assert "1 sentences, needs at least 2" in refused([path], rank=rank, world_size=2)


@pytest.mark.parametrize(
    "option",
    [{"buffer": -1}, {"skip": -1}, {"limit": 0}, {"world_size": 0}, {"rank": 1}, {"rank": -1}, {"max_chars": 0}],
)
def test_numbers_out_of_range_are_refused(corpus: Path, option: dict[str, int]) -> None:
    assert next(iter(option)) in refused([corpus], **option)


def test_names_of_hub_data_sets() -> None:
    wiki = HubSource.parse("hub:wikimedia/wikipedia:20231101.en:train#text")
    assert (wiki.name, wiki.config, wiki.split, wiki.column) == ("wikimedia/wikipedia", "20231101.en", "train", "text")
    plain = HubSource.parse("hub:owner/name")
    assert (plain.name, plain.config, plain.split, plain.column) == ("owner/name", None, "train", "text")
    assert HubSource.parse("hub:name::test#body") == HubSource("name", None, "test", "body")
    for bad in ("hub:", "hub:#text", "hub:a:b:c:d"):
        with pytest.raises(SpikeportError, match="hub:NAME"):
            TextStream([bad])


def test_a_missing_datasets_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingComponentError, match="pip install"):
        next(iter(TextStream(["hub:owner/name"])))


def test_datasets_streams_a_folder_and_faults_are_told(tmp_path: Path) -> None:
    pytest.importorskip("datasets")
    (tmp_path / "train.jsonl").write_text('{"body": "one\\n\\n two "}\n{"body": null}\n{"body": "three"}\n')
    assert list(TextStream([f"hub:{tmp_path}#body"], buffer=0)) == ["one", "two", "three"]
    assert "'text'" in refused([f"hub:{tmp_path}"]) and "body" in refused([f"hub:{tmp_path}"])
    assert "cannot be streamed" in refused([f"hub:{tmp_path}::test#body"])
    assert "cannot be streamed" in refused([f"hub:{tmp_path / 'absent'}"])
