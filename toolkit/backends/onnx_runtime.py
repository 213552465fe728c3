"""ONNX Runtime on a model made of the graph, or on an ``.onnx`` file that was written from one."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exporters.nir.graph import Graph
from toolkit.backends.protocol import SpikeResult
from toolkit.bundle.encoder import EncodedBatch
from toolkit.errors import MissingComponentError, SpikeportError

FORMS = ("scan", "unrolled", "step")
BATCH = 8  # sentences at a time: larger batches leave the cache (see exporters/onnx/whole.py)
Spikes = NDArray[np.bool_]


class OnnxRuntime:
    """ONNX Runtime's CPU provider; ``mode`` names the form of the model.

    Args:
        graph: typed integer graph.
        form: ``"scan"`` (any T), ``"unrolled"`` (one model for each T seen) or ``"step"`` (fed step by step).
        threads: for one operator; 0 leaves it to ONNX Runtime.

    Raises:
        MissingComponentError: onnx or onnxruntime is not installed.
        OnnxExportError: the graph cannot be run exactly.
    """

    name = "onnx"

    def __init__(self, graph: Graph, form: str = "scan", threads: int = 0) -> None:
        exporter, self.version = onnx_exporter(), runtime_version()
        if form not in FORMS:
            raise SpikeportError(f"form {form!r}: not known; choose one of {', '.join(FORMS)}")
        exporter.prove(graph)  # refuse now rather than at the first run
        self.mode = form

        @cache
        def load(record: bool, steps: int) -> _Session:
            model = exporter.build_model(graph, unroll=steps or None, step=form == "step", spikes=record)
            return _Session(exporter.to_bytes(model), "model", threads)

        self._load: Callable[[bool, int], _Session] = load

    @classmethod
    def open(cls, path: Path, threads: int = 0) -> OnnxRuntime:
        """Run a file that ``spikeport export onnx`` wrote.

        Raises:
            MissingComponentError: onnx or onnxruntime is not installed.
            SpikeportError: no such file, or no readable model.
            OnnxExportError: a model of somebody else's, or of a later format.
        """
        backend = cls.__new__(cls)
        onnx_exporter()
        backend.version = runtime_version()
        try:
            content = path.read_bytes()
        except OSError as error:
            raise SpikeportError(f"{path}: {error.strerror}; name a file that `spikeport export onnx` wrote") from None
        session = _Session(content, str(path), threads)
        backend.mode, backend._load = session.form, lambda record, steps: session
        return backend

    def run(self, batch: EncodedBatch, record: bool = False) -> SpikeResult:
        """Logits and, on request, the spikes of every layer.

        Raises:
            SpikeportError: the spikes do not fit the model, T is beyond what it computes exactly, a layer was asked
                for that the file does not give, or a logit is no integer.
        """
        start = time.perf_counter()
        session = self._load(record, batch.spikes.shape[1] if self.mode == "unrolled" else 0)
        session.check(batch.spikes, record)
        parts = [session.run(batch.spikes[i : i + BATCH], record) for i in range(0, len(batch), BATCH)]
        joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        logits = joined.pop("logits")
        if not np.array_equal(logits, np.rint(logits)):
            raise SpikeportError(
                f"ONNX Runtime {self.version}: a logit is not an integer; the model was not run exactly"
            )
        return SpikeResult(logits.astype(np.int64), joined, time.perf_counter() - start)


class _Session:
    """One loaded model, of whichever form."""

    def __init__(self, content: bytes, what: str, threads: int) -> None:
        import onnxruntime

        exporter = onnx_exporter()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = threads, 3
        # Threads that spin while they wait cost several times the work on shared cores.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self.session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's own classes, a dozen, share no base but this one
            raise SpikeportError(
                f"{what}: not a model that ONNX Runtime loads ({_reason(error)}); export it again"
            ) from None
        facts = exporter.facts_of(self.session.get_modelmeta().custom_metadata_map, what)
        self.what, self.form, self.most = what, facts["form"], facts["max_steps"]
        self.inputs = {value.name: value for value in self.session.get_inputs()}
        outputs = [value.name for value in self.session.get_outputs()]
        self.layers = [name for name in outputs if name.startswith(exporter.LAYER)]
        self.state = exporter.STATE
        self.skip = len(exporter.LAYER)

    def check(self, spikes: Spikes, record: bool) -> None:
        """Refuse what the model would refuse in words of its own, or could not record."""
        samples, steps, channels, tokens = spikes.shape
        wanted = self.inputs["spikes"].shape
        if [channels, tokens] != wanted[-2:] or not samples:
            raise SpikeportError(
                f"input of {samples} x {channels} x {tokens} samples x channels x tokens: {self.what} takes at least "
                f"1 x {wanted[-2]} x {wanted[-1]}; encode for this model"
            )
        fixed = wanted[1] if self.form == "unrolled" else steps
        if steps != fixed or not 1 <= steps <= self.most:
            limit = f"exactly {fixed}" if steps != fixed else f"1 to {self.most}"
            raise SpikeportError(f"input of T = {steps} steps: {self.what} is exact for {limit}; encode for that")
        if record and not self.layers:
            raise SpikeportError(f"{self.what}: gives no layer's spikes; export it with --spikes")

    def run(self, spikes: Spikes, record: bool) -> dict[str, NDArray[Any]]:
        """Logits and layers of one batch, (B, T, C, N), by layer name."""
        wanted = ["logits", *(self.layers if record else [])]
        try:
            stepwise = self.form == "step"
            found = self._steps(spikes, wanted) if stepwise else self.session.run(wanted, {"spikes": spikes})
        except Exception as error:
            raise SpikeportError(f"{self.what}: ONNX Runtime failed ({_reason(error)}); export it again") from None
        return {name if name == "logits" else name[self.skip :]: part for name, part in zip(wanted, found, strict=True)}

    def _steps(self, spikes: Spikes, wanted: list[str]) -> list[NDArray[Any]]:
        """The one-step model over all steps, membranes and step count handed on."""
        states = [name for name in self.inputs if name != "spikes"]
        feed: dict[str, NDArray[Any]] = {"step": np.zeros(1, np.int64)}
        for name in states:
            if name.startswith(self.state):
                feed[name] = np.zeros((len(spikes), *self.inputs[name].shape[1:]), np.float32)
        seen = []
        for t in range(spikes.shape[1]):
            step = {"spikes": np.ascontiguousarray(spikes[:, t]), **feed}
            found = self.session.run([*wanted, *(f"next_{name}" for name in states)], step)
            feed = dict(zip(states, found[len(wanted) :], strict=True))
            seen.append(found[: len(wanted)])
        return [np.stack(parts, axis=1) for parts in zip(*seen, strict=True)]


def onnx_exporter() -> Any:
    """The package ``exporters.onnx``.

    Raises:
        MissingComponentError: onnx is not installed.
    """
    try:
        import exporters.onnx
    except ImportError as error:
        raise _missing(error) from None
    return exporters.onnx


def runtime_version() -> str:
    """ONNX Runtime's version.

    Raises:
        MissingComponentError: onnxruntime is not installed.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise _missing(error) from None
    return str(onnxruntime.__version__)


def _missing(error: ImportError) -> MissingComponentError:
    return MissingComponentError(f"{error.name} is missing; pip install 'spikeport[onnx]'")


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
