"""Names of nodes as people and results see them."""

from __future__ import annotations

import re

from exporters.nir.graph import layer_name


def label(node: str) -> str:
    """Layer name of a node; names without our numbered prefix are kept whole."""
    return layer_name(node) if re.match(r"n\d+_", node) else node
