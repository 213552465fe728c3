"""Recorded spikes written, read by stock libraries and by our reader, and damaged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from simulators import simulate
from simulators.errors import RecordError
from simulators.record import read_record, write_record
from tests.simulators.small_student import graph_of, random_inputs, random_student, run_numpy


def random_record(seed: int, **shapes: tuple[int, int, int, int]) -> dict[str, NDArray[np.bool_]]:
    rng = np.random.default_rng(seed)
    return {name: rng.random(shape) < 0.3 for name, shape in shapes.items()}


def same(a: dict[str, NDArray[np.bool_]], b: dict[str, NDArray[np.bool_]]) -> bool:
    return list(a) == list(b) and all(np.array_equal(a[name], b[name]) and b[name].dtype == bool for name in a)


def test_npz_gives_back_what_a_run_recorded(tmp_path: Path) -> None:
    s = random_student(np.random.default_rng(1), "ssa", width=5, tokens=3, heads=1)
    inputs, _ = random_inputs(np.random.default_rng(2), s, 3)
    result = simulate(graph_of(s), inputs, record=True, device="cpu")
    write_record(tmp_path / "spikes", result.spikes)
    read = read_record(tmp_path / "spikes")
    expected = run_numpy(s, inputs)[1]
    assert list(read) == list(result.spikes)
    assert same({name: expected[name] for name in read}, read) and read.keys() == expected.keys()


def test_npz_holds_eight_spikes_to_a_byte_in_plain_numpy(tmp_path: Path) -> None:
    """Read with the format's description alone."""
    spikes = random_record(3, a=(2, 3, 4, 5), b=(1, 1, 1, 1), c=(3, 4, 7, 1))
    write_record(tmp_path / "r.npz", spikes)
    with np.load(tmp_path / "r.npz") as file:
        assert str(file["format"]) == "spikeport.spikes/1" and file["names"].tolist() == ["a", "b", "c"]
        for i, x in enumerate(spikes.values()):
            assert file["shapes"][i].tolist() == list(x.shape)
            packed = file[f"layer{i}"]
            assert len(packed) == -(-x.size // 8)
            bits = [int(packed[k // 8]) >> (7 - k % 8) & 1 for k in range(8 * len(packed))]
            assert bits == x.ravel().astype(int).tolist() + [0] * (len(bits) - x.size)


def changed(path: Path, **arrays: NDArray[np.generic] | None) -> None:
    with np.load(path) as file:
        content = {name: file[name] for name in file.files} | arrays
    np.savez(path, **{name: x for name, x in content.items() if x is not None})


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"format": np.array("spikeport.spikes/2")}, "not a record"),
        ({"format": None}, "format"),
        ({"names": np.array(["a", "a"])}, "not one for each layer"),
        ({"names": np.array([1, 2])}, "not one for each layer"),
        ({"names": np.array([{}, 1], dtype=object)}, "allow_pickle"),
        ({"shapes": np.array([[2, 3, 4, 5]])}, "for 2 layers"),
        ({"shapes": np.array([[2, 3, 4, 50], [1, 2, 3, 4]])}, "not its bits"),
        ({"shapes": np.array([[-2, -3, 4, 5], [1, 2, 3, 4]])}, "not its bits"),
        ({"layer1": None}, "layer1"),
        ({"layer1": np.zeros(2, np.uint8)}, "not its bits"),
        ({"layer1": np.zeros(3, np.int8)}, "not its bits"),
        ({"layer0": np.full(16, 255, np.uint8), "shapes": np.array([[1, 1, 1, 125], [1, 2, 3, 4]])}, "behind the last"),
    ],
)
def test_a_damaged_record_is_refused(tmp_path: Path, arrays: dict[str, NDArray[np.generic]], message: str) -> None:
    path = tmp_path / "r.npz"
    write_record(path, random_record(3, a=(2, 3, 4, 5), b=(1, 2, 3, 4)))
    changed(path, **arrays)
    with pytest.raises(RecordError, match=message) as caught:
        read_record(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"spikes", b"PK\x03\x04 cut short"])
def test_a_file_of_another_kind_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "r.npz"
    path.write_bytes(content)
    with pytest.raises(RecordError, match="not a record"):
        read_record(path)
    np.save(tmp_path / "one.npy", np.zeros(3))
    with pytest.raises(RecordError, match="not a record"):
        read_record(tmp_path / "one.npy")


def test_what_is_no_spikes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="record=True"):
        write_record(tmp_path / "r.npz", {})
    for x in (np.zeros((1, 2, 3, 4)), np.zeros((2, 3, 4), bool), np.zeros((0, 2, 3, 4), bool)):
        with pytest.raises(RecordError, match=r"layer a: .* spikes are bool"):
            write_record(tmp_path / "r.npz", {"a": x})
