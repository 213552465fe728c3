"""The transformers model: what it saves comes back bit for bit, and nothing is drawn at random in silence."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

pytest.importorskip("transformers")

from transformers import AutoConfig, AutoModelForSequenceClassification

from tests.toolkit.models.tiny import (
    expected_run,
    float_student,
    integer_student,
    padded,
    some_sentences,
    tiny_config,
)
from toolkit import students
from toolkit.errors import SpikeportError
from toolkit.lowering.fold_norms import to_integer_form
from toolkit.models.modeling import SpikingStudentConfig, SpikingStudentForSequenceClassification
from toolkit.models.storage import load_student, save_student
from toolkit.models.student import SpikingStudent, integer_logits

Model = SpikingStudentForSequenceClassification
NAMES = {0: "bad", 1: "middling", 2: "good"}


def wrap(student: SpikingStudent) -> Model:
    model = Model(SpikingStudentConfig.of(student.config, id2label=NAMES))
    model.student = student
    return model


def batch(tokens: int = 8, seed: int = 0) -> dict[str, torch.Tensor]:
    ids, valid = padded(some_sentences(10, seed=seed), tokens)
    return {"input_ids": torch.tensor(ids), "attention_mask": torch.tensor(valid).long()}


def forms() -> dict[str, SpikingStudent]:
    latent = integer_student("sdsa")
    with torch.no_grad():  # latent weights of stage 3 lie between the integers
        for _, layer, _ in latent.linears():
            layer.weight.add_(torch.randn_like(layer.weight) * 1e-3)  # type: ignore[operator, arg-type]
    return {
        "float": float_student("ssa"),
        "layer norm": float_student("ssa", norm="layer", tau=3.0, steps=6, positions="none", segments=2),
        "integer": latent,
    }


@pytest.mark.parametrize("form", ["float", "layer norm", "integer"])
@pytest.mark.parametrize("loader", [Model, AutoModelForSequenceClassification])
def test_what_is_saved_comes_back_bit_for_bit(form: str, loader: Any, tmp_path: Path) -> None:
    model = wrap(forms()[form])
    model.save_pretrained(tmp_path)
    loaded = loader.from_pretrained(tmp_path)
    assert type(loaded) is Model and not loaded.training
    assert loaded.student.config == model.student.config and loaded.config.id2label == NAMES
    state, back = model.state_dict(), loaded.state_dict()
    assert list(state) == list(back)
    for name, value in state.items():
        assert value.dtype == back[name].dtype and torch.equal(value, back[name]), name
    assert {n: x.theta for n, x, _ in loaded.student.linears()} == {n: x.theta for n, x, _ in model.student.linears()}
    assert not list(tmp_path.glob("*.bin")) and (tmp_path / "model.safetensors").is_file()


@pytest.mark.parametrize("form", ["float", "integer"])
def test_training_resumes_exactly(form: str, tmp_path: Path) -> None:
    model = wrap(forms()[form])
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            module.momentum = 0.1  # tiny's own is another, and no part of a checkpoint
    model.save_pretrained(tmp_path)
    after = []
    for one in (model, Model.from_pretrained(tmp_path)):
        optimiser = torch.optim.AdamW(one.train().parameters(), lr=1e-3)
        for seed in range(3):
            labels = torch.arange(10) % 3
            one(**batch(seed=seed), labels=labels).loss.backward()
            optimiser.step()
            optimiser.zero_grad()
        after.append(one.state_dict())
    for name, value in after[0].items():
        assert torch.equal(value, after[1][name]), name
    assert not torch.equal(after[0]["student.readout.weight"], load_file(tmp_path / "model.safetensors")[
        "student.readout.weight"
    ])  # fmt: skip


@pytest.mark.parametrize("folder", [students.MARKED, students.UNMARKED_SDSA])
def test_a_shipped_folder_opens_and_gives_the_same_integers(folder: Path) -> None:
    model, student = AutoModelForSequenceClassification.from_pretrained(folder), load_student(folder)
    ids, mask = torch.randint(30522, (4, 12)), torch.ones(4, 12)
    with torch.no_grad():
        seen, wanted = integer_logits(model.student(ids, mask)), integer_logits(student(ids, mask))
    assert torch.equal(seen, wanted) and wanted.any()
    for name, layer in student.integers().items():
        assert torch.equal(model.student.integers()[name].weight, layer.weight), name
    assert AutoConfig.from_pretrained(folder).label2id == {"negative": 0, "positive": 1}


def test_a_deployed_folder_gives_what_plain_integers_give(tmp_path: Path) -> None:
    student, sentences = integer_student("ssa"), some_sentences(10)
    save_student(student, tmp_path / "deployed", {"labels": list(NAMES.values()), "seed": 7})
    model = Model.from_pretrained(tmp_path / "deployed")
    assert model.config.id2label == NAMES and model.config.facts == {"seed": 7}
    logits, _ = expected_run(student, sentences, 8, columns=1)
    ids, valid = padded(sentences, 8)
    for one in (model, _saved_again(model, tmp_path / "again")):
        with torch.no_grad():
            seen = integer_logits(one.student(torch.tensor(ids), torch.tensor(valid).float()))
        np.testing.assert_array_equal(seen, logits.sum(axis=(1, 3)))


def _saved_again(model: Model, folder: Path) -> Model:
    model.save_pretrained(folder)
    return Model.from_pretrained(folder)


def test_a_folder_written_before_the_auto_classes_opens_too(tmp_path: Path) -> None:
    save_student(integer_student("ssa"), tmp_path)
    content = json.loads((tmp_path / "config.json").read_text())
    del content["model_type"], content["architectures"]
    (tmp_path / "config.json").write_text(json.dumps(content))
    assert len(Model.from_pretrained(tmp_path).student.integers()) == 13


def test_lowering_in_place_is_noticed_when_saved(tmp_path: Path) -> None:
    model = wrap(float_student("ssa"))
    to_integer_form(model.student)
    model.save_pretrained(tmp_path)
    seen, wanted = Model.from_pretrained(tmp_path).student.integers(), model.student.integers()
    assert set(seen) == set(wanted) and len(wanted) == 13
    for name, layer in wanted.items():
        assert torch.equal(seen[name].weight, layer.weight) and seen[name].theta == layer.theta


def test_a_new_model_has_the_students_own_initialisation() -> None:
    torch.manual_seed(3)
    model = Model(SpikingStudentConfig.of(tiny_config("ssa")))
    torch.manual_seed(3)
    for name, value in SpikingStudent(tiny_config("ssa")).state_dict().items():
        assert torch.equal(model.state_dict()[f"student.{name}"], value), name


def edit(name: str, change: Callable[[torch.Tensor], dict[str, torch.Tensor]]) -> Callable[[Path], None]:
    def act(folder: Path) -> None:
        tensors = load_file(folder / "model.safetensors")
        tensors |= change(tensors.pop(name))
        save_file(tensors, folder / "model.safetensors", {"format": "pt"})

    return act


def edit_json(**changes: Any) -> Callable[[Path], None]:
    def act(folder: Path) -> None:
        content = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**content, **changes}))

    return act


WEIGHT, MEAN = "student.blocks.0.fc1.weight", "student.blocks.1.q.norm.running_mean"
FLOAT_DAMAGE: dict[str, tuple[Callable[[Path], None], str]] = {
    "a missing weight": (edit(WEIGHT, lambda t: {}), WEIGHT),
    "a missing statistic": (edit(MEAN, lambda t: {}), MEAN),
    "a renamed weight": (edit(WEIGHT, lambda t: {f"module.{WEIGHT}": t}), WEIGHT),
    "a letter before a name": (edit(WEIGHT, lambda t: {f"x{WEIGHT}": t}), WEIGHT),
    "a strange tensor": (edit(WEIGHT, lambda t: {WEIGHT: t, "student.extra": t.clone()}), "student.extra"),
    "a transposed weight": (edit(WEIGHT, lambda t: {WEIGHT: t.T.contiguous()}), WEIGHT),
    "a head of other size": (edit("student.readout.bias", lambda t: {"student.readout.bias": t[:2]}), "readout.bias"),
    "fewer blocks asked for": (edit_json(layers=1), "blocks.1"),
    "more blocks asked for": (edit_json(layers=3), "blocks.2"),
    "a segment table asked for": (edit_json(segments=2), "encoder.segments"),
    "an impossible value": (edit_json(heads=3), "heads 3"),
    "a textual value": (edit_json(width="16"), "width"),
    "no weights": (lambda folder: (folder / "model.safetensors").unlink(), "cannot be read"),
    "garbage weights": (
        lambda folder: (folder / "model.safetensors").write_bytes(b"x" * 99) and None,
        "cannot be read",
    ),
}
INTEGER_DAMAGE: dict[str, tuple[Callable[[Path], None], str]] = {
    "no thresholds": (edit_json(thresholds=None), "bias"),
    "a threshold too few": (edit_json(thresholds={"readout": 5}), "block0.fc1"),
    "a threshold of zero": (edit_json(thresholds=dict.fromkeys(integer_student("ssa").integers(), 0)), "0"),
    "other thresholds": (edit_json(thresholds=dict.fromkeys(integer_student("ssa").integers(), 9)), "9"),
    "layer norm asked for": (edit_json(norm="layer"), "'layer'"),
}


@pytest.mark.parametrize("damage", [*FLOAT_DAMAGE, *INTEGER_DAMAGE])
def test_damage_is_refused_in_one_line(damage: str, tmp_path: Path) -> None:
    act, word = (FLOAT_DAMAGE | INTEGER_DAMAGE)[damage]
    wrap(float_student("ssa") if damage in FLOAT_DAMAGE else integer_student("ssa")).save_pretrained(tmp_path)
    act(tmp_path)
    with pytest.raises(SpikeportError) as refused:
        AutoModelForSequenceClassification.from_pretrained(tmp_path)
    assert "\n" not in str(refused.value) and word in str(refused.value), str(refused.value)


def test_a_fresh_head_is_given_to_who_asks_for_it_and_nothing_else_changes(tmp_path: Path) -> None:
    model = wrap(float_student("ssa"))
    model.save_pretrained(tmp_path)
    with pytest.raises(SpikeportError, match="ignore_mismatched_sizes"):
        Model.from_pretrained(tmp_path, num_labels=5)
    loaded = Model.from_pretrained(tmp_path, num_labels=5, ignore_mismatched_sizes=True)
    assert loaded.student.readout.weight.shape == (5, 16)
    assert 0.1 < float(loaded.student.readout.weight.detach().std()) < 0.5 and not loaded.student.readout.bias.any()
    for name, value in model.state_dict().items():
        assert "readout" in name or torch.equal(loaded.state_dict()[name], value), name
    edit(WEIGHT, lambda t: {WEIGHT: t.T.contiguous()})(tmp_path)
    with pytest.raises(SpikeportError, match="fc1"):
        Model.from_pretrained(tmp_path, ignore_mismatched_sizes=True)


def test_another_dtype_is_refused(tmp_path: Path) -> None:
    wrap(float_student("ssa")).save_pretrained(tmp_path)
    with pytest.raises(SpikeportError, match="bfloat16"):
        Model.from_pretrained(tmp_path, dtype=torch.bfloat16)


def test_hidden_states_are_zero_on_padding_and_the_blocks_features_elsewhere() -> None:
    model, inputs = wrap(integer_student("ssa")), batch()
    real = inputs["attention_mask"].bool()
    with torch.no_grad():
        output = model(**inputs, output_hidden_states=True)
        spikes = model.student(inputs["input_ids"], real.float(), record=True).spikes
    assert len(output.hidden_states) == 2 and model(**inputs).hidden_states is None
    residual = spikes["code"]
    for i, hidden in enumerate(output.hidden_states):
        assert hidden.shape == (10, 8, 16) and not hidden[~real].any() and hidden[real].any()
        residual = residual + spikes[f"block{i}.o"] + spikes[f"block{i}.fc2"]
        torch.testing.assert_close(hidden, residual.mean(0))


def test_logits_do_not_depend_on_padding_nor_on_what_stands_in_it() -> None:
    model, inputs = wrap(integer_student("sdsa")), batch()
    wide = {name: torch.nn.functional.pad(value, (0, 5)) for name, value in inputs.items()}
    wide["input_ids"][wide["attention_mask"] == 0] = 10**6
    with torch.no_grad():
        assert torch.equal(model(**inputs).logits, model(**wide).logits)


def test_five_classes_with_their_cross_entropy() -> None:
    torch.manual_seed(0)
    model = Model(SpikingStudentConfig(vocabulary=50, width=16, heads=2, tokens=8, num_labels=5))
    labels = torch.tensor([0, 1, 2, 3, 4, 0, 1, 2, 3, 4])
    output = model(**batch(), labels=labels)
    assert output.logits.shape == (10, 5) and len(model.config.id2label) == 5
    z = output.logits.detach().double().numpy()
    wanted = np.mean([np.log(np.exp(row).sum()) - row[label] for row, label in zip(z, labels, strict=True)])
    assert float(output.loss.detach()) == pytest.approx(wanted, rel=1e-5)
    assert model(**batch(), labels=labels, return_dict=False)[1].shape == (10, 5)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"input_ids": torch.full((1, 3), 50)}, "id 50"),
        ({"input_ids": torch.full((1, 3), -1)}, "id -1"),
        ({"input_ids": torch.ones(1, 9, dtype=torch.int64)}, "position 9"),
        ({"attention_mask": torch.zeros(1, 3)}, "0 tokens"),
        ({"attention_mask": torch.ones(1, 4)}, "attention_mask"),
        ({"token_type_ids": torch.ones(1, 3, dtype=torch.int64)}, "segment 1"),
    ],
)
def test_inputs_that_the_student_does_not_have_are_refused(changes: dict[str, torch.Tensor], word: str) -> None:
    with pytest.raises(SpikeportError, match=word):
        wrap(integer_student("ssa"))(**({"input_ids": torch.ones(1, 3, dtype=torch.int64)} | changes))


def test_token_types_reach_the_segment_table() -> None:
    model, inputs = wrap(float_student("ssa", segments=2)), batch()
    model.student.encoder.segments.weight.data.normal_(std=2.0)
    types = (torch.arange(8) >= 3).long().expand(10, 8)
    with torch.no_grad():
        seen = model(**inputs, token_type_ids=types).logits
        wanted = model.student(inputs["input_ids"], inputs["attention_mask"].float(), segments=types).logits
        assert torch.equal(seen, wanted) and not torch.equal(seen, model(**inputs).logits)


def test_the_token_table_can_grow(tmp_path: Path) -> None:
    model = wrap(float_student("ssa"))
    before = model.get_input_embeddings().weight.detach().clone()
    model.resize_token_embeddings(57, mean_resizing=False)
    assert torch.equal(model.get_input_embeddings().weight[:50], before)
    assert _saved_again(model, tmp_path).student.config.vocabulary == 57


def test_a_config_survives_a_copy_and_a_round_trip(tmp_path: Path) -> None:
    config = SpikingStudentConfig.of(tiny_config("sdsa", tau=3.0, norm="layer"), id2label=NAMES)
    config.save_pretrained(tmp_path)
    for other in (copy.deepcopy(config), AutoConfig.from_pretrained(tmp_path)):
        assert other.student_config() == config.student_config() and other.id2label == NAMES
    assert (config.hidden_size, config.num_hidden_layers, config.vocab_size) == (16, 2, 50)


def test_the_switch_of_transformers_is_the_students_own() -> None:
    model = SpikingStudentForSequenceClassification(SpikingStudentConfig(vocabulary=40, width=16, layers=1, heads=2))
    assert not model.is_gradient_checkpointing
    model.gradient_checkpointing_enable()
    assert model.student.gradient_checkpointing and model.is_gradient_checkpointing
    model.gradient_checkpointing_disable()
    assert not model.student.gradient_checkpointing
