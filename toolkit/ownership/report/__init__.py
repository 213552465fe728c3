"""One page on one ownership test, for a lawyer and an engineer."""
