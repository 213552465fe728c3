"""A damaged, foreign or forged bundle is refused in one line of our own, whatever is wrong with it."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from exporters.nir.errors import GraphError
from tests.toolkit.conftest import Command, edit_manifest, resign
from toolkit.bundle.manifest import Manifest
from toolkit.bundle.reader import open_bundle
from toolkit.demo.classify import classify
from toolkit.demo.function import check_golden
from toolkit.errors import SpikeportError

LISTED = ("model.nir", "encoder.safetensors", "tokenizer.json", "golden.npz", "README.md")
OURS = (SpikeportError, GraphError)


def refusal(bundle: Path) -> str:
    """The one-line message with which a bundle is refused."""
    with pytest.raises(OURS) as refused:
        open_bundle(bundle)
    return str(refused.value)


@pytest.mark.parametrize("name", [*LISTED, "manifest.json"])
def test_a_missing_file_is_named(command: Command, spoilt: Path, name: str) -> None:
    (spoilt / name).unlink()
    ended = command("classify", "good", "--bundle", spoilt)
    assert ended.status == 2 and str(spoilt / name) in ended.error


@pytest.mark.parametrize("bundle", ["no/such/folder", "a_file"])
def test_a_missing_bundle_is_named(command: Command, tmp_path: Path, bundle: str) -> None:
    (tmp_path / "a_file").write_text("no folder")
    ended = command("classify", "good", "--bundle", tmp_path / bundle)
    assert ended.status == 2 and str(tmp_path / bundle) in ended.error and "name a bundle folder" in ended.error


@pytest.mark.parametrize("name", LISTED)
@pytest.mark.parametrize("place", [0.0, 0.7])
def test_one_changed_byte_is_refused(command: Command, spoilt: Path, name: str, place: float) -> None:
    data = bytearray((spoilt / name).read_bytes())
    data[int(place * (len(data) - 1))] ^= 1
    (spoilt / name).write_bytes(data)
    ended = command("classify", "good", "--bundle", spoilt)
    assert ended.status == 2 and str(spoilt / name) in ended.error and "was changed" in ended.error


@pytest.mark.parametrize("name", LISTED)
def test_a_truncated_file_is_refused_even_if_the_manifest_agrees(command: Command, spoilt: Path, name: str) -> None:
    size = (spoilt / name).stat().st_size
    (spoilt / name).write_bytes((spoilt / name).read_bytes()[: size // 2])
    ended = command("classify", "good", "--bundle", spoilt)
    assert ended.status == 2 and str(size) in ended.error and str(size // 2) in ended.error
    resign(spoilt, name)
    if name in ("model.nir", "encoder.safetensors", "tokenizer.json"):
        assert str(spoilt / name) in command("classify", "good", "--bundle", spoilt).error
    if name == "golden.npz":
        ended = command("verify", spoilt, "--backend", "simulator", "--samples", 1)
        assert ended.status == 2 and str(spoilt / name) in ended.error


@pytest.mark.parametrize("version", ["2", "17", "9" * 30])
def test_a_newer_format_says_what_it_needs(command: Command, spoilt: Path, version: str) -> None:
    edit_manifest(spoilt, lambda m: m.update(format=f"spikeport.bundle/{version}", invented="later"))
    ended = command("classify", "good", "--bundle", spoilt)
    assert ended.status == 2
    assert f"spikeport.bundle/{version}" in ended.error and "newer spikeport: upgrade" in ended.error


@pytest.mark.parametrize("found", ["spikeport.student/1", "spikeport.bundle/", "spikeport.bundle/one", 1, None])
def test_another_format_is_refused(spoilt: Path, found: object) -> None:
    edit_manifest(spoilt, lambda m: m.update(format=found))
    assert repr(found) in refusal(spoilt)


FIELDS = (
    "student", "student_sha256", "labels", "tokens", "logit_divisor", "bounds", "tokenizer", "files", "facts", "tool"
)  # fmt: skip


def refused_values(bundle: Path, name: str, values: list[object]) -> list[object]:
    """Values of a field that are taken, or refused without naming the field; only the manifest is there."""
    content = json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))
    wrong = []
    for value in values:
        changed = {k: v for k, v in content.items() if k != name} if value is ... else content | {name: value}
        (bundle / "manifest.json").write_text(json.dumps(changed), encoding="utf-8")
        try:
            Manifest.read(bundle)
            wrong.append(value)
        except SpikeportError as error:
            if name not in str(error):
                wrong.append((value, str(error)))
    return wrong


@pytest.mark.parametrize("name", FIELDS)
def test_a_field_that_is_missing_or_of_the_wrong_kind_is_named(spoilt: Path, name: str) -> None:
    values: list[object] = [..., None, 1.5, True, [[]], -1, 0]
    if name not in ("student_sha256", "tool"):  # these are texts
        values += ["", "text", "3"]
    assert refused_values(spoilt, name, values) == []


def test_an_unknown_field_is_named(spoilt: Path) -> None:
    assert refused_values(spoilt, "surprise", [1]) == []


def change(path: str, value: object) -> Callable[[dict[str, Any]], None]:
    """Set a value deep inside the manifest; ``...`` removes it."""

    def apply(manifest: dict[str, Any]) -> None:
        *parents, last = path.split("/")
        where = manifest
        for parent in parents:
            where = where[parent]
        if value is ...:
            del where[last]
        else:
            where[last] = value

    return apply


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("labels", ["one"]),
        ("labels", ["one", 2]),
        ("labels", ["one", "one"]),
        ("tokens", 9),
        ("tokens", 10**12),
        ("student/steps", "4"),
        ("student/steps", 5),
        ("student/steps", 0),
        ("student/width", 0),
        ("student/width", 32),
        ("student/heads", 0),
        ("student/heads", None),
        ("student/vocabulary", "many"),
        ("student/vocabulary", 30521),
        ("student/encoder_threshold", 0.5),
        ("student/encoder_threshold", 0),
        ("student/attention", "softmax"),
        ("student/attention", ["ssa"]),
        ("student/labels", True),
        ("student/tokens", ...),
        ("student/surprise", 1),
        ("files/model.nir", ...),
        ("files/encoder.safetensors", ...),
        ("files/tokenizer.json", ...),
        ("files/golden.npz", ...),
        ("files/model.nir", "abc"),
        ("files/model.nir", {}),
        ("files/model.nir", {"bytes": 1}),
        ("files/model.nir", {"bytes": "1", "sha256": "00"}),
        ("files/model.nir", {"bytes": 1, "sha256": 5}),
        ("files/model.nir", {"bytes": 1, "sha256": "00" * 32}),
    ],
)
def test_a_manifest_that_says_something_else_is_refused(spoilt: Path, path: str, value: object) -> None:
    edit_manifest(spoilt, change(path, value))
    assert refusal(spoilt)


@pytest.mark.parametrize("name", ["../outside", "/etc/hostname", "sub/file", "..", ".", "", "sub\0file"])
def test_file_names_that_leave_the_folder_are_refused_unread(spoilt: Path, name: str) -> None:
    (spoilt.parent / "outside").write_text("x")
    (spoilt / "sub").mkdir()
    (spoilt / "sub" / "file").write_text("x")
    facts = {"bytes": 1, "sha256": "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"}  # of "x"
    edit_manifest(spoilt, lambda m: m["files"].update({name: facts}))
    assert "manifest" in refusal(spoilt)


def test_a_tampered_hash_is_shown_beside_the_one_found(spoilt: Path) -> None:
    edit_manifest(spoilt, lambda m: m["files"]["golden.npz"].update(sha256="0" * 64))
    assert "golden.npz" in refusal(spoilt) and "000000000000..." in refusal(spoilt)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"text"', "\ufeff{}", "[" * 100_000, "{" + '"a":1,' * 9 + "}"])
def test_a_manifest_that_is_no_manifest_is_refused(spoilt: Path, text: str) -> None:
    (spoilt / "manifest.json").write_text(text, encoding="utf-8")
    assert str(spoilt / "manifest.json") in refusal(spoilt)


def test_every_truncation_of_the_manifest_is_refused(spoilt: Path) -> None:
    data = (spoilt / "manifest.json").read_bytes()
    for size in range(0, len(data) - 2, 61):
        (spoilt / "manifest.json").write_bytes(data[:size])
        with pytest.raises(SpikeportError):
            Manifest.read(spoilt)


def foreign(node: nir.NIRNode) -> nir.NIRGraph:
    return nir.NIRGraph(
        nodes={"a_in": nir.Input(np.array([17, 1, 8])), "b_cell": node, "c_out": nir.Output(np.array([17, 1, 8]))},
        edges=[("a_in", "b_cell"), ("b_cell", "c_out")],
        type_check=False,
    )


ONES = np.ones((17, 1, 8))


@pytest.mark.parametrize(
    ("node", "said"),
    [
        (nir.CubaLIF(ONES, ONES, ONES, ONES, ONES), "CubaLIF"),
        (nir.IF(ONES, ONES), "IF"),
        (nir.Affine(np.ones((3, 3)), np.ones(3)), "Affine"),
        (nir.Linear(np.ones((3, 3))), "Linear"),
        (nir.Delay(ONES), "Delay"),
        (nir.Threshold(ONES), "Threshold"),
        (nir.LIF(tau=ONES, r=ONES, v_leak=ONES, v_threshold=ONES), "v_leak"),
        (nir.Conv2d((1, 8), np.ones((17, 17, 1, 3)), 1, 0, 1, 1, np.zeros(17)), "1x1"),
        (nir.Conv2d((1, 8), np.ones((17, 17, 1, 1)), 1, "same", 1, 1, np.zeros(17)), "padding"),
        (nir.SumPool2d(np.array([1, 3]), np.array([1, 1]), np.array([0, 1])), "SumPool2d"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_somebody_elses_graph_is_refused_by_the_name_of_its_node(
    command: Command, spoilt: Path, node: nir.NIRNode, said: str
) -> None:
    nir.write(spoilt / "model.nir", foreign(node))
    resign(spoilt, "model.nir")
    ended = command("classify", "good", "--bundle", spoilt)
    assert ended.status == 2
    assert str(spoilt / "model.nir") in ended.error and "'b_cell'" in ended.error and said in ended.error


def test_a_graph_without_any_weight_or_of_another_size_is_refused(spoilt: Path) -> None:
    size = np.array([17, 1, 8])
    nodes = {"a_in": nir.Input(size), "b_out": nir.Output(size)}
    nir.write(spoilt / "model.nir", nir.NIRGraph(nodes=nodes, edges=[("a_in", "b_out")]))
    resign(spoilt, "model.nir")
    assert "model.nir" in refusal(spoilt)


def test_an_hdf5_file_of_something_else_is_refused(spoilt: Path) -> None:
    with h5py.File(spoilt / "model.nir", "w") as file:
        file["weights"] = np.zeros(3)
    resign(spoilt, "model.nir")
    assert "not a readable NIR file" in refusal(spoilt)


def retable(bundle: Path, **changes: np.ndarray | None) -> None:
    """Replace or remove tables of the encoder, hashes fixed up."""
    path = bundle / "encoder.safetensors"
    tables = {**load_file(path), **changes}
    save_file({name: table for name, table in tables.items() if table is not None}, path)
    resign(bundle, path.name)


@pytest.mark.parametrize(
    "changes",
    [
        {"tokens": None},
        {"positions": None},
        {"tokens": np.zeros((30522, 17), np.int16)},
        {"tokens": np.zeros((30521, 16), np.int16)},
        {"tokens": np.zeros((30522, 16), np.float32)},
        {"positions": np.zeros((8, 15), np.int16)},
        {"positions": np.zeros(16, np.int16)},
        {"positions": np.zeros((8, 16), np.int32)},
        {"positions": np.zeros((0, 16), np.int16)},
    ],
    ids=lambda changes: "-".join(f"{k}-{getattr(v, 'shape', v)}-{getattr(v, 'dtype', '')}" for k, v in changes.items()),
)
def test_encoder_tables_of_another_shape_or_type_are_refused(
    spoilt: Path, changes: dict[str, np.ndarray | None]
) -> None:
    retable(spoilt, **changes)
    assert "encoder" in refusal(spoilt)


def test_a_tokenizer_of_a_larger_vocabulary_is_refused(spoilt: Path) -> None:
    from tokenizers import AddedToken, Tokenizer

    tokenizer = Tokenizer.from_file(str(spoilt / "tokenizer.json"))
    tokenizer.add_tokens([AddedToken("spikeport")])
    tokenizer.save(str(spoilt / "tokenizer.json"))
    resign(spoilt, "tokenizer.json")
    assert "30523" in refusal(spoilt) and "30522" in refusal(spoilt)


def test_a_tokenizer_that_is_none_is_refused(spoilt: Path) -> None:
    (spoilt / "tokenizer.json").write_text("{}")
    resign(spoilt, "tokenizer.json")
    assert "not a tokenizer" in refusal(spoilt)


def test_a_forged_weight_is_found_by_the_golden_traces(command: Command, spoilt: Path) -> None:
    with h5py.File(spoilt / "model.nir", "r+") as file:
        names = sorted(name for name in file["node/nodes"] if name.endswith("_block0.q.weight"))
        weight = file[f"node/nodes/{names[0]}/weight"]
        weight[...] = -weight[...]
    resign(spoilt, "model.nir")
    ended = command("verify", spoilt, "--backend", "simulator", "--samples", 1)
    assert ended.status == 2 and "golden traces differ" in ended.error and "'layer': 'block0.q'" in ended.error


@pytest.mark.parametrize("part", ["logits", "spikes/block0.fc2", "spikes/code", "shape/code", "sentences"])
def test_forged_golden_traces_are_found(spoilt: Path, part: str) -> None:
    path = spoilt / "golden.npz"
    with np.load(path) as data:
        arrays = copy.deepcopy(dict(data))
    if part == "sentences":
        arrays[part] = arrays[part][::-1]
    elif part == "shape/code":
        arrays[part] = arrays[part] * 10**6
    else:
        arrays[part].flat[0] ^= 1 << 6
    np.savez_compressed(path, **arrays)
    resign(spoilt, "golden.npz")
    with pytest.raises(SpikeportError, match="golden"):
        check_golden(open_bundle(spoilt))


@pytest.mark.parametrize("missing", ["logits", "inputs", "sentences", "shape/code"])
def test_golden_traces_that_lack_a_part_are_refused(spoilt: Path, missing: str) -> None:
    path = spoilt / "golden.npz"
    with np.load(path) as data:
        np.savez_compressed(path, **{k: v for k, v in dict(data).items() if k != missing})
    resign(spoilt, "golden.npz")
    with pytest.raises(SpikeportError, match=r"golden\.npz"):
        open_bundle(spoilt).golden()


def test_pickled_objects_in_golden_traces_are_never_loaded(spoilt: Path) -> None:
    np.savez(spoilt / "golden.npz", sentences=np.array([{"an": "object"}], dtype=object))
    resign(spoilt, "golden.npz")
    with pytest.raises(SpikeportError, match=r"golden\.npz"):
        open_bundle(spoilt).golden()


def test_an_untouched_copy_opens(spoilt: Path) -> None:
    """The counterpart of all refusals above: re-signing alone damages nothing."""
    resign(spoilt, *LISTED)
    edit_manifest(spoilt, lambda m: m["facts"].update(json.loads('{"note": [1, 2]}')))
    bundle = open_bundle(spoilt)
    check_golden(bundle)
    assert classify(bundle, ["good"]).labels.shape == (1,)
