"""What ONNX cannot hold exactly, in one line."""


class OnnxExportError(ValueError):
    """A graph that cannot be written as an exact ONNX model: node, value, limit, next step."""
