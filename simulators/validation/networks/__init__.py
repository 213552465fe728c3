"""Networks of the measured cases, described in TOML."""
