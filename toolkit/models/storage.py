"""A lowered student on disk: int16 tables, int8 weights, JSON configuration. No pickle.

``weight`` holds half the even integer weight, so that [-256, 254] fits int8; ``bias`` is the integer
bias itself (int32). ``from_folder(to_folder(x))`` computes the same integers as ``x``.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TypeGuard

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from toolkit.errors import SpikeportError
from toolkit.models import spikebert_lowering
from toolkit.models.configuration import StudentConfig
from toolkit.models.encoder import INT16
from toolkit.models.layers import IntegerLinear, Integers
from toolkit.models.student import SpikingStudent

FORMAT = "spikeport.student/1"
CONFIGURATION, WEIGHTS = "config.json", "student.safetensors"
MODEL_TYPE, ARCHITECTURE = "spikeport-student", "SpikingStudentForSequenceClassification"
TRANSFORMERS_NAMES: dict[str, object] = {"model_type": MODEL_TYPE, "architectures": [ARCHITECTURE]}  # for Auto classes
MAX_THETA = 2**14  # up to it, integers / theta * theta are the same integers in float32


def save_student(student: SpikingStudent, folder: Path, facts: dict[str, object] | None = None) -> None:
    """Write the integer form into ``folder``; ``facts`` (labels, recipe, accuracy) go into the JSON.

    Raises:
        SpikeportError: a layer is not in integer form, or the configuration has none.
    """
    student.config.require_integer_form()
    layers = student.integers()
    if missing := [name for name, _, _ in student.linears() if name not in layers]:
        raise SpikeportError(f"layer {missing[0]}: not in integer form; train its stage 3 first (`spikeport distill`)")
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {f"encoder.{name}": table for name, table in student.encoder.int16().items()}
    thetas = {}
    for name, layer in layers.items():
        tensors[f"{name}.weight"] = (layer.weight / 2).to(torch.int8)
        tensors[f"{name}.bias"] = layer.bias.to(torch.int32)
        thetas[name] = layer.theta
    (folder / WEIGHTS).write_bytes(save(tensors))  # save_file would make it readable by its owner only
    content = {
        "format": FORMAT,
        "student": student.config.to_dict(),
        "thresholds": thetas,
        **TRANSFORMERS_NAMES,
        **(facts or {}),
    }
    (folder / CONFIGURATION).write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def check_new(folder: Path) -> None:
    """Refuse a folder in which a student would lie upon other files.

    Raises:
        SpikeportError: it exists and holds something, or is a file.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise SpikeportError(f"{folder}: exists, and a student is never overwritten; name a new folder")


def load_facts(folder: Path) -> dict[str, object]:
    """The JSON of a student folder.

    Raises:
        SpikeportError: the file is missing, no JSON, or of another format.
    """
    path = folder / CONFIGURATION
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SpikeportError(f"{path}: no such file; name a student folder written by spikeport") from None
    except (OSError, ValueError) as error:
        raise SpikeportError(f"{path}: not readable as JSON ({error}); copy the file again") from None
    if isinstance(content, dict) and content.get("model_type") == spikebert_lowering.MODEL_TYPE:
        spikebert_lowering.refuse_lowering(folder)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        found = content.get("format") if isinstance(content, dict) else type(content).__name__
        raise SpikeportError(f"{path}: format {found!r}, this version reads {FORMAT!r}; upgrade spikeport")
    return content


def load_student(folder: Path) -> SpikingStudent:
    """The student in deployed form, in evaluation mode; every name, dtype and shape is checked.

    Raises:
        SpikeportError: a file or tensor is missing, truncated, or not what the configuration asks for.
    """
    facts = load_facts(folder)
    sizes = facts.get("student")
    if not isinstance(sizes, dict):
        raise SpikeportError(f"{folder / CONFIGURATION}: 'student' holds no fields; copy the file again")
    config = StudentConfig.from_dict(sizes)
    config.require_integer_form()
    try:
        tensors = load_file(folder / WEIGHTS)
    except (OSError, SafetensorError) as error:
        raise SpikeportError(f"{folder / WEIGHTS}: cannot be read ({error}); copy the file again") from None
    with torch.device("meta"):  # shapes only: nothing is allocated before the file agrees with them
        student = SpikingStudent(config)
    unit = float(config.encoder_threshold)
    for name, table in student.encoder.tables().items():
        key = f"encoder.{name}"
        rows = _tensor(folder, tensors, key, torch.int16, tuple(table.weight.shape))
        if int(rows.min()) < -INT16:
            raise SpikeportError(
                f"{folder / WEIGHTS}: {key} holds {int(rows.min())}, needs at least {-INT16}; copy the file again"
            )
        table.weight = nn.Parameter(rows.float() / unit)
    for name, layer, _ in list(student.linears()):
        shape = tuple(layer.get_parameter("weight").shape)
        weight = _tensor(folder, tensors, f"{name}.weight", torch.int8, shape)
        bias = _tensor(folder, tensors, f"{name}.bias", torch.int32, shape[:1])
        theta = _threshold(folder, facts, name)
        integers = Integers(weight.float() * 2, bias.float(), theta)
        student.replace(name, _exact(folder, name, integers, bias))
    if tensors:
        raise SpikeportError(f"{folder / WEIGHTS}: tensor {min(tensors)!r} is not part of this student; copy again")
    return student.eval()


def student_hash(folder: Path) -> str:
    """SHA-256 of the weights file, hexadecimal."""
    return hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()


def _tensor(folder: Path, tensors: dict[str, Tensor], key: str, dtype: torch.dtype, shape: tuple[int, ...]) -> Tensor:
    if key not in tensors:
        raise SpikeportError(f"{folder / WEIGHTS}: tensor {key!r} is missing; copy the file again")
    value = tensors.pop(key)
    if value.dtype != dtype or tuple(value.shape) != shape:
        raise SpikeportError(
            f"{folder / WEIGHTS}: {key} is {value.dtype} {tuple(value.shape)}, the configuration asks for "
            f"{dtype} {shape}; take {CONFIGURATION} and {WEIGHTS} from the same student"
        )
    return value


def _exact(folder: Path, name: str, layer: Integers, bias: Tensor) -> IntegerLinear:
    """The layer, refused where rounding would change a bias of the file without a word."""
    module = IntegerLinear.from_integers(layer)
    changed = bias[module.integers().bias.double() != bias.double()]
    if changed.numel():
        raise SpikeportError(
            f"{folder / WEIGHTS}: {name}.bias holds {int(changed[0])}, needs an even integer within 2^22; "
            "quantise again"
        )
    return module


def _threshold(folder: Path, facts: dict[str, object], name: str) -> int:
    thresholds = facts.get("thresholds")
    theta = thresholds.get(name) if isinstance(thresholds, dict) else None
    if not is_theta(theta):
        raise SpikeportError(
            f"{folder / CONFIGURATION}: threshold of {name} is {theta!r}, needs an integer from 1 to {MAX_THETA}; "
            "copy the file again"
        )
    return theta


def is_theta(value: object) -> TypeGuard[int]:
    """Whether a value can be the integer threshold of a layer."""
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MAX_THETA
