"""ONNX: an integer NIR graph as a model that ONNX Runtime runs spike for spike.

Input ``spikes``, bool (B, T, C, N): samples, steps, channels, tokens, the layout of every spike array here.
Output ``logits``, float32 (B, T, K, N), integer-valued; on request ``spikes/<layer>``, bool (B, T, C, N).
The one-step form has no T axis: the membranes go in and come out as ``state/<layer>`` and ``next_state/<layer>``.
"""

from exporters.onnx.errors import OnnxExportError
from exporters.onnx.model import FACTS, LAYER, STATE, build_model, facts_of, to_bytes, write_model
from exporters.onnx.proof import Proof, prove

__all__ = [
    "FACTS",
    "LAYER",
    "STATE",
    "OnnxExportError",
    "Proof",
    "build_model",
    "facts_of",
    "prove",
    "to_bytes",
    "write_model",
]
