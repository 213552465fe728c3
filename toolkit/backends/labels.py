"""Any spike backend as a text classifier: tokenizer and encoder in front, largest logit behind."""

from __future__ import annotations

from toolkit.backends.protocol import SpikeBackend
from toolkit.bundle.encoder import HostEncoder

CHUNK = 512  # sentences encoded at a time: thousands of queries would not fit in memory as spikes


class EncodedLabels:
    """A ``LabelBackend`` made of a host encoder and a ``SpikeBackend``."""

    def __init__(self, name: str, encoder: HostEncoder, backend: SpikeBackend) -> None:
        self.name, self.encoder, self.backend = name, encoder, backend

    def labels(self, texts: list[str]) -> list[int]:
        """One label for each text, in order."""
        found: list[int] = []
        for start in range(0, len(texts), CHUNK):
            found += self.backend.run(self.encoder.encode(texts[start : start + CHUNK])).labels
        return found
