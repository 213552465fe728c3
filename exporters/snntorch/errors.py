"""What cannot go to snnTorch, or come back from it, in one line."""


class SnnTorchExportError(ValueError):
    """A graph or a tuned file that cannot be written or read exactly: object, value, limit, next step."""
