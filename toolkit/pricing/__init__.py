"""From a simulated run to a priced record: profiles, JSON, CSV, tables, plots, comparison of models."""
