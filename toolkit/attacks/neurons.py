"""Attacks on how the network runs: fewer time steps, other thresholds. No data and no training are needed."""

from __future__ import annotations

from dataclasses import replace

from toolkit.attacks.suspect import rebuilt, with_integers
from toolkit.errors import SpikeportError
from toolkit.models.modeling import SpikingStudentForSequenceClassification as Student
from toolkit.models.storage import MAX_THETA

READOUT = "readout"  # its threshold is the divisor of the logits: no neuron


def fewer_steps(model: Student, steps: float) -> Student:
    """The same network, stopped after ``steps`` time steps, at most those that it was trained with."""
    trained = model.student.config.steps
    if steps != int(steps) or not 1 <= steps <= trained:
        raise SpikeportError(f"fewer-steps: {steps:g} steps, must be a whole number from 1 to the student's {trained}")
    return rebuilt(model, steps=int(steps))


def scale_thresholds(model: Student, factor: float) -> Student:
    """Every spiking layer's firing threshold times ``factor``, rounded; weights stay."""
    layers = {name: layer for name, layer in model.student.integers().items() if name != READOUT}
    scaled = {name: replace(layer, theta=max(1, round(layer.theta * factor))) for name, layer in layers.items()}
    largest = max(layer.theta for layer in scaled.values())
    if factor <= 0 or largest > MAX_THETA:
        raise SpikeportError(
            f"thresholds: factor {factor:g} gives up to {largest}, a threshold lies in 1 to {MAX_THETA}; "
            "choose another strength"
        )
    return with_integers(model, scaled)
