"""Students that were trained further in another framework, and come back."""
