"""Labels, probabilities and counts of the simulated chip, against plain numpy."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from scipy.special import softmax

from simulators.activity import Activity, NodeActivity
from tests.toolkit.small_students import STEPS, run_student, word_pieces, write_student
from toolkit.bundle.reader import Bundle, open_bundle
from toolkit.bundle.writer import write_bundle
from toolkit.demo import classify as module
from toolkit.demo.classify import added, classify
from toolkit.demo.cost import per_layer

SHIPPED = Path(module.__file__).parents[1] / "data" / "sentences.tsv"


def shipped(count: int) -> list[str]:
    with SHIPPED.open(encoding="utf-8") as file:
        rows: Iterator[dict[str, str]] = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        return [row["text"] for row in rows][:count]


@pytest.fixture(scope="module")
def bundle(small_bundle: Path) -> Bundle:
    return open_bundle(small_bundle)


def test_sums_labels_and_probabilities_are_numpys(bundle: Bundle, small: Path) -> None:
    texts = shipped(24)
    ids, valid = word_pieces(texts, 8)
    logits, _ = run_student(small, ids, valid)
    sums = logits.sum(axis=(1, 3))
    answer = classify(bundle, texts)
    assert np.array_equal(answer.sums, sums)
    assert np.array_equal(answer.labels, [max(range(2), key=row.__getitem__) for row in sums.tolist()])
    real = sums / (valid.sum(1, keepdims=True) * STEPS * 97)  # 97: threshold of the readout
    np.testing.assert_allclose(answer.probabilities, softmax(real, axis=1), rtol=1e-12)
    assert len(set(answer.labels.tolist())) == 2, "one label only shows little"


def test_a_tie_goes_to_the_lowest_label(tmp_path: Path) -> None:
    weight, bias = np.zeros((4, 16), np.int64), np.array([-2, 6, 6, 4])
    write_student(tmp_path / "student", labels=4, readout=(weight, bias), blocks=1)
    write_bundle(tmp_path / "student", tmp_path / "bundle")
    answer = classify(open_bundle(tmp_path / "bundle"), ["bad", "good"])
    assert answer.labels.tolist() == [1, 1] and (answer.sums[:, 1] == answer.sums[:, 2]).all()
    assert (answer.sums[:, 1] == [6 * 3 * STEPS] * 2).all()  # the bias, once per word piece and step
    assert (answer.probabilities[:, 1] == answer.probabilities[:, 2]).all()


def test_a_readout_of_zeros_answers_the_first_label_at_even_odds(tmp_path: Path) -> None:
    zeros = np.zeros((2, 16), np.int64), np.zeros(2, np.int64)
    write_student(tmp_path / "student", readout=zeros, blocks=1)
    write_bundle(tmp_path / "student", tmp_path / "bundle")
    answer = classify(open_bundle(tmp_path / "bundle"), ["bad"])
    assert answer.labels.tolist() == [0] and answer.probabilities.tolist() == [[0.5, 0.5]]


def test_softmax_survives_large_logits() -> None:
    logits = np.array([[1e6, 1e6 - 1], [-1e6, 1e6], [0.0, 0.0]])
    np.testing.assert_allclose(module.softmax(logits), softmax(logits, axis=1))


def test_counts_do_not_depend_on_chunks(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [*shipped(7), "word " * 50]
    whole = classify(bundle, texts)
    seen: list[tuple[int, int]] = []
    monkeypatch.setattr(module, "CHUNK", 3)
    chunked = classify(bundle, texts, lambda done, of: seen.append((done, of)))
    assert chunked.activity == whole.activity and chunked.activity.samples == 8
    assert np.array_equal(chunked.sums, whole.sums)
    assert chunked.truncated == whole.truncated and chunked.truncated[-1] == (7, 52)
    assert seen == [(3, 8), (6, 8), (8, 8)]


def test_counted_spikes_are_numpys(bundle: Bundle, small: Path) -> None:
    texts = shipped(9)
    ids, valid = word_pieces(texts, 8)
    _, spikes = run_student(small, ids, valid)
    activity = classify(bundle, texts).activity
    counted = {node.name: node.spikes for node in activity.nodes if node.kind == "neuron"}
    for name, expected in spikes.items():
        assert counted[name] == expected.sum(), name
    rates = {row["name"]: row["firing_rate"] for row in per_layer(activity)}
    for name, expected in spikes.items():
        assert rates[name] == pytest.approx(expected.mean())


def node(name: str, first: int) -> NodeActivity:
    """Every count another number."""
    events = ("spikes", "synops", "dense_macs", "updates_active", "updates_idle", "messages", "accumulates", "macs")
    counts = {event: first + i for i, event in enumerate((*events, "bytes"))}
    series = {"spikes": (0, first), "messages": (first, 5)}
    return NodeActivity(name, "neuron", neurons=40, weights=50, synapses=60, per_step=series, **counts)


def test_added_sums_events_and_keeps_sizes() -> None:
    runs = [
        Activity(2, 4, 8, (node("a", 1), node("b", 10)), 30, 100),
        Activity(3, 4, 8, (node("a", 5), node("b", 20)), 7, 20),
        Activity(1, 4, 8, (node("a", 9), node("b", 30)), 0, 3),
    ]
    total = added(runs)
    assert (total.samples, total.steps, total.tokens, total.host_lookups) == (6, 4, 8, 37)
    assert total.input_spikes == 123
    a, b = total.nodes
    assert (a.spikes, a.synops, a.dense_macs, a.updates_active, a.updates_idle) == (15, 18, 21, 24, 27)
    assert (a.messages, a.accumulates, a.macs, a.bytes) == (30, 33, 36, 39)
    assert a.per_step == {"spikes": (0, 15), "messages": (15, 15)}
    assert (b.spikes, b.updates_idle) == (60, 72)
    for kept in (a, b):
        assert (kept.neurons, kept.weights, kept.synapses) == (40, 50, 60)
    assert total.total("spikes") == sum(run.total("spikes") for run in runs)
    assert added(runs[:1]) == runs[0]
