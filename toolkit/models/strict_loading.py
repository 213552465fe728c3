"""Strict loading: a checkpoint holds a model's tensors, all of them and nothing else, or is refused.

``transformers`` warns of a missing tensor and draws it at random, which turns a damaged file into an
untrained model.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from safetensors import SafetensorError

from toolkit.errors import SpikeportError


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
    mismatched = {name: (tuple(found), tuple(wanted)) for name, found, wanted in info["mismatched_keys"]}
    if fresh_head:
        mismatched = {name: shapes for name, shapes in mismatched.items() if not name.startswith(head)}
    _refuse(source, sorted(info["missing_keys"]), sorted(info["unexpected_keys"]), mismatched, head)
    return (model, info) if with_info else model


def _refuse(
    source: object,
    missing: list[str],
    unexpected: list[str],
    mismatched: dict[str, tuple[tuple[int, ...], tuple[int, ...]]],
    head: str,
) -> None:
    step = "take config.json and weights from the same model"
    for state, names in (("missing", missing), ("not part of this model", unexpected)):
        if names:
            raise SpikeportError(f"{source}: tensor {names[0]!r} is {state} ({len(names)} such); {step}")
    if mismatched:
        name, (found, wanted) = min(mismatched.items())
        if name.startswith(head):
            step = "for a fresh head, pass ignore_mismatched_sizes=True"
        raise SpikeportError(f"{source}: {name} is {found}, the configuration asks for {wanted}; {step}")
