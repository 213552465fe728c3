"""The faithful SpikeBERT against its published equations in float64 numpy, and its loading against damage."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import AutoConfig, AutoModelForSequenceClassification

from toolkit.errors import SpikeportError
from toolkit.models.neuron import lif
from toolkit.models.spikebert import SpikeBertForSequenceClassification
from toolkit.models.spikebert_configuration import SpikeBertConfig
from toolkit.models.spikebert_lowering import refuse_lowering
from toolkit.models.spikebert_neuron import fire, spike

Spikes = dict[str, np.ndarray]


def tiny_config(**changes: object) -> SpikeBertConfig:
    sizes = {"vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4, "max_tokens": 12}
    return SpikeBertConfig(**{**sizes, "num_labels": 3, **changes})


def tiny_model(seed: int = 0, **changes: object) -> SpikeBertForSequenceClassification:
    """Random weights in float64, norms wide enough that every layer both fires and keeps silent."""
    torch.manual_seed(seed)
    config = tiny_config(**changes)
    model = SpikeBertForSequenceClassification(config).double().eval()
    if "attention_scale" not in changes:  # the published 0.125 is for sums over heads of 96 and 128 tokens
        config.attention_scale = 0.55 * config.tau
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm.weight" in name:
                parameter.copy_(config.tau * (0.75 + torch.rand_like(parameter) / 2))
            elif name != "embeddings.weight":
                parameter.copy_(torch.randn_like(parameter) * (0.3 if name.endswith("bias") else 1.0))
    return model


def some_ids(batch: int = 3, tokens: int = 7, seed: int = 1) -> Tensor:
    return torch.randint(1, 40, (batch, tokens), generator=torch.Generator().manual_seed(seed))


# The published equations, in numpy.


def np_lif(current: np.ndarray, theta: float, tau: float) -> np.ndarray:
    v, spikes = np.zeros_like(current[0]), np.zeros_like(current)
    for t in range(len(current)):
        v = v + (current[t] - v) / tau
        spikes[t] = v >= theta
        v = v * (1 - spikes[t])
    return spikes


def np_norm(x: np.ndarray, w: dict[str, np.ndarray], name: str, eps: float) -> np.ndarray:
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + eps) * w[f"{name}.weight"] + w[f"{name}.bias"]


def np_attention(q: np.ndarray, k: np.ndarray, v: np.ndarray, heads: int, keys: np.ndarray) -> np.ndarray:
    """(q k^T) v per head, key positions masked in the map."""
    out = np.zeros_like(q)
    width = q.shape[-1] // heads
    for h in range(heads):
        part = slice(h * width, (h + 1) * width)
        attention_map = np.einsum("tbnd,tbmd->tbnm", q[..., part], k[..., part]) * keys[None, :, None, :]
        out[..., part] = attention_map @ v[..., part]
    return out


def np_spikebert(
    model: SpikeBertForSequenceClassification, ids: Tensor, mask: Tensor
) -> tuple[np.ndarray, list[np.ndarray], Spikes]:
    c = model.config
    w = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    keys = mask.numpy().astype(float) if c.mask_padding else np.ones(ids.shape)
    spikes: Spikes = {}

    def layer(x: np.ndarray, name: str) -> np.ndarray:
        y = np_norm(x @ w[f"{name}.linear.weight"].T + w[f"{name}.linear.bias"], w, f"{name}.norm", c.layer_norm_eps)
        spikes[name] = np_lif(y, c.threshold, c.tau)
        return spikes[name]

    code = (w["embeddings.weight"][ids.numpy()] >= 0).astype(float)
    x = np.stack([code] * c.steps)
    features = []
    for i in range(c.num_hidden_layers):
        q, k, v = (layer(x, f"blocks.{i}.{n}") for n in "qkv")
        a = np_attention(q, k, v, c.num_attention_heads, keys) * c.attention_scale
        spikes[f"blocks.{i}.attention"] = np_lif(a, c.attention_threshold, c.tau)
        x = x + layer(spikes[f"blocks.{i}.attention"], f"blocks.{i}.o")
        x = x + layer(layer(x, f"blocks.{i}.fc1"), f"blocks.{i}.fc2")
        features.append(x.mean(0))
    x = np_norm(x, w, "norm", c.layer_norm_eps)
    pooled = np.stack([(x[:, b] * keys[b, :, None]).sum(1) / keys[b].sum() for b in range(len(ids))], axis=1)
    return (pooled @ w["classifier.weight"].T + w["classifier.bias"]).mean(0), features, spikes


@pytest.mark.parametrize("mask_padding", [False, True])
@pytest.mark.parametrize("attention_threshold", [0.5, 0.25])
@pytest.mark.parametrize("tau", [2.0, 10.0])
@pytest.mark.parametrize("steps", [1, 2, 4, 8])
def test_forward_is_that_of_the_published_equations(
    steps: int, tau: float, attention_threshold: float, mask_padding: bool
) -> None:
    model = tiny_model(steps=steps, tau=tau, attention_threshold=attention_threshold, mask_padding=mask_padding)
    ids, mask = some_ids(), torch.ones(3, 7, dtype=torch.long)
    mask[0, 4:], mask[2, 6:] = 0, 0
    logits, features, spikes = np_spikebert(model, ids, mask)
    with torch.no_grad():
        seen = model(ids, mask, output_hidden_states=True)
    assert all(0.02 < s.mean() < 0.98 for n, s in spikes.items() if "attention" not in n)  # silence tests nothing
    attention = [s for n, s in spikes.items() if "attention" in n]
    assert all(0.01 < s.mean() < 0.99 for s in attention)
    assert len(seen.hidden_states) == len(features) == 2
    for ours, wanted in zip(seen.hidden_states, features, strict=True):
        np.testing.assert_allclose(ours.numpy(), wanted, rtol=0, atol=1e-12)  # sums of spikes over T
    np.testing.assert_allclose(seen.logits.numpy(), logits, rtol=1e-9, atol=1e-9)


def test_every_setting_of_the_neuron_and_the_attention_reaches_the_forward_pass() -> None:
    changes = {"threshold": 0.75, "attention_scale": 0.25, "layer_norm_eps": 0.5, "intermediate_ratio": 3}
    model = tiny_model(surrogate_alpha=3.0, **changes)
    ids = some_ids()
    logits, _, _ = np_spikebert(model, ids, torch.ones_like(ids))
    with torch.no_grad():
        np.testing.assert_allclose(model(ids).logits.numpy(), logits, rtol=1e-9, atol=1e-9)
        for name in ("threshold", "attention_scale"):
            model.config.update({name: changes[name] * 2})
            assert not np.allclose(model(ids).logits.numpy(), logits), name


# Known facts of the published model.


@torch.no_grad()
def test_the_order_of_the_tokens_does_not_matter() -> None:
    model, ids = tiny_model(), some_ids()
    order = torch.tensor([3, 0, 6, 1, 5, 2, 4])
    plain, permuted = (model(i, output_hidden_states=True) for i in (ids, ids[:, order]))
    torch.testing.assert_close(permuted.logits, plain.logits, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(permuted.hidden_states[-1], plain.hidden_states[-1][:, order], rtol=0, atol=1e-12)
    assert not torch.allclose(model(ids + 0 * order + (ids == ids[:, :1])).logits, plain.logits)  # other tokens do


@torch.no_grad()
def test_padding_changes_the_logits_as_published_and_not_when_masked() -> None:
    ids = some_ids(batch=2, tokens=5)
    masks = {n: torch.ones(2, n, dtype=torch.long) for n in (5, 8, 12)}
    padded = {5: ids}
    for n in (8, 12):
        masks[n][:, 5:] = 0
        padded[n] = torch.cat([ids, torch.zeros(2, n - 5, dtype=torch.long)], dim=1)
    published, masked = tiny_model(), tiny_model(mask_padding=True)
    as_published = {n: published(padded[n], masks[n]).logits for n in padded}
    torch.testing.assert_close(published(padded[8]).logits, as_published[8], rtol=0, atol=0)  # the mask is not used
    assert not torch.allclose(as_published[8], as_published[5])
    assert not torch.allclose(as_published[8], as_published[12])
    torch.testing.assert_close(masked(padded[5]).logits, as_published[5], rtol=1e-12, atol=1e-12)
    for n in (8, 12):
        junk = torch.where(masks[n] == 1, padded[n], 17)
        for given in (padded[n], junk):
            torch.testing.assert_close(masked(given, masks[n]).logits, as_published[5], rtol=1e-12, atol=1e-12)


@torch.no_grad()
@pytest.mark.parametrize("saturated", [False, True])
def test_residual_is_an_integer_of_at_most_one_and_two_per_block(saturated: bool) -> None:
    model = tiny_model(num_hidden_layers=3)
    if saturated:  # every neuron fires in every step: the bound is reached
        model.embeddings.weight.fill_(1.0)
        for name, parameter in model.named_parameters():
            if ".norm." in name:
                parameter.fill_(100.0 if name.endswith("bias") else 0.0)
    seen: list[Tensor] = []
    hooks = [b.register_forward_hook(lambda _m, _i, out: seen.append(out)) for b in model.blocks]
    model(some_ids())
    assert len(hooks) == len(seen) == 3
    for depth, x in enumerate(seen, start=1):
        assert x.shape == (4, 3, 7, 16)
        assert torch.equal(x, x.round()) and x.min() >= 0
        assert x.max() == 1 + 2 * depth if saturated else 1 < x.max() <= 1 + 2 * depth


def test_the_published_size_has_the_parameters_of_its_architecture() -> None:
    with torch.device("meta"):
        model = SpikeBertForSequenceClassification(SpikeBertConfig())
    linears = 4 * (768 * 768 + 768) + (768 * 3072 + 3072) + (3072 * 768 + 768)
    norms = 5 * 2 * 768 + 2 * 3072
    wanted = 28996 * 768 + 12 * (linears + norms) + 2 * 768 + (768 * 2 + 2)
    assert sum(p.numel() for p in model.parameters()) == wanted == 107_455_490


def test_initialisation_is_the_published_one() -> None:
    torch.manual_seed(0)
    model = SpikeBertForSequenceClassification(tiny_config(vocab_size=2000, hidden_size=128))
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            assert not parameter.any(), name
        elif "norm" in name:
            assert (parameter == 1).all(), name
        else:
            wanted = 1.0 if name == "embeddings.weight" else 0.02
            assert parameter.std().item() == pytest.approx(wanted, rel=0.1), name
            assert abs(parameter.mean().item()) < 0.1 * wanted, name


def test_nothing_is_random_in_training_mode() -> None:
    model, ids = tiny_model(), some_ids()
    assert torch.equal(model.train()(ids).logits, model.eval()(ids).logits)


# Gradients.


def arctangent_slope(distance: np.ndarray, alpha: float) -> np.ndarray:
    return alpha / 2 / (1 + (np.pi / 2 * alpha * distance) ** 2)


@pytest.mark.parametrize("alpha", [2.0, 5.0])
def test_the_code_fires_at_zero_and_has_the_arctangent_slope(alpha: float) -> None:
    values = [-3.0, -0.4, -1e-40, -0.0, 0.0, 1e-40, 0.3, 2.0]
    x = torch.tensor(values, dtype=torch.float64, requires_grad=True)
    spikes = spike(x, alpha)
    spikes.sum().backward()
    assert spikes.tolist() == [0, 0, 0, 1, 1, 1, 1, 1]
    np.testing.assert_allclose(x.grad.numpy(), arctangent_slope(np.array(values), alpha), rtol=1e-12)


@pytest.mark.parametrize(("theta", "alpha"), [(0.5, 2.0), (0.25, 2.0), (1.0, 3.0), (1.0, 2.0)])
@pytest.mark.parametrize("tau", [2.0, 10.0])
def test_the_neuron_has_the_published_spikes_and_slope_at_any_threshold(theta: float, alpha: float, tau: float) -> None:
    """dL/dI[s] = sum over t >= s of g[t] sigma'(m[t] - theta) (1/tau) (1-1/tau)^(t-s) prod of (1 - spike) between."""
    rng = np.random.default_rng(3)
    current, outer = rng.normal(1.5 * theta * tau / 2, theta * tau, (5, 40)), rng.normal(size=(5, 40))
    spikes, distance, v = np_lif(current, theta, tau), np.zeros_like(current), np.zeros(40)
    for t in range(5):
        membrane = v + (current[t] - v) / tau
        distance[t], v = membrane - theta, membrane * (1 - spikes[t])
    wanted = np.zeros_like(current)
    for s in range(5):
        for t in range(s, 5):
            path = np.prod(1 - spikes[s:t], axis=0) * (1 - 1 / tau) ** (t - s) / tau
            wanted[s] += outer[t] * arctangent_slope(distance[t], alpha) * path
    x = torch.tensor(current, requires_grad=True)
    seen = fire(x, theta, tau, alpha)
    (seen * torch.tensor(outer)).sum().backward()
    assert 0.1 < spikes.mean() < 0.9
    np.testing.assert_array_equal(seen.detach().numpy(), spikes)
    np.testing.assert_allclose(x.grad.numpy(), wanted, rtol=1e-8, atol=1e-12)


def test_an_attention_sum_at_the_threshold_fires() -> None:
    """0.125 times an integer is exact: a sum of 8 takes the membrane to 0.5 at tau = 2."""
    current = torch.tensor([[8.0, 7.0]]) * 0.125
    assert fire(current, 0.5, 2.0, 2.0).tolist() == [[1, 0]]
    assert lif(current, 0.5).tolist() == [[1, 0]]


@pytest.mark.parametrize("mask_padding", [False, True])
def test_gradients_reach_every_parameter(mask_padding: bool) -> None:
    model, ids = tiny_model(mask_padding=mask_padding).train(), some_ids(batch=24, tokens=12)
    with torch.no_grad():  # a key channel that never fires gives its query none: let each depend on the token alone
        for module in model.modules():
            if isinstance(module, torch.nn.Linear) and module is not model.classifier:
                module.weight -= module.weight.mean(dim=1, keepdim=True)
                module.bias.zero_()
    mask = torch.ones_like(ids)
    mask[:, 9:], ids[:, 9:] = 0, 0
    model(ids, mask, labels=torch.arange(24) % 3).loss.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
        if name != "embeddings.weight":
            rows = parameter.grad.reshape(len(parameter), -1).abs().sum(dim=1)
            assert (rows > 0).all(), name
    touched = set(model.embeddings.weight.grad.abs().sum(dim=1).nonzero().flatten().tolist())
    assert touched == set((ids[:, :9] if mask_padding else ids).flatten().tolist())


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_loss_is_the_cross_entropy_of_any_number_of_classes(classes: int) -> None:
    model, ids = tiny_model(num_labels=classes), some_ids(batch=4)
    labels = torch.tensor([0, 1, classes - 1, 0])
    out = model(ids, labels=labels)
    assert out.logits.shape == (4, classes) and out.hidden_states is None
    logits = out.logits.detach().numpy()
    wanted = np.mean(np.log(np.exp(logits).sum(1)) - logits[range(4), labels.numpy()])
    assert out.loss.item() == pytest.approx(wanted, rel=1e-9)


# On disk.


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tiny_model().float().save_pretrained(tmp_path)
    return tmp_path


def damage(folder: Path, **changes: Tensor | None) -> None:
    """Put tensors into the weights file, or with None take them out; dots are written as double underscores."""
    tensors = load_file(folder / "model.safetensors")
    for key, value in changes.items():
        name = key.replace("__", ".")
        if value is None:
            del tensors[name]
        else:
            tensors[name] = value
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def refusal(call: object, *args: object, **kwargs: object) -> str:
    with pytest.raises(SpikeportError) as caught:
        call(*args, **kwargs)  # type: ignore[operator]
    message = str(caught.value)
    assert "\n" not in message and ";" in message
    return message


load = SpikeBertForSequenceClassification.from_pretrained


@torch.no_grad()
def test_a_saved_model_loads_again_bit_for_bit_through_the_auto_classes(tmp_path: Path) -> None:
    model = tiny_model(tau=10.0, steps=3, mask_padding=True, id2label={0: "bad", 1: "so-so", 2: "good"}).float()
    model.save_pretrained(tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == {"config.json", "model.safetensors"}
    again = AutoModelForSequenceClassification.from_pretrained(tmp_path)
    assert type(again) is SpikeBertForSequenceClassification and not again.training
    assert type(again.config) is SpikeBertConfig and again.config.id2label[2] == "good"
    assert (again.config.tau, again.config.steps, again.config.mask_padding) == (10.0, 3, True)
    for name, tensor in model.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor), name
    assert torch.equal(again(some_ids()).logits, model(some_ids()).logits)
    fresh = AutoModelForSequenceClassification.from_config(AutoConfig.from_pretrained(tmp_path))
    assert type(fresh) is SpikeBertForSequenceClassification
    assert again.get_input_embeddings() is again.embeddings


def test_a_damaged_tensor_is_named(folder: Path) -> None:
    damage(folder, blocks__0__q__norm__weight=torch.ones(15))
    assert "blocks.0.q.norm.weight is (15,), the configuration asks for (16,)" in refusal(load, folder)
    damage(folder, blocks__0__q__norm__weight=None)
    assert "'blocks.0.q.norm.weight' is missing (1 such)" in refusal(load, folder)
    damage(folder, blocks__0__q__norm__weight=torch.ones(16), blocks__2__q__norm__weight=torch.ones(16))
    assert "'blocks.2.q.norm.weight' is not part of this model" in refusal(load, folder)
    damage(folder, blocks__2__q__norm__weight=None)
    load(folder)


@pytest.mark.parametrize("auto", [False, True])
@pytest.mark.parametrize(("layers", "words"), [(1, "'blocks.1.fc1.linear.bias' is not"), (4, "is missing (48 such)")])
def test_weights_of_another_depth_are_refused(folder: Path, layers: int, words: str, auto: bool) -> None:
    loader = AutoModelForSequenceClassification.from_pretrained if auto else load
    assert words in refusal(loader, folder, num_hidden_layers=layers)


def test_names_under_a_prefix_are_refused(folder: Path) -> None:
    """What data parallelism writes; and one character, which transformers strips where a model has no prefix."""
    tensors = load_file(folder / "model.safetensors")
    for prefix, step in (("module.", "strip 'module.'"), ("x", "take config.json")):
        save_file({prefix + n: t for n, t in tensors.items()}, folder / "model.safetensors", metadata={"format": "pt"})
        message = refusal(load, folder)
        assert step in message and f"({len(tensors)} such, {len(tensors)} missing)" in message


@torch.no_grad()
def test_a_fresh_head_is_had_by_asking_and_nothing_else_is(folder: Path) -> None:
    five = {"id2label": dict(enumerate("abcde")), "label2id": {c: i for i, c in enumerate("abcde")}}
    assert "pass ignore_mismatched_sizes=True" in refusal(load, folder, **five)
    assert "pass id2label" in refusal(load, folder, num_labels=5, ignore_mismatched_sizes=True)
    model = load(folder, ignore_mismatched_sizes=True, **five)
    assert model.classifier.weight.shape == (5, 16) and not model.classifier.bias.any()
    kept = load(folder)
    assert all(torch.equal(t, model.state_dict()[n]) for n, t in kept.state_dict().items() if "classifier" not in n)
    refused = refusal(load, folder, ignore_mismatched_sizes=True, intermediate_ratio=2)
    assert "fc1" in refused and "weights from the same model" in refused


def test_unreadable_files_are_refused(folder: Path, tmp_path: Path) -> None:
    weights = folder / "model.safetensors"
    content = weights.read_bytes()
    for rest in (content[:-40], b"", content[:4]):
        weights.write_bytes(rest)
        assert str(folder) in refusal(load, folder)
    weights.unlink()
    torch.save({}, folder / "pytorch_model.bin")  # a pickle is not looked at
    assert "cannot be read" in refusal(load, folder)
    assert "pickles are not read" in refusal(load, folder, use_safetensors=False)


def test_the_loading_report_is_given_where_asked_for(folder: Path) -> None:
    model, info = load(folder, output_loading_info=True)
    assert type(model) is SpikeBertForSequenceClassification and not info["missing_keys"]


def test_a_state_dict_is_loaded_strictly_whatever_the_caller_says() -> None:
    model, other = tiny_model(seed=0), tiny_model(seed=5)
    state = other.state_dict()
    before = {n: t.clone() for n, t in model.state_dict().items()}
    partial = {n: t for n, t in state.items() if n != "norm.bias"}
    assert "'norm.bias' is missing" in refusal(model.load_state_dict, partial, strict=False)
    prefixed = {f"module.{n}": t for n, t in state.items()}
    assert "strip 'module.'" in refusal(model.load_state_dict, prefixed, False)
    misshaped = {**state, "norm.bias": torch.zeros(3)}
    assert "norm.bias is (3,)" in refusal(model.load_state_dict, misshaped, strict=False)
    assert all(torch.equal(t, before[n]) for n, t in model.state_dict().items())
    model.load_state_dict(state)
    assert all(torch.equal(t, state[n]) for n, t in model.state_dict().items())


# Bad input.


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("num_hidden_layers", v) for v in (0, -1, 2.0, True, "4", 2**21)),
        *(("steps", 0), ("vocab_size", 0), ("intermediate_ratio", 0), ("max_tokens", 0), ("num_labels", 0)),
        *(("num_labels", "3"), ("teacher_hidden_size", 0), ("hidden_size", 18), ("num_attention_heads", 0)),
        *(("tau", v) for v in (0.5, 0.0, float("nan"), float("inf"), "2")),
        *(("threshold", 0.0), ("attention_threshold", -0.5), ("attention_scale", 0), ("surrogate_alpha", 0.0)),
        *(("layer_norm_eps", 0.0), ("initializer_range", -0.1), ("mask_padding", 1), ("mask_padding", None)),
        *(("id2label", {1: "a", 2: "b"}), ("id2label", ["a", "b", "c"])),
    ],
)
def test_impossible_values_are_refused_by_name(name: str, value: object) -> None:
    changes = {name: value} if name != "id2label" else {name: value, "num_labels": None}
    assert name in refusal(tiny_config, **changes)


def test_a_value_set_later_is_refused_by_the_model(folder: Path) -> None:
    config = tiny_config()
    config.steps = 0
    assert "steps is 0" in refusal(SpikeBertForSequenceClassification, config)
    assert "tau is 0.1" in refusal(load, folder, tau=0.1)


def test_configurations_compare_by_value() -> None:
    assert tiny_config() == tiny_config()
    assert tiny_config() != tiny_config(mask_padding=True)
    assert tiny_config() != tiny_config(attention_threshold=0.25)
    assert tiny_config().feature_size == 16 and tiny_config(teacher_hidden_size=24).feature_size == 24
    assert tiny_config().max_position_embeddings == 12


def test_inputs_that_do_not_fit_are_refused() -> None:
    model = tiny_model(mask_padding=True)
    assert "13 tokens, this model takes at most 12" in refusal(model, some_ids(tokens=13))
    assert "shape (7,)" in refusal(model, some_ids()[0])
    assert "shape (3, 0)" in refusal(model, some_ids()[:, :0])
    assert "input_ids have (3, 7)" in refusal(model, some_ids(), torch.ones(3, 6))
    mask = torch.ones(3, 7)
    mask[1] = 0
    assert "sentence 1 has no token" in refusal(model, some_ids(), mask)


def test_lowering_is_refused_with_the_reason_and_the_way_on_even_without_transformers() -> None:
    for source in ("runs/baseline", tiny_config(name_or_path="runs/baseline")):
        message = refusal(refuse_lowering, source)
        assert message.startswith("runs/baseline: ")
        assert all(word in message for word in ("LayerNorm", "padded", "position", "spikeport distill", "approximate"))
    program = (
        "import sys; sys.modules['transformers'] = None\n"
        "from toolkit.models.spikebert_lowering import refuse_lowering\n"
        "refuse_lowering('there')"
    )
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=False)
    assert re.search(r"SpikeportError: there: a faithful SpikeBERT cannot be lowered", done.stderr)
