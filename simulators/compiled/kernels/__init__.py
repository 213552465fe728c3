"""Loops over signals that torch has no operator for, compiled.

Signals are (rows, C'): row ``r * T + t`` is time step t of token r; C' is C rounded up to whole words of eight
channels, the rest is zero.
"""
