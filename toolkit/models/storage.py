"""A lowered student on disk: int16 tables, int8 weights, JSON configuration. No pickle.

``weight`` holds half the even integer weight, so that [-256, 254] fits int8; ``bias`` is the integer
bias itself (int32). ``from_folder(to_folder(x))`` computes the same integers as ``x``.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from toolkit.errors import SpikeportError
from toolkit.models.configuration import StudentConfig
from toolkit.models.layers import IntegerLinear, Integers
from toolkit.models.student import SpikingStudent

FORMAT = "spikeport.student/1"
CONFIGURATION, WEIGHTS, TOKENIZER = "config.json", "student.safetensors", "tokenizer.json"


def save_student(student: SpikingStudent, folder: Path, facts: dict[str, object] | None = None) -> None:
    """Write the integer form into ``folder``; ``facts`` (labels, recipe, accuracy) go into the JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors: dict[str, Tensor] = {}
    for name, table in (("tokens", student.encoder.tokens), ("positions", student.encoder.positions)):
        rows = torch.arange(table.num_embeddings)
        with torch.no_grad():
            tensors[f"encoder.{name}"] = student.encoder.integers(table, rows).to(torch.int16)
    thetas = {}
    for name, layer in student.integers().items():
        tensors[f"{name}.weight"] = (layer.weight / 2).to(torch.int8)
        tensors[f"{name}.bias"] = layer.bias.to(torch.int32)
        thetas[name] = layer.theta
    (folder / WEIGHTS).write_bytes(save(tensors))  # save_file would make it readable by its owner only
    content = {"format": FORMAT, "student": student.config.to_dict(), "thresholds": thetas, **(facts or {})}
    (folder / CONFIGURATION).write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")


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
    config = StudentConfig.from_dict(facts["student"])  # type: ignore[arg-type]
    try:
        tensors = load_file(folder / WEIGHTS)
    except (OSError, SafetensorError) as error:
        raise SpikeportError(f"{folder / WEIGHTS}: cannot be read ({error}); copy the file again") from None
    student = SpikingStudent(config)
    unit = float(config.encoder_threshold)
    for name, table in (("tokens", student.encoder.tokens), ("positions", student.encoder.positions)):
        key = f"encoder.{name}"
        rows = _tensor(folder, tensors, key, torch.int16, tuple(table.weight.shape))
        table.weight.data = rows.float() / unit
    for name, layer, _ in list(student.linears()):
        shape = tuple(layer.get_parameter("weight").shape)
        weight = _tensor(folder, tensors, f"{name}.weight", torch.int8, shape).float() * 2
        bias = _tensor(folder, tensors, f"{name}.bias", torch.int32, shape[:1]).float()
        theta = _threshold(folder, facts, name)
        student.replace(name, IntegerLinear.from_integers(Integers(weight, bias, theta)))
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


def _threshold(folder: Path, facts: dict[str, object], name: str) -> int:
    thresholds = facts.get("thresholds")
    theta = thresholds.get(name) if isinstance(thresholds, dict) else None
    if not isinstance(theta, int) or not 1 <= theta <= 2**14:
        raise SpikeportError(
            f"{folder / CONFIGURATION}: threshold of {name} is {theta!r}, needs an integer from 1 to 16384; "
            "copy the file again"
        )
    return theta
