"""``export nir --calibrate-norm``: a SpikeBERT folder becomes a student folder, marked as approximate."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from toolkit.cli.io import say
from toolkit.errors import MissingComponentError


@contextmanager
def frozen_student(spikebert: Path, data: Path, out: Path, tokens: int | None, deployed: Path | None) -> Iterator[Path]:
    """A folder, for a while, of the student that a SpikeBERT becomes, marked as approximate.

    Args:
        spikebert: folder of the original.
        data: labelled sentences, TSV.
        out: bundle folder that is to be written.
        tokens: slots N.
        deployed: folder that is to be written, too.

    Raises:
        SpikeportError: what ``approximate`` refuses, or a folder in the way.
    """
    try:
        from toolkit.lowering.approximate import approximate, open_spikebert
    except ModuleNotFoundError as error:
        raise MissingComponentError(f"{error.name} is missing; pip install 'spikeport[train]'") from None
    from toolkit.bundle.encoder import TOKENIZER_FILE
    from toolkit.bundle.writer import check_deployed, check_target
    from toolkit.distillation.corpus import read_examples
    from toolkit.distillation.progress import calm
    from toolkit.models.storage import save_student

    calm()
    check_target(out, spikebert)
    if deployed is not None:
        check_deployed(deployed, out)
    model = open_spikebert(spikebert)
    examples = read_examples(data, model.config.num_labels)
    made = approximate(model, spikebert, examples, tokens, say)
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        save_student(made.student, folder, made.facts)
        shutil.copyfile(spikebert / TOKENIZER_FILE, folder / TOKENIZER_FILE)
        yield folder
