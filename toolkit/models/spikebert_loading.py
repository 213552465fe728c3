"""Strict loading: a checkpoint holds a SpikeBERT's tensors, all of them and nothing else, or is refused.

Loading what fits and drawing the rest at random is how a model of half the depth, or one saved under a
``module.`` prefix by several GPUs, becomes an untrained model without a word.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from safetensors import SafetensorError
from torch import nn

from toolkit.errors import SpikeportError

Shape = tuple[int, ...]
PREFIX = "module."


def load_strictly(load: Callable[..., Any], source: Any, *args: Any, **kwargs: Any) -> Any:
    """Call ``load`` (a ``from_pretrained``) and refuse what it would pass over.

    Args:
        load: takes ``source`` and the keywords of ``PreTrainedModel.from_pretrained``.
        source: folder or name of the model.

    Raises:
        SpikeportError: a file cannot be read, or a tensor is missing, unexpected or of another shape.
    """
    fresh_head = bool(kwargs.pop("ignore_mismatched_sizes", False))
    with_info = bool(kwargs.pop("output_loading_info", False))
    if kwargs.pop("use_safetensors", None) is False:
        raise SpikeportError(f"{source}: use_safetensors is False, pickles are not read; save it as safetensors")
    try:
        # transformers would raise many lines on a wrong shape: let it pass, its report holds the names.
        model, info = load(
            source,
            *args,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
            use_safetensors=True,
            **kwargs,
        )
    except (OSError, SafetensorError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise SpikeportError(f"{source}: cannot be read ({reason}); copy the model folder again") from None
    misshaped = {name: (tuple(found), tuple(wanted)) for name, found, wanted in info["mismatched_keys"]}
    if fresh_head:
        misshaped = {name: shapes for name, shapes in misshaped.items() if not name.startswith("classifier.")}
    _refuse(source, info["missing_keys"], info["unexpected_keys"], misshaped)
    return (model, info) if with_info else model


def check_tensors(source: object, found: Mapping[str, Shape], model: nn.Module) -> None:
    """Compare names and shapes of tensors with those of ``model``.

    Raises:
        SpikeportError: a tensor is missing, unexpected or of another shape.
    """
    wanted = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    misshaped = {n: (found[n], wanted[n]) for n in found.keys() & wanted.keys() if found[n] != wanted[n]}
    _refuse(source, wanted.keys() - found.keys(), found.keys() - wanted.keys(), misshaped)


def _refuse(
    source: object,
    missing: Iterable[str],
    unexpected: Iterable[str],
    misshaped: Mapping[str, tuple[Shape, Shape]],
) -> None:
    missing, unexpected = sorted(missing), sorted(unexpected)
    if unexpected:
        step = "take config.json and weights from the same model"
        if unexpected[0].startswith(PREFIX):
            step = f"strip {PREFIX!r} from the names: a run on several GPUs put it there"
        raise SpikeportError(
            f"{source}: tensor {unexpected[0]!r} is not part of this model ({len(unexpected)} such, "
            f"{len(missing)} missing); {step}"
        )
    if missing:
        raise SpikeportError(
            f"{source}: tensor {missing[0]!r} is missing ({len(missing)} such); take config.json and weights from the "
            "same model"
        )
    if misshaped:
        name = min(misshaped)
        found, wanted = misshaped[name]
        head = name.startswith("classifier.")
        step = "for a fresh head, pass ignore_mismatched_sizes=True" if head else "take both from the same model"
        raise SpikeportError(f"{source}: {name} is {found}, the configuration asks for {wanted}; {step}")
