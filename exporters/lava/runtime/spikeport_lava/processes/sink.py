"""The sink, the host's side of a network: writes spikes and logits to preallocated files.

One takes all, for every process costs time in every step.
"""

from __future__ import annotations

from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.process.ports.ports import InPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from spikeport_lava.processes.ports import AnyPortsModel
from spikeport_lava.tracks import Track


class Sink(AbstractProcess):
    """Writes tracks; in-port ``in<i>`` receives those of ``tracks[i]``, one after the other.

    Args:
        tracks: of each in-port.
        rows: of each file, those to write.
        lanes, lane_steps: samples that run side by side, and the rows that each lane fills.
    """

    def __init__(self, *, tracks: list[list[Track]], rows: range, lanes: int, lane_steps: int, name: str) -> None:
        super().__init__(tracks=tracks, rows=rows, lanes=lanes, lane_steps=lane_steps, name=name)
        for index, parts in enumerate(tracks):
            setattr(self, f"in{index}", InPort(shape=(lanes * sum(track.size for track in parts),)))


@implements(proc=Sink, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PySink(AnyPortsModel):
    """Receives every step, writes those of the recording window."""

    rows = None

    def run_spk(self) -> None:
        get = self.proc_params.get
        tracks, lanes = get("tracks"), get("lanes")
        if self.rows is None:  # not in __init__: the files belong to the process that writes them
            self.rows = [[track.open_rows(get("rows")) for track in parts] for parts in tracks]
        for index, parts in enumerate(tracks):
            data, start = getattr(self, f"in{index}").recv(), 0
            for track, rows in zip(parts, self.rows[index], strict=True):
                end = start + lanes * track.size
                track.write(rows, data[start:end], self.time_step - 1, get("lane_steps"))
                start = end
