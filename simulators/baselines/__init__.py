"""What the same task costs elsewhere: ANNs on GPUs and CPUs, and the operation-count conventions."""

from simulators.baselines.convention import ann_at_45nm, spiking_literature
from simulators.baselines.crossover import Crossover, Curve, crossover, energy_curve
from simulators.baselines.device import Load, on_device
from simulators.baselines.formula import LEFT_OUT, linear_attention_sop, literature_joules, sop
from simulators.baselines.gpu import ann_on_gpu, spiking_on_gpu
from simulators.baselines.published import PublishedCase, published_cases, published_table
from simulators.baselines.shape import AnnShape
from simulators.baselines.table import compare_all, compare_profiles, spiking_on_profiles

__all__ = [
    "LEFT_OUT",
    "AnnShape",
    "Crossover",
    "Curve",
    "Load",
    "PublishedCase",
    "ann_at_45nm",
    "ann_on_gpu",
    "compare_all",
    "compare_profiles",
    "crossover",
    "energy_curve",
    "linear_attention_sop",
    "literature_joules",
    "on_device",
    "published_cases",
    "published_table",
    "sop",
    "spiking_literature",
    "spiking_on_gpu",
    "spiking_on_profiles",
]
