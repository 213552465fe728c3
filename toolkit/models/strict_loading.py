"""Strict loading: a checkpoint holds a model's tensors, all of them and nothing else, or is refused.

``transformers`` warns of a missing tensor and draws it at random: so a damaged file, a model of half the
depth, or one saved under a ``module.`` prefix by several GPUs, becomes an untrained model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from safetensors import SafetensorError
from torch import nn

from toolkit.errors import SpikeportError

Shape = tuple[int, ...]
PREFIX = "module."


def load_strictly(load: Callable[..., Any], source: object, *, head: str, **kwargs: Any) -> Any:
    """Call ``load``, a ``from_pretrained`` bound to its source, and refuse what it would pass over.

    Args:
        load: takes the keywords of ``PreTrainedModel.from_pretrained``.
        source: name of the checkpoint, for messages.
        head: prefix of the classifier's tensors; a caller who passes ``ignore_mismatched_sizes`` asks for
            a fresh one, the only tensors that may then differ.

    Raises:
        SpikeportError: a file cannot be read, or a tensor is missing, unexpected or of another shape.
    """
    fresh_head = bool(kwargs.pop("ignore_mismatched_sizes", False))
    with_info = bool(kwargs.pop("output_loading_info", False))
    if kwargs.pop("use_safetensors", None) is False:
        raise SpikeportError(f"{source}: use_safetensors is False, pickles are not read; save it as safetensors")
    try:  # on a wrong shape transformers would raise many lines: let it pass, the report holds the names
        model, info = load(ignore_mismatched_sizes=True, output_loading_info=True, use_safetensors=True, **kwargs)
    except (OSError, SafetensorError) as error:
        reason = next(iter(str(error).split("\n")), "") or type(error).__name__
        raise SpikeportError(f"{source}: cannot be read ({reason}); copy the model folder again") from None
    misshaped = {name: (tuple(found), tuple(wanted)) for name, found, wanted in info["mismatched_keys"]}
    if fresh_head:
        misshaped = {name: shapes for name, shapes in misshaped.items() if not name.startswith(head)}
    _refuse(source, sorted(info["missing_keys"]), sorted(info["unexpected_keys"]), misshaped, head)
    return (model, info) if with_info else model


def check_tensors(source: object, found: Mapping[str, Shape], model: nn.Module, *, head: str) -> None:
    """Compare names and shapes of tensors with those of ``model``.

    Raises:
        SpikeportError: a tensor is missing, unexpected or of another shape.
    """
    wanted = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    misshaped = {n: (found[n], wanted[n]) for n in found.keys() & wanted.keys() if found[n] != wanted[n]}
    _refuse(source, sorted(wanted.keys() - found.keys()), sorted(found.keys() - wanted.keys()), misshaped, head)


def _refuse(
    source: object,
    missing: list[str],
    unexpected: list[str],
    misshaped: Mapping[str, tuple[Shape, Shape]],
    head: str,
) -> None:
    step = "take config.json and weights from the same model"
    if unexpected:
        if unexpected[0].startswith(PREFIX):
            step = f"strip {PREFIX!r} from the names: a run on several GPUs put it there"
        raise SpikeportError(
            f"{source}: tensor {unexpected[0]!r} is not part of this model ({len(unexpected)} such, "
            f"{len(missing)} missing); {step}"
        )
    if missing:
        raise SpikeportError(f"{source}: tensor {missing[0]!r} is missing ({len(missing)} such); {step}")
    if misshaped:
        name, (found, wanted) = min(misshaped.items())
        if name.startswith(head):
            step = "for a fresh head, pass ignore_mismatched_sizes=True"
        raise SpikeportError(f"{source}: {name} is {found}, the configuration asks for {wanted}; {step}")
