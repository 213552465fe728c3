"""Runs a spikeport plan in real multi-process Lava; needs no other part of spikeport."""

__version__ = "0.1.0"
