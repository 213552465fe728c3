"""What the same task costs elsewhere: an ANN on a GPU, at 45 nm, and the literature's formula.

The figures are computed from shapes and from the run's counts with the sourced constants of a
profile; none is quoted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from hw_profiles import Constant, Interval, Profile, load_profile
from simulators.activity import Activity
from simulators.energy import estimate
from simulators.estimate import EnergyEstimate, UnpricedTerm, grade_of
from simulators.layers import EstimateError, layers_of
from simulators.literature import literature_joules
from simulators.placement import place

Precision = Literal["fp32", "int8"]
BYTES: dict[str, int] = {"fp32": 4, "int8": 1}
CHIPS = ("loihi1", "loihi1-sanafe", "loihi2")


@dataclass(frozen=True)
class AnnShape:
    """A BERT-like encoder with a classification head, run on one sequence.

    Attributes:
        layers, width, ffn, heads: of the encoder; tokens: sequence length N; labels: K.
        window: tokens that a convolution before the encoder sees, added to its input; 1 is none.
            Its operations and bytes count, with no layer time of its own.
        pooler: a width by width layer on the first token before the head, as BERT has.
        name: for the table.
    """

    layers: int
    width: int
    ffn: int
    tokens: int
    labels: int
    heads: int = 12
    pooler: bool = True
    name: str = "ANN"
    window: int = 1

    def __post_init__(self) -> None:
        for field in ("layers", "width", "ffn", "tokens", "labels", "heads", "window"):
            if getattr(self, field) < 1:
                raise EstimateError(
                    f"shape {self.name}: {field} {getattr(self, field)}; must be at least 1; correct it"
                )

    @property
    def macs(self) -> int:
        """Multiply-accumulates: 4 N D^2 + 2 N D F linear and 2 N^2 D attention per layer; convolution and head."""
        n, d, f = self.tokens, self.width, self.ffn
        return self.layers * (4 * n * d * d + 2 * n * d * f + 2 * n * n * d) + n * self._kernel + self._head

    @property
    def flops(self) -> int:
        """Two per multiply-accumulate; softmax, GELU and normalisation left out."""
        return 2 * self.macs

    @property
    def weights(self) -> int:
        """Matrix entries read once per inference, embedding rows of the sequence included."""
        d, f = self.width, self.ffn
        return self.layers * (4 * d * d + 2 * d * f) + self._kernel + self._head + 2 * self.tokens * d

    @property
    def activations(self) -> int:
        """Values read and written between kernels: each matrix product, softmax and norm apart."""
        n, d, f, h = self.tokens, self.width, self.ffn, self.heads
        linear = 3 * 2 * n * d + 2 * n * d + 2 * (n * d + n * f)
        attention = 2 * n * d + h * n * n + 2 * h * n * n + h * n * n + 2 * n * d
        convolution = 2 * n * d if self._kernel else 0
        return self.layers * (linear + attention + 2 * 2 * n * d) + convolution

    @property
    def _kernel(self) -> int:
        return self.window * self.width**2 if self.window > 1 else 0

    @property
    def _head(self) -> int:
        return self.width * self.labels + (self.width**2 if self.pooler else 0)


def ann_on_gpu(shape: AnnShape, precision: Precision, profile: Profile | str = "h200") -> EnergyEstimate:
    """An ANN at batch 1 on a GPU: E = P_idle * t + e_flop * FLOP + e_byte * bytes."""
    size = BYTES[precision]
    what = f"{shape.name}, {precision.upper()}, dense"
    return _gpu(profile, precision, what, shape.flops, shape.weights * size, shape.activations * size, shape.layers)


def spiking_on_gpu(
    activity: Activity, shape: AnnShape, precision: Precision = "fp32", profile: Profile | str = "h200"
) -> EnergyEstimate:
    """The spiking network at batch 1 on a GPU: every product dense, T times.

    All T steps of a layer go in one product, so its weights are read once and its floor is paid once.
    """
    size = BYTES[precision]
    what = f"spiking network, {precision.upper()}, dense, T={activity.steps}"
    moved = shape.activations * size * activity.steps
    flops = 2 * activity.per_inference("dense_macs")
    return _gpu(profile, precision, what, flops, shape.weights * size, moved, shape.layers)


def ann_at_45nm(shape: AnnShape, precision: Precision) -> EnergyEstimate:
    """An ANN by the 45 nm convention: multiply-accumulates times 4.6 pJ (FP32) or 0.23 pJ (INT8)."""
    return _convention(f"cmos45-{precision}", f"{shape.name}, {precision.upper()}", float(shape.macs), 0.0, None)


def spiking_literature(activity: Activity, analog_macs: float = 0.0) -> EnergyEstimate:
    """The spiking network by the literature's formula, 0.9 pJ per SOP and 4.6 pJ per MAC.

    Args:
        activity: counts of a run; attention's operations are SOPs here, as in the literature.
        analog_macs: multiply-accumulates per inference of layers whose input is not spikes. The
            deployable student has none on the chip; its encoder is table look-ups on the host.
    """
    return _convention("cmos45-fp32", "spiking network", analog_macs, activity.per_inference("synops"), activity)


def compare_all(
    activity: Activity,
    student: AnnShape,
    teacher: AnnShape,
    *,
    chips: Sequence[Profile | str] = CHIPS,
    gpu: Profile | str = "h200",
    step_seconds: float | None = None,
    fill_steps: int = 0,
) -> list[EnergyEstimate]:
    """Every estimate of the table: chips first, then the GPU, then the 45 nm conventions.

    Args:
        activity: counts of the spiking student's run.
        student: the dense ANN of the student's own shape.
        teacher: the ANN that it was distilled from.
        chips, gpu: profiles by name or loaded.
        step_seconds, fill_steps: see ``estimate``.
    """
    profiles = [_loaded(chip) for chip in chips]
    results = [
        estimate(activity, place(activity, p), p, step_seconds=step_seconds, fill_steps=fill_steps) for p in profiles
    ]
    anns: list[tuple[AnnShape, Precision]] = [(s, p) for s in (teacher, student) for p in ("fp32", "int8")]
    results += [ann_on_gpu(shape, precision, gpu) for shape, precision in anns]
    results.append(spiking_on_gpu(activity, student, profile=gpu))
    results += [ann_at_45nm(shape, precision) for shape, precision in anns]
    return [*results, spiking_literature(activity)]


def _loaded(profile: Profile | str) -> Profile:
    return load_profile(profile) if isinstance(profile, str) else profile


def _gpu(
    profile: Profile | str,
    precision: Precision,
    what: str,
    flops: float,
    weight_bytes: float,
    activation_bytes: float,
    layers: int,
) -> EnergyEstimate:
    chip = _loaded(profile)
    if chip.model != "gpu":
        raise EstimateError(f"profile {chip.name}: model {chip.model}, needed gpu; choose a GPU profile")
    flop = chip.get("flop_fp32") if precision == "fp32" else None
    flop = flop or chip.require("flop")
    seconds, timing = _gpu_seconds(chip, weight_bytes + activation_bytes, layers)
    weight, moved, idle = (chip.require(n) for n in ("byte_weight", "byte_activation", "idle_device"))
    breakdown = {
        "static": idle.value.times(seconds),
        "arithmetic": flop.value * flops,
        "memory": weight.value * weight_bytes + moved.value * activation_bytes,
    }
    joules = breakdown["static"] + breakdown["arithmetic"] + breakdown["memory"]
    host = UnpricedTerm("host", None, "processor and transfers of the host are not in it")
    return EnergyEstimate(
        profile=f"{chip.name}: {what}",
        kind="device",
        basis="device, idle power + marginal, batch 1",
        joules=joules,
        seconds=seconds,
        cores=None,
        chips=1,
        fits=True,
        breakdown=breakdown,
        unpriced=(host,),
        spikes_per_inference=None,
        synops_per_inference=None,
        grade=grade_of([flop, weight, moved, idle, *timing]),
        note=f"{flops:.4g} FLOP, {weight_bytes + activation_bytes:.4g} bytes. {chip.note}",
        priced=joules,
    )


def _gpu_seconds(chip: Profile, moved_bytes: float, layers: int) -> tuple[Interval, list[Constant]]:
    """t0 + layers * max(floor, bytes per layer / (share * peak bandwidth))."""
    names = ("launch_time", "layer_time", "bandwidth", "bandwidth_share")
    launch, floor, peak, share = (chip.require(name) for name in names)
    reached = (peak.value.nominal or 0.0) * (share.value.nominal or 0.0)
    if not reached:
        raise EstimateError(f"profile {chip.name}: bandwidth has no nominal side; GPU time needs one, add it")
    streamed = moved_bytes / layers / reached
    sides = (None if side is None else max(side, streamed) for side in floor.value.sides)
    per_layer = Interval.of(sides, floor.value.reason)
    return launch.value + per_layer * layers, [launch, floor, peak, share]


def _convention(name: str, what: str, macs: float, accumulates: float, activity: Activity | None) -> EnergyEstimate:
    profile = load_profile(name)
    mac, accumulate = profile.require("mac"), profile.require("accumulate")
    joules = literature_joules(macs, accumulates, profile)
    missing = "memory, data movement, control, leakage, neurons and normalisation count as zero in the convention"
    return EnergyEstimate(
        profile=f"{name}: {what}",
        kind="literature",
        basis="literature",
        joules=joules,
        seconds=Interval(reason="an operation count has no time"),
        cores=None,
        chips=None,
        fits=None,
        breakdown={"mac": mac.value * macs, "accumulate": accumulate.value * accumulates},
        unpriced=(UnpricedTerm("everything but arithmetic", None, missing),),
        spikes_per_inference=activity.spikes_per_inference if activity else None,
        synops_per_inference=_events(activity)[0] if activity else None,
        grade=grade_of([mac, accumulate] if accumulates and macs else [mac if macs else accumulate]),
        note=f"{macs:.4g} MAC, {accumulates:.4g} AC. {profile.note}",
        dense_synops_per_inference=_events(activity)[1] if activity else None,
        priced=joules,
    )


def _events(activity: Activity) -> tuple[float, float]:
    """Synaptic events per inference without attention: over non-zero weights, and over all."""
    pairs = [(node.synops, layer.walked(node)) for layer in layers_of(activity) for node in layer.synapses]
    return sum(a for a, _ in pairs) / activity.samples, sum(b for _, b in pairs) / activity.samples
