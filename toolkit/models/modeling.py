"""The student as a ``transformers`` model: one class for Trainer, Auto classes, pipelines and the Hub.

Importing this module registers it. It reads three kinds of folder: the float form and the integer form in
training, both written by ``save_pretrained`` (float32, bit for bit), and the deployed form written by
``toolkit.models.storage`` (int8).
"""

from __future__ import annotations

import copy
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AutoConfig, AutoModelForSequenceClassification, PreTrainedConfig, PreTrainedModel
from transformers import initialization as init
from transformers.modeling_outputs import SequenceClassifierOutput
from transformers.utils import cached_file
from transformers.utils.generic import can_return_tuple

from toolkit.errors import SpikeportError
from toolkit.models.configuration import AttentionKind, NormKind, PositionKind, StudentConfig
from toolkit.models.layers import IntegerLinear, PlainLinear
from toolkit.models.storage import FORMAT, MAX_THETA, MODEL_TYPE, WEIGHTS, is_theta, load_student
from toolkit.models.strict_loading import load_strictly
from toolkit.models.student import Packing, SpikingStudent

HUB_OPTIONS = ("cache_dir", "force_download", "local_files_only", "proxies", "revision", "subfolder", "token")
HEAD = "student.readout."


class SpikingStudentConfig(PreTrainedConfig):
    """A ``StudentConfig`` (see there for the fields), the class names, and the thresholds of the integer form.

    Attributes:
        thresholds: integer firing threshold of every linear layer by name; ``None`` in the float form.
        facts: free-form provenance, kept as it was read (recipe, seed, accuracy).

    Raises:
        SpikeportError: a value that no student can have.
    """

    model_type = MODEL_TYPE
    attribute_map = {  # noqa: RUF012  # read off the class by transformers
        "vocab_size": "vocabulary",
        "hidden_size": "width",
        "num_hidden_layers": "layers",
        "num_attention_heads": "heads",
        "max_position_embeddings": "tokens",
    }

    vocabulary: int = 30522
    width: int = 128
    layers: int = 2
    heads: int = 4
    expansion: int = 4
    tokens: int = 32
    steps: int = 4
    attention: AttentionKind = "ssa"
    attention_threshold: int = 2
    encoder_threshold: int = 1024
    norm: NormKind = "batch"
    positions: PositionKind = "learned"
    tau: float = 2.0
    segments: int = 1
    window: int = 1
    thresholds: dict[str, int] | None = None
    facts: dict[str, Any] | None = None

    def __post_init__(self, **kwargs: Any) -> None:
        super().__post_init__(**kwargs)
        self.student_config()

    def student_config(self) -> StudentConfig:
        """The configuration of the network itself."""
        names = {field.name for field in fields(StudentConfig)} - {"labels"}
        return StudentConfig(labels=self.num_labels, **{name: getattr(self, name) for name in names})

    @classmethod
    def of(cls, student: StudentConfig, **others: Any) -> SpikingStudentConfig:
        """From a ``StudentConfig``; ``others`` are class names (``id2label``), thresholds, facts."""
        values: dict[str, Any] = {field.name: getattr(student, field.name) for field in fields(student)}
        labels = values.pop("labels")
        if others.get("id2label") is None:
            others["num_labels"] = labels
        return cls(**values, **others)

    @classmethod
    def from_dict(cls, config_dict: dict[str, Any], **kwargs: Any) -> SpikingStudentConfig:
        """From either JSON: the one of ``save_pretrained``, or the one of a deployed folder."""
        if "format" not in config_dict:
            return super().from_dict(config_dict, **kwargs)
        return super().from_dict(_flat(config_dict), **kwargs)


def _flat(content: dict[str, Any]) -> dict[str, Any]:
    """The JSON of a deployed folder as fields of ``SpikingStudentConfig``."""
    sizes, names = content.get("student"), content.get("labels")
    if content["format"] != FORMAT or not isinstance(sizes, dict):
        raise SpikeportError(f"config.json: format {content['format']!r}, this version reads {FORMAT!r}; upgrade")
    student = StudentConfig.from_dict(sizes)
    if not isinstance(names, list) or len(names) != student.labels:
        names = [f"LABEL_{i}" for i in range(student.labels)]
    known = ("format", "student", "labels", "thresholds", "model_type", "architectures")
    values = {name: value for name, value in sizes.items() if name != "labels"}
    return values | {
        "id2label": {i: str(name) for i, name in enumerate(names)},
        "label2id": {str(name): i for i, name in enumerate(names)},
        "thresholds": content.get("thresholds"),
        "architectures": content.get("architectures"),
        "facts": {name: value for name, value in content.items() if name not in known},
    }


class SpikingStudentForSequenceClassification(PreTrainedModel):
    """Spiking text classifier for any number of classes, one sentence or a pair.

    ``student`` is the network; lower it in place with ``to_integer_form(model.student)``.

    Raises:
        SpikeportError: impossible thresholds, or another dtype than float32, in which spikes are not exact.
    """

    config_class = SpikingStudentConfig
    config: SpikingStudentConfig
    main_input_name = "input_ids"
    base_model_prefix = "spikeport_student"  # without one, transformers passes over the first letter of any name

    def __init__(self, config: SpikingStudentConfig) -> None:
        super().__init__(config)
        if (dtype := torch.get_default_dtype()) != torch.float32:
            raise SpikeportError(
                f"dtype {dtype}: the student's currents are exact in float32 only; leave dtype out, and use autocast "
                "to train in mixed precision"
            )
        self.student = SpikingStudent(config.student_config())
        if config.thresholds is not None:
            _to_thresholds(self.student, config.thresholds)
        if not self.student.readout.weight.is_meta:  # a new student keeps the initialisation that it has
            for module in self.student.modules():
                module._is_hf_initialized = True  # type: ignore[assignment]
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """What a checkpoint may leave open: a fresh head, and rows for new tokens."""
        if isinstance(module, PlainLinear | IntegerLinear):
            init.normal_(module.weight, std=module.weight.shape[1] ** -0.5)
            init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):
            init.normal_(module.weight)

    def gradient_checkpointing_enable(self, gradient_checkpointing_kwargs: dict[str, Any] | None = None) -> None:
        """Keep only each block's input for the backward pass; always without reentry, whatever is asked."""
        self.student.gradient_checkpointing = True

    def gradient_checkpointing_disable(self) -> None:
        """Keep everything that the backward pass needs."""
        self.student.gradient_checkpointing = False

    @property
    def is_gradient_checkpointing(self) -> bool:
        """Whether the switch is on."""
        return self.student.gradient_checkpointing

    def get_input_embeddings(self) -> nn.Embedding:
        """The token table, in units of the encoder's threshold."""
        return self.student.encoder.tokens

    def set_input_embeddings(self, value: nn.Embedding) -> None:
        """Another token table; the student's vocabulary is then its number of rows."""
        self.student.encoder.tokens = value
        self.student.config = replace(self.student.config, vocabulary=value.num_embeddings)

    @can_return_tuple  # type: ignore[untyped-decorator]
    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        labels: Tensor | None = None,
        output_hidden_states: bool | None = None,
    ) -> SequenceClassifierOutput:
        """Classify a batch.

        Args:
            input_ids: (B, N) int64; what stands in the padding is never read.
            attention_mask: 1 for a real token, 0 for padding, (B, N); all real where left out.
            token_type_ids: 0 or 1, the sentence of a pair, (B, N) int64; all 0 where left out.
            labels: class of each sentence, (B,) int64; with them comes the cross-entropy loss.
            output_hidden_states: also give the residual after every block, averaged over steps: a tuple of
                (B, N, D), 0 where padded.

        Raises:
            SpikeportError: ids, lengths or segments that the student does not have.
        """
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        self._check_inputs(input_ids, mask != 0, token_type_ids)
        valid = (mask != 0).float()
        segments = token_type_ids if self.student.config.segments > 1 else None
        output = self.student(input_ids, valid, segments=segments)
        loss = None if labels is None else functional.cross_entropy(output.logits, labels)
        hidden = None
        if self.config.output_hidden_states if output_hidden_states is None else output_hidden_states:
            packing = Packing.of(valid)
            hidden = tuple(packing.unpack(features) for features in output.features)
        return SequenceClassifierOutput(loss=loss, logits=output.logits, hidden_states=hidden)

    @torch.no_grad()
    def _check_inputs(self, ids: Tensor, real: Tensor, segments: Tensor | None) -> None:
        config = self.student.config
        for name, value in (("attention_mask", real), ("token_type_ids", segments)):
            if value is not None and value.shape != ids.shape:
                raise SpikeportError(f"{name}: shape {tuple(value.shape)}, input_ids have {tuple(ids.shape)}; pad both")
        if ids.ndim != 2 or not ids.numel():
            raise SpikeportError(f"input_ids: shape {tuple(ids.shape)}, needs (B, N), both at least 1; give a batch")
        slots = torch.arange(1, ids.shape[1] + 1, device=ids.device)
        shown = ids.masked_fill(~real, 0)
        types = torch.zeros_like(ids) if segments is None else segments.masked_fill(~real, 0)
        extremes = [real.sum(1).amin(), (slots * real).amax(), shown.amin(), shown.amax(), types.amin(), types.amax()]
        shortest, last, low, high, first, second = torch.stack(extremes).tolist()  # one wait for the device
        if shortest < 1:
            raise SpikeportError("attention_mask: a sentence has 0 tokens, needs at least 1; leave it out")
        if last > config.tokens:
            raise SpikeportError(
                f"input_ids: a token at position {last}, the student has {config.tokens}; truncate to max_length"
            )
        if low < 0 or high >= config.vocabulary:
            raise SpikeportError(
                f"input_ids: id {low if low < 0 else high} is outside 0 to {config.vocabulary - 1}; "
                "use the tokenizer of this student"
            )
        if first < 0 or second >= config.segments:
            raise SpikeportError(
                f"token_type_ids: segment {first if first < 0 else second}, the student has {config.segments}; "
                "train it with segments = 2, or leave token_type_ids out"
            )

    def save_pretrained(self, save_directory: str | Path, *args: Any, **kwargs: Any) -> Any:
        """As in ``transformers``; the configuration says which form the layers are in."""
        layers = {name: layer for name, layer, _ in self.student.linears()}
        thetas = {name: layer.theta for name, layer in layers.items() if isinstance(layer, IntegerLinear)}
        if thetas and len(thetas) < len(layers):
            left = next(name for name in layers if name not in thetas)
            raise SpikeportError(f"layer {left}: not in integer form as others are; use to_integer_form on the student")
        self.config.thresholds = thetas or None
        return super().save_pretrained(save_directory, *args, **kwargs)

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: Any, *args: Any, **kwargs: Any) -> Any:
        """As in ``transformers``, but strict, and deployed folders too (their integers are kept exactly).

        Raises:
            SpikeportError: a tensor is missing, unexpected or of another shape, or thresholds disagree.
        """
        source = pretrained_model_name_or_path
        if source is not None and (folder := _deployed_folder(source, kwargs)) is not None:
            _take_deployed(folder, kwargs)
            source = None  # transformers takes a state dict instead of a name

        def load(**options: Any) -> Any:
            return super(SpikingStudentForSequenceClassification, cls).from_pretrained(source, *args, **options)

        loaded = load_strictly(load, pretrained_model_name_or_path, head=HEAD, **kwargs)
        model = loaded[0] if isinstance(loaded, tuple) else loaded
        model.name_or_path = str(pretrained_model_name_or_path)
        for name, layer, _ in model.student.linears():
            if isinstance(layer, IntegerLinear) and int(layer.get_buffer("threshold")) != layer.theta:
                raise SpikeportError(
                    f"{pretrained_model_name_or_path}: threshold of {name} is {int(layer.get_buffer('threshold'))}, "
                    f"config.json says {layer.theta}; take both files from the same student"
                )
        return loaded


def _to_thresholds(student: SpikingStudent, thresholds: object) -> None:
    """Integer form with given thresholds, in place; weights are folded as they are."""
    student.config.require_integer_form()
    layers = {name: layer for name, layer, _ in student.linears()}
    if not isinstance(thresholds, dict) or set(thresholds) != set(layers):
        found = thresholds if isinstance(thresholds, dict) else {}
        name = min(set(found) ^ set(layers))
        state = "is missing" if name in layers else "is not one of this student's layers"
        raise SpikeportError(f"thresholds: {name} {state}; take config.json from the same student")
    for name, layer in layers.items():
        theta = thresholds[name]
        if not is_theta(theta):
            raise SpikeportError(
                f"threshold of {name}: {theta!r:.40}, needs an integer from 1 to {MAX_THETA}; correct it"
            )
        weight, bias = layer.folded()  # type: ignore[operator]
        student.replace(name, IntegerLinear(weight, bias, theta))


def _deployed_folder(source: Any, options: dict[str, Any]) -> Path | None:
    """Local folder of a deployed student, fetched where it lies on the Hub; ``None`` for any other source."""
    hub = {name: options[name] for name in HUB_OPTIONS if options.get(name) is not None}
    content, _ = PreTrainedConfig.get_config_dict(source, **hub)
    if "format" not in content:
        return None
    path = cached_file(source, WEIGHTS, _raise_exceptions_for_missing_entries=False, **hub)
    if path is None:
        raise SpikeportError(f"{source}: has no {WEIGHTS}; copy the student folder again")
    return Path(path).parent


def _take_deployed(folder: Path, options: dict[str, Any]) -> None:
    """Put configuration and weights of a deployed folder into the options of ``from_pretrained``."""
    student = load_student(folder)
    if not isinstance(options.get("config"), PreTrainedConfig):
        hub = {name: options.pop(name) for name in HUB_OPTIONS if name in options}
        hub.pop("subfolder", None)
        place = options.pop("config", None) or folder
        config, unused = SpikingStudentConfig.from_pretrained(place, return_unused_kwargs=True, **options)
        options.clear()
        options.update(unused, config=config)
    options["config"] = copy.deepcopy(options["config"])
    options["config"].thresholds = {name: layer.theta for name, layer in student.integers().items()}
    options["state_dict"] = {f"student.{name}": value for name, value in student.state_dict().items()}


AutoConfig.register(MODEL_TYPE, SpikingStudentConfig)
AutoModelForSequenceClassification.register(SpikingStudentConfig, SpikingStudentForSequenceClassification)
