"""snnTorch: the NIR file with a loader to fine-tune it there, and the way back.

``load.py`` is copied into the folder and belongs to the user of snnTorch; nothing here imports it.
"""

from exporters.snntorch.errors import SnnTorchExportError
from exporters.snntorch.layers import Trained, trained_layers
from exporters.snntorch.read import Tuned, TunedLayer, read_tuned
from exporters.snntorch.write import GRAPH_FILE, LOADER_FILE, write_folder

__all__ = [
    "GRAPH_FILE",
    "LOADER_FILE",
    "SnnTorchExportError",
    "Trained",
    "Tuned",
    "TunedLayer",
    "read_tuned",
    "trained_layers",
    "write_folder",
]
