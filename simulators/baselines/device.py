"""Dense networks on devices that are no spiking chip: joules from whatever figures a profile has.

E = idle power * time + energy per operation * operations + energy per byte * bytes, per inference of a batch
whose weights are read once and whose idle and launch time is shared. A profile with TDP and peak only gives the
lower bound TDP / peak * operations. A profile with a whole-device figure per multiply-accumulate gives that
figure alone. What a profile lacks is listed as unpriced, and the total is then a lower bound.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from hw_profiles import Constant, Interval, Profile
from hw_profiles.interval import total
from simulators.baselines.device_time import device_seconds
from simulators.baselines.shape import Precision
from simulators.energy.estimate import EnergyEstimate, UnpricedTerm, grade_of
from simulators.layers import EstimateError

HOST = UnpricedTerm("host", None, "processor and transfers of the host are not in it")
AT_PEAK = "lower bound: TDP / peak rate, which no layer reaches at batch 1"


@dataclass(frozen=True)
class Load:
    """One batch of a dense network, in the units that a device is priced in.

    Attributes:
        what: for the table; precision: of every value.
        macs: multiply-accumulates of one inference.
        weight_bytes: read once per batch; activation_bytes: moved per inference.
        layers: that pay the time floor; batch: inferences run together.
    """

    what: str
    precision: Precision
    macs: float
    weight_bytes: float
    activation_bytes: float
    layers: int
    batch: int = 1

    def __post_init__(self) -> None:
        if self.batch < 1:
            raise EstimateError(f"{self.what}: batch {self.batch}; must be at least 1; correct it")

    @property
    def flops(self) -> float:
        """Operations per inference, two per multiply-accumulate."""
        return 2 * self.macs

    @property
    def bytes(self) -> float:
        """Bytes moved per inference, its share of the weights included."""
        return self.weight_bytes / self.batch + self.activation_bytes


@dataclass
class _Sum:
    """Terms of a total as they are found."""

    terms: dict[str, Interval]
    used: list[Constant]
    missing: list[UnpricedTerm]

    def lacks(self, term: str, count: float | None, reason: str) -> None:
        self.missing.append(UnpricedTerm(term, count, reason))


def on_device(load: Load, profile: Profile) -> EnergyEstimate:
    """Joules and seconds per inference of a load on one device.

    Raises:
        EstimateError: the profile is a spiking chip.
    """
    if profile.model == "spiking":
        raise EstimateError(f"profile {profile.name}: model spiking, needed gpu; choose a GPU or CPU profile")
    seconds, timing = device_seconds(load, profile)
    found = _Sum({}, [], [])
    whole = _whole_device(load, profile, seconds, found)
    if not whole:
        _parts(load, profile, seconds, found)
    summed = total(found.terms.values()) if found.terms else Interval(reason="no figure in the profile")
    names = ", ".join(term.term for term in found.missing)
    joules = summed.lower_bound(f"lower bound: no public price for {names}") if names else summed
    used = [*found.used, *(timing if "static" in found.terms else ())]
    return EnergyEstimate(
        profile=f"{profile.name}: {load.what}",
        kind="device",
        basis=_basis(load, profile, joules, whole),
        joules=joules,
        seconds=seconds,
        cores=None,
        chips=1,
        fits=True,
        breakdown=found.terms | {t.term: Interval(reason=t.reason) for t in found.missing},
        unpriced=(*found.missing, HOST),
        spikes_per_inference=None,
        synops_per_inference=None,
        grade=grade_of(used),
        note=f"{load.flops:.4g} FLOP, {load.bytes:.4g} bytes per inference, batch {load.batch}. {profile.note}",
        priced=summed,
    )


def _whole_device(load: Load, profile: Profile, seconds: Interval, found: _Sum) -> bool:
    """A figure that holds everything: it supersedes every other term. False where the profile has none."""
    flop = _flop(load.precision, profile)
    used: list[Constant] = []
    if mac := profile.get("mac_device"):
        only = Interval(reason=f"the figure per multiply-accumulate is not stated for {load.precision}")
        found.terms["whole device"] = mac.value * load.macs if load.precision == "fp32" else only
        used = [mac]
    elif flop is not None and flop[0].kind == "all_in":
        found.terms["whole device"], used = flop[1] * load.flops, [flop[0]]
    elif power := profile.get("running_chip"):
        peak = profile.get(f"peak_{load.precision}")
        found.terms["whole device"], used = _running(load, power, peak, seconds)
    else:
        return False
    if found.terms["whole device"].known:
        found.used += used
    else:
        found.lacks("whole device", load.flops, found.terms.pop("whole device").reason)
    return True


def _running(load: Load, power: Constant, peak: Constant | None, seconds: Interval) -> tuple[Interval, list[Constant]]:
    """Running power times time; of a power that is a maximum (TDP), the bound TDP / peak * operations."""
    if power.value.low is not None and seconds.complete:
        return power.value.times(seconds), [power]
    rate = peak.value.high or peak.value.nominal if peak else None
    watts = next((side for side in (power.value.low, power.value.nominal, power.value.high) if side), None)
    if peak is None or not rate or watts is None:
        return Interval(reason=f"{power.name} without a {load.precision} peak rate"), []
    return Interval(low=watts * load.flops / rate, reason=AT_PEAK), [power, peak]


def _parts(load: Load, profile: Profile, seconds: Interval, found: _Sum) -> None:
    """Idle power over the time, operations, and bytes, each if the profile has its figure."""
    idle = profile.get("idle_device")
    if idle and seconds.known:
        found.terms["static"] = idle.value.times(seconds)
        found.used.append(idle)
    else:
        found.lacks("static", None, "no idle power in the profile" if idle is None else "no time to multiply it by")
    if flop := _flop(load.precision, profile):
        found.terms["arithmetic"] = flop[1] * load.flops
        found.used.append(flop[0])
    else:
        found.lacks("arithmetic", load.flops, f"no figure per {load.precision} operation in the profile")
    dram = profile.get("dram_byte")
    weight, moved = profile.get("byte_weight") or dram, profile.get("byte_activation") or dram
    if weight and moved:
        weights = load.weight_bytes / load.batch
        found.terms["memory"] = weight.value * weights + moved.value * load.activation_bytes
        found.used += [weight, moved]
    else:
        found.lacks("memory", load.bytes, "no figure per byte in the profile")


def _flop(precision: Precision, profile: Profile) -> tuple[Constant, Interval] | None:
    """The figure of the precision; else what the general one, of 16 bits, says about it.

    An FP32 operation costs at least as much. An INT8 one costs no more: it is priced like it, unless the
    general figure is a lower bound, which says nothing about what costs less.
    """
    if own := profile.get(f"flop_{precision}"):
        return own, own.value
    general = profile.get("flop")
    if general is None or (precision == "int8" and general.value.high is None):
        return None
    at_least = general.value.lower_bound("an FP32 operation costs at least one of 16 bits")
    return general, at_least if precision == "fp32" else general.value


def _basis(load: Load, profile: Profile, joules: Interval, whole: bool) -> str:
    words = ["device", "all_in" if whole else f"idle power + {profile.basis}", f"batch {load.batch}"]
    words += ["lower bound"] if joules.nominal is None and joules.high is None else []
    return ", ".join(words)


def batched(load: Load, batch: int) -> Load:
    """The same network, that many inferences together."""
    return replace(load, batch=batch, what=f"{load.what}, batch {batch}")
