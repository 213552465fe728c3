"""Executes integer plans on CPU cores by compiled loops over spikes."""

from simulators.compiled.engine import CompiledEngine

__all__ = ["CompiledEngine"]
