"""What the same task costs elsewhere: ANNs on GPUs and CPUs, and the operation-count conventions."""

from simulators.baselines.convention import ann_at_45nm, spiking_literature
from simulators.baselines.formula import linear_attention_sop, literature_joules, sop
from simulators.baselines.gpu import ann_on_gpu, spiking_on_gpu
from simulators.baselines.shape import AnnShape
from simulators.baselines.table import compare_all

__all__ = [
    "AnnShape",
    "ann_at_45nm",
    "ann_on_gpu",
    "compare_all",
    "linear_attention_sop",
    "literature_joules",
    "sop",
    "spiking_literature",
    "spiking_on_gpu",
]
