"""Why the faithful SpikeBERT does not go on a chip; told without ``transformers``, which a host may lack."""

from __future__ import annotations

from typing import NoReturn

from toolkit.errors import SpikeportError

MODEL_TYPE = "spikebert"  # in a model folder's config.json


def refuse_lowering(source: object) -> NoReturn:
    """Refuse to lower or export a faithful SpikeBERT.

    Args:
        source: what to call the model in the message: its folder, or its configuration.

    Raises:
        SpikeportError: always.
    """
    name = getattr(source, "name_or_path", source) or "this model"
    raise SpikeportError(
        f"{name}: a faithful SpikeBERT cannot be lowered: its LayerNorms need a mean and a square root per token and "
        "step, which no integer graph holds, its padded tokens spike, and it knows no position; distil the deployable "
        "form from the same teacher (`spikeport distill`), or freeze the norms on sentences into an approximate bundle "
        "(`spikeport export nir --student FOLDER --calibrate-norm DATA`)"
    )
