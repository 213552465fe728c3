"""Measured cases, one TOML a case."""
