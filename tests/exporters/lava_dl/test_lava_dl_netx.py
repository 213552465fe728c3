"""lava-dl's own netx runs what was exported, in real multi-process Lava: the graph's spikes, ties included."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

from exporters.lava import LavaRunError, PlanError
from exporters.lava.launch import RUNTIME
from exporters.lava.netx import run_net
from exporters.lava_dl import form, net_inputs, select, write_net
from exporters.lava_dl.synapse import dense_fault
from tests.exporters.lava_dl.graphs import make_sequence, make_spikes
from tests.exporters.lava_dl.netx_by_hand import run_file

pytestmark = pytest.mark.lava

# What netx and Lava make of matrices: read from standard input, one result a line.
ASK = """
import json, sys
import numpy as np
from spikeport_lava.stand_ins import allow_no_torch
allow_no_torch()
from lava.lib.dl.netx.utils import optimize_weight_bits
from lava.utils.weightutils import clip_weights, determine_sign_mode, truncate_weights
for line in sys.stdin:
    weight = np.array(json.loads(line))
    try:
        shifted, bits, exponent, _ = optimize_weight_bits(weight.copy())
        mode = determine_sign_mode(shifted)
        held = truncate_weights(clip_weights(shifted, mode, num_bits=8), mode, bits)
        print('=', json.dumps(np.right_shift(held * 4, -exponent).tolist() if exponent <= 0 else None))
    except (OverflowError, ValueError) as error:
        print('= null')
"""


def test_dense_weights_are_kept_or_a_fault_is_told(lava_dl_python: Path) -> None:
    rng = np.random.default_rng(0)
    matrices = [np.array(m) for m in ([[0, 0]], [[-256, -4]], [[254, 2]], [[255, 1]], [[-128, -2]], [[-255, -3]])]
    matrices += [np.array(m) for m in ([[-256, 254]], [[-129, 127]], [[300, 2]], [[300, -2]], [[-300, 2]], [[-2, 0]])]
    for high in (2, 5, 30, 127, 128, 250, 256):
        for low in (-high, 0, -3 * high // 2):
            for step in (1, 2, 4):
                matrices.append(step * rng.integers(low // step, high // step + 1, (3, 4)))
        matrices.append(-rng.integers(1, high + 1, (3, 4)))
    env = {"PYTHONPATH": str(RUNTIME), "OMP_NUM_THREADS": "1"}
    run = subprocess.run(
        [lava_dl_python, "-W", "ignore", "-c", ASK],
        input="\n".join(json.dumps(m.tolist()) for m in matrices),
        env=env,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [json.loads(line[2:]) for line in run.stdout.splitlines() if line.startswith("= ")]  # netx prints warnings
    kept = [found == (4 * m).tolist() for found, m in zip(lines, matrices, strict=True)]
    assert 20 < sum(kept) < len(matrices) - 5
    for matrix, same in zip(matrices, kept, strict=True):
        fault = dense_fault(matrix.astype(np.int64))
        assert (fault is None) <= same, f"{matrix.tolist()} is changed, and no fault was told"
        if np.abs(matrix).max() < 128 and not (matrix <= 0).all():
            assert fault is None, f"{matrix.tolist()} is kept, yet {fault}"


@pytest.mark.parametrize("case", [{"windows": (1, 2, 1)}, {"tokens": 1, "high": 40}], ids=["conv", "dense"])
def test_netx_gives_the_graphs_spikes_and_sums(case: dict[str, object], lava_dl_python: Path, tmp_path: Path) -> None:
    """Padded samples back to back, biases, ties; the second network is dense."""
    sequence = make_sequence(5, **case)  # type: ignore[arg-type]
    spikes = make_spikes(6, sequence, samples=30)
    layers, logits, ties = sequence.reference(spikes)
    assert ties > 5
    net = form(select(sequence.graph()))
    assert net.kind == ("dense" if sequence.tokens == 1 else "conv")
    write_net(net, tmp_path / "a.net")
    inputs = net_inputs(net, spikes, spikes[:, :, -1])
    result = run_net(tmp_path / "a.net", inputs, message_bits=net.message_bits, sums=True, python=lava_dl_python)
    assert result.versions["lava-dl"] == "0.6.0"
    by_hand, sums, _ = run_file(tmp_path / "a.net", inputs.astype(np.int64))
    for layer, seen, other, expected in zip(net.layers, result.spikes, by_hand, layers, strict=False):
        assert np.array_equal(seen, other), "the equations are netx's"
        assert np.array_equal(seen[:, :, : layer.channels].reshape(expected.shape), expected), layer.name
    assert result.sums is not None and np.array_equal(result.sums, sums)
    assert np.array_equal(result.sums.reshape(logits.shape), logits)


def test_what_does_not_run_ends_in_one_line(lava_dl_python: Path, tmp_path: Path) -> None:
    sequence = make_sequence(5)
    net = form(select(sequence.graph()))
    write_net(net, tmp_path / "a.net")
    with pytest.raises(LavaRunError, match=r"each step has shape \(3, 1, 3\), the network takes \(8, 1, 3\)"):
        run_net(tmp_path / "a.net", np.zeros((1, 4, 3, 1, 3), bool), python=lava_dl_python)
    with pytest.raises(PlanError, match="2 samples without a reset"):
        run_net(tmp_path / "a.net", np.zeros((2, 4, 8, 1, 3), bool), reset=False, python=lava_dl_python)
