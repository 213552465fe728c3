"""Random layers, their plain numpy reference, and what is compared."""
