"""Backends: one file each, behind the protocols of :mod:`toolkit.backends.protocol`."""
