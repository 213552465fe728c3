"""Each wiring pattern is the sum that its name promises, written again with einsum and loops."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from exporters.lava.launch import RUNTIME

pytestmark = pytest.mark.lava
TOKENS, WIDTH, HEADS, COLUMNS, CHANNEL, WEIGHT = 3, 4, 2, 5, 3, 2
PAIR, FLAT, SCORES = TOKENS * TOKENS * WIDTH, TOKENS * WIDTH, TOKENS * TOKENS * HEADS
SIZES = {
    "identity": (FLAT, FLAT), "query": (FLAT, PAIR), "key": (FLAT, PAIR), "score": (PAIR, SCORES),
    "spread": (SCORES, PAIR), "context": (PAIR, FLAT), "total": (FLAT, WIDTH), "broadcast": (WIDTH, FLAT),
    "channel": (TOKENS * COLUMNS, FLAT),
}  # fmt: skip
SCRIPT = """
import json, sys
import numpy as np
from spikeport_lava.plan import InputError
from spikeport_lava.wiring import wire
specs, tokens = json.loads(sys.argv[1]), int(sys.argv[2])
np.savez(sys.argv[3], **{spec["pattern"]: wire(spec, tokens).toarray() for spec in specs})
for change in ({"pattern": "none"}, {"outputs": 7}, {"heads": 3}, {"channel": 5}):
    try:
        wire({**specs[1], **change}, tokens)
    except InputError as error:
        print(error)
"""


def expected(pattern: str, x: np.ndarray) -> np.ndarray:
    """The pattern's outputs for inputs ``x``, flat."""
    n, d, h = TOKENS, WIDTH, HEADS
    out = {
        "identity": lambda: x,
        "query": lambda: np.array([x.reshape(n, d)[i, c] for i in range(n) for _ in range(n) for c in range(d)]),
        "key": lambda: np.array([x.reshape(n, d)[j, c] for _ in range(n) for j in range(n) for c in range(d)]),
        "score": lambda: np.einsum("ijhc->ijh", x.reshape(n, n, h, d // h)).reshape(-1),
        "spread": lambda: x.reshape(n, n, h).repeat(d // h, axis=2).reshape(-1),
        "context": lambda: np.einsum("ijc->ic", x.reshape(n, n, d)).reshape(-1),
        "total": lambda: np.einsum("nc->c", x.reshape(n, d)),
        "broadcast": lambda: np.tile(x, n),
        "channel": lambda: x.reshape(n, COLUMNS)[:, CHANNEL].repeat(d),
    }
    return WEIGHT * out[pattern]()


@pytest.fixture(scope="module")
def made(lava_python: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, np.ndarray], str]:
    import json

    common = {"width": WIDTH, "heads": HEADS, "columns": COLUMNS, "channel": CHANNEL, "weight": WEIGHT}
    specs = [{"name": p, "pattern": p, "inputs": a, "outputs": b, **common} for p, (a, b) in SIZES.items()]
    out = tmp_path_factory.mktemp("wiring") / "matrices.npz"
    command = [str(lava_python), "-c", SCRIPT, json.dumps(specs), str(TOKENS), str(out)]
    environment = {**os.environ, "PYTHONPATH": str(RUNTIME)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    with np.load(out) as archive:
        return dict(archive), done.stdout


@pytest.mark.parametrize("pattern", SIZES)
def test_a_pattern_moves_each_signal_where_it_belongs(pattern: str, made: tuple[dict[str, np.ndarray], str]) -> None:
    matrix = made[0][pattern]
    assert matrix.dtype == np.int32 and matrix.shape == SIZES[pattern][::-1]
    signal = np.random.default_rng(3).permutation(1000)[: SIZES[pattern][0]]  # all different: no two can be confused
    np.testing.assert_array_equal(matrix @ signal, expected(pattern, signal))


def test_a_wiring_that_does_not_fit_is_refused(made: tuple[dict[str, np.ndarray], str]) -> None:
    pattern, size, heads, channel = made[1].splitlines()
    assert "query: pattern 'none', known are" in pattern
    assert size == "query: 12->7, its pattern has (12, 36)"
    assert "width 4 in 3 heads" in heads
    assert "channel 5 of 5" in channel
