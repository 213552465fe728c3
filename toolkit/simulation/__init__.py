"""Simulation of large inputs: parts that are written as they are done, skipped when started again, shared out."""
