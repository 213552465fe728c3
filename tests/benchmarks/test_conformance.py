"""The conformance code must see a reader that lies: what it expects here is computed in plain integers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import conformance, conformance_cases
from benchmarks.conformance_results import complaint, folded, has, merged, page, read_entries
from benchmarks.graph_strategy import Drawn, example_of
from benchmarks.local_readers import LOCAL, ONNX, SNNTORCH, STOCK, TORCH, judge_here
from benchmarks.one_reader import Arrays, Row, chunks, judge, write_chunk
from benchmarks.peer_readers import opener, snntorch
from exporters.nir.write import write_graph
from tests.exporters.onnx.integers import expected
from toolkit.backends.snntorch_reader import spiking_modules

FACTS = {
    "form": "sdsa", "tokens": 3, "width": 2, "heads": 1, "labels": 2, "blocks": 1, "window": 2, "threshold": 1,
    "span": (2, 20), "bias": 500, "steps": 2, "samples": 3, "holes": False, "seed": 3,
}  # fmt: skip
Lie = Callable[[Arrays], None]


def write_case(folder: Path, **changes: Any) -> Path:
    """A file with two chunks of three sentences, which hold what plain integers give."""
    case = folder / "tiny.nir"
    for number in range(2):
        drawn = example_of(**(FACTS | changes))
        inputs = drawn.inputs ^ (np.arange(drawn.inputs.shape[2]) == number)[:, None]  # other spikes in each chunk
        logits, layers = expected(drawn.graph, inputs)
        modules = spiking_modules(drawn.graph)
        spikes = {f"spikes/{module}": layers[layer] for module, layer in modules.items()}
        write_chunk(case, number, inputs, {"logits": logits, **spikes})
    write_graph(drawn.graph, case)
    return case


@pytest.fixture
def case(tmp_path: Path) -> Path:
    return write_case(tmp_path)


def layers_of(case: Path) -> list[str]:
    return [name.removeprefix("spikes/") for name in next(chunks(case)) if name.startswith("spikes/")]


def told(case: Path, lie: Lie, at: int = 1) -> Row:
    """The row of a reader that knows what is expected, and lies in its chunk ``at``."""
    served: list[Arrays] = []

    def run(chunk: Arrays, wanted: list[str]) -> Arrays:
        answer = {name.removeprefix("spikes/"): np.array(value) for name, value in chunk.items() if name != "inputs"}
        if len(served) == at:
            lie(answer)
        served.append(chunk)
        return answer

    return judge(case, "liar", "1.0", lambda path: run)


def test_an_honest_reader_has_no_mismatch_and_everything_is_compared(case: Path) -> None:
    row = told(case, lambda answer: None)
    # 2 columns of a bias up to 500, then code, local, q, k, v, attention and o of 2 channels, then logits of 2 labels,
    # over 3 tokens and 2 steps of 6 sentences
    assert row["compared"] == (2 + 7 * 2 + 2) * 3 * 2 * 6
    assert (row["mismatches"], row["error"], row["sentences"], row["loads"], row["runs"]) == (0, None, 6, True, True)
    assert complaint("sdsa", row) is None


@pytest.mark.parametrize("chunk", [0, 1])
def test_one_flipped_spike_in_any_layer_is_a_difference(case: Path, chunk: int) -> None:
    names = layers_of(case)
    assert len(names) == 8
    for name in names:

        def lie(answer: Arrays, name: str = name) -> None:
            answer[name][1, 1, 0, 2] ^= True

        row = told(case, lie, chunk)
        assert row["mismatches"] == 1
        assert row["error"] == f"first in spikes/{name} at sentence {3 * chunk + 1}, step 1, channel 0"
        assert "1 of 648 values differ" in str(complaint("sdsa", row))


def test_one_wrong_logit_is_a_difference(case: Path) -> None:
    def lie(answer: Arrays) -> None:
        answer["logits"][2, 0, 1, 0] += 1

    row = told(case, lie)
    assert row["mismatches"] == 1 and row["error"] == "first in logits at sentence 5, step 0, channel 1"
    assert complaint("sdsa", row)


def test_half_a_spike_is_a_difference(case: Path) -> None:
    def lie(answer: Arrays) -> None:
        name = layers_of(case)[0]
        answer[name] = answer[name].astype(np.float32)
        answer[name][0, 0, 0, 0] /= 2

    assert told(case, lie)["mismatches"] == 1


@pytest.mark.parametrize("gone", [0, -1])
def test_a_missing_layer_is_no_run(case: Path, gone: int) -> None:
    row = told(case, lambda answer: answer.__delitem__(layers_of(case)[gone]))
    assert row["loads"] and not row["runs"] and row["mismatches"] is None
    assert row["error"].startswith(f"LookupError: no layer {layers_of(case)[gone]} among")
    assert "did not run" in str(complaint("sdsa", row))


def test_a_layer_that_numpy_would_stretch_is_no_run(case: Path) -> None:
    row = told(case, lambda answer: answer.update(logits=answer["logits"][:, :1]))
    assert not row["runs"] and "logits has shape (3, 1, 2, 3), expected (3, 2, 2, 3)" in row["error"]


def test_nothing_compared_is_no_run(tmp_path: Path) -> None:
    write_graph(example_of(**FACTS).graph, tmp_path / "alone.nir")
    row = judge(tmp_path / "alone.nir", "idle", "", lambda path: lambda chunk, wanted: {})
    assert not row["runs"] and complaint("sdsa", row)


@pytest.mark.parametrize("form", ["sdsa", "ssa-gates"])
def test_the_readers_here_equal_plain_integers_and_see_one_wrong_value(form: str, tmp_path: Path) -> None:
    """Expected spikes with one flipped: a reader that is compared at all must now differ in one."""
    case = write_case(tmp_path, form=form, heads=1 if form == "sdsa" else 2)

    def rows() -> list[Row]:
        here = [judge_here(case, reader) for reader in (ONNX, STOCK, SNNTORCH)]
        return [*here, judge(case, "snntorch by itself", "", opener(snntorch))]

    for row in rows():
        assert (row["mismatches"], row["error"]) == (0, None) and row["compared"] and row["sentences"] == 6
    chunk = list(chunks(case))[1]
    module = layers_of(case)[-2]
    chunk[f"spikes/{module}"][0, 1, 1, 0] ^= True
    inputs = chunk.pop("inputs")
    write_chunk(case, 1, inputs, chunk)
    for row in rows():
        assert row["mismatches"] == 1 and f"spikes/{module} at sentence 3, step 1" in row["error"]


def test_a_native_node_must_be_refused_by_all_but_torch_and_onnx_runtime(tmp_path: Path) -> None:
    case = write_case(tmp_path, form="ssa-native")
    assert judge_here(case, ONNX)["mismatches"] == 0
    for row in (judge_here(case, STOCK), judge_here(case, SNNTORCH), judge(case, "s", "", opener(snntorch))):
        assert not row["loads"] and complaint("ssa-native", row) is None
    loads = {"case": "x", "reader": "norse from_nir", "loads": True, "runs": False, "mismatches": None, "error": "e"}
    assert "loads a node that it does not know" in str(complaint("ssa-native", loads))
    assert "did not run" in str(complaint("ssa-native", loads | {"reader": ONNX, "loads": False}))


def fake_rows(drawn: Drawn, path: Path, readers: Any) -> list[Row]:
    """A reader that is wrong on every graph over four tokens or more with two labels or more."""
    wrong = drawn.facts["tokens"] >= 4 and drawn.facts["labels"] >= 2
    path.touch()
    return [
        {"case": path.stem, "reader": ONNX, "version": "1", "loads": True, "runs": True, "sentences": 1,
         "compared": 10, "mismatches": int(wrong), "error": "first in logits" if wrong else None, "seconds": 0.0}
    ]  # fmt: skip


def test_a_graph_that_fails_shrinks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conformance_cases, "judge_drawn", fake_rows)
    drawing = conformance_cases.Drawing(tmp_path, LOCAL, complaint)
    drawing.run(100)
    ((case, smallest),) = drawing.failing.items()
    assert "'tokens': 4" in smallest and "'labels': 2" in smallest and "'blocks': 1" in smallest
    assert "1 of 10 values differ" in smallest and "'form': 'sdsa'" in smallest
    assert sum(row["mismatches"] for rows in drawing.rows.values() for row in rows) == 1
    assert drawing.files(case)[-1].stem == "random-smaller"


def test_a_lie_ends_the_command_with_status_1_and_stays_in_the_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["--only", "random", "--graphs", "3", "--readers", ONNX]
    command += ["--out", str(tmp_path / "c.json"), "--doc", str(tmp_path / "c.md")]
    assert conformance.main(command) == 0
    entries = read_entries(tmp_path / "c.json")
    assert sum(entry["cases"] for entry in entries) == 3 and not any(entry["mismatches"] for entry in entries)
    assert conformance.main([*command, "--resume"]) == 0
    lie = {"mismatches": 1, "error": "lie"}
    monkeypatch.setattr(conformance_cases, "judge_drawn", lambda *given: [row | lie for row in fake_rows(*given)])
    assert conformance.main([*command, "--resume"]) == 0  # nothing left to run
    capsys.readouterr()
    assert conformance.main(command) == 1
    assert "values differ, lie; smallest found: example_of(" in capsys.readouterr().err
    assert any(entry["mismatches"] for entry in json.loads((tmp_path / "c.json").read_text()))
    assert "`lie`" in (tmp_path / "c.md").read_text()


def entry(reader: str = "snntorch", file: str = "a", **changes: Any) -> dict[str, Any]:
    row = {
        "case": "tiny", "reader": reader, "version": "1.0", "loads": True, "runs": True, "sentences": 10,
        "compared": 100, "mismatches": 0, "error": None, "seconds": 1.0,
    }  # fmt: skip
    return folded("sdsa", [row | changes], file, "train.tsv")


def test_results_are_kept_until_something_better_or_worse_comes() -> None:
    matrix = merged(merged([], entry(sentences=1000)), entry(TORCH, sentences=7))
    assert [e["sentences"] for e in merged(matrix, entry(sentences=32))] == [7, 1000]  # a shorter run says no more
    assert [e["sentences"] for e in merged(matrix, entry(sentences=32, version="1.1"))] == [7, 32]
    worse = merged(matrix, entry(sentences=32, mismatches=1))
    assert [e["mismatches"] for e in worse] == [0, 1]
    assert [e["sentences"] for e in merged(worse, entry(sentences=32))] == [7, 32]
    assert [e["file_sha256"] for e in merged(matrix, entry(file="b"))] == ["b"]  # of a file that is no more
    assert has(matrix, "sdsa", "snntorch", "a", 1000) and not has(matrix, "sdsa", "snntorch", "a", 1001)
    assert not has(matrix, "sdsa", "snntorch", "b", 1) and not has(worse, "sdsa", "snntorch", "a", 1)
    assert "| shipped student, sdsa | snntorch 1.0 | 1,000 | yes | yes | 100 | 0 |  |" in page(matrix)


def test_more_sentences_than_there_are_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "few.tsv").write_text("text\tlabel\na film\t4\nno film\t0\n", encoding="utf-8")
    assert conformance_cases.texts_of(tmp_path / "few.tsv", 2) == ["a film", "no film"]
    with pytest.raises(ValueError, match=r"sentences 3: few\.tsv has 2; name a longer file"):
        conformance_cases.texts_of(tmp_path / "few.tsv", 3)
