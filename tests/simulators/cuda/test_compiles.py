"""The Triton kernel compiled for CUDA devices that are not there."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

COMPILE = """
import re
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from simulators.cuda.kernel import scan_kernel

def ptx(path, sums, out, capability):
    pointers = {"first_ptr": sums, "second_ptr": sums, "out_ptr": out, "counts_ptr": "i64", "parameters_ptr": "fp64"}
    constants = dict(
        STEPS=4, PATH=path, EXPONENT=3, SECOND=True, COUNTS=True, WIDE=sums == "fp64", ROWS=32, CHANNELS=128
    )
    types = {name: f"*{kind}" for name, kind in pointers.items()} | {"rows": "i32", "channels": "i32"}
    aligned = {(i,): [["tt.divisibility", 16]] for i in (0, 1, 2, 3, 4, 6)}
    source = ASTSource(scan_kernel, types | dict.fromkeys(constants, "constexpr"), constants, aligned)
    options = {"num_warps": 8, "enable_fp_fusion": False}
    return triton.compile(source, target=GPUTarget("cuda", capability, 32), options=options).asm["ptx"]

for capability in (80, 90):
    for path, sums in (("float32", "fp32"), ("integer", "fp32"), ("integer", "fp64"), ("integer", "i32")):
        code = ptx(path, sums, "bf16", capability)
        assert "st.global.v4" in code, (path, sums)  # 16 bytes a thread: coalesced
        assert "atom" in code or "red." in code, (path, sums)
    code = ptx("real", "fp64", "fp64", capability)
    assert "div.rn.f64" in code  # a division, not a product with 1 / tau
    assert not re.search(r"fma\\.\\w+\\.f64", code)  # each step rounds twice, as on a CPU
"""


@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="no Triton here: install spikeport[cuda]")
def test_the_kernel_compiles_for_cuda_without_fusing_what_rounds(tmp_path: Path, repository: Path) -> None:
    script = tmp_path / "compile_kernel.py"
    script.write_text(COMPILE, encoding="utf-8")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TRITON_")}
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=repository,
        env=inherited | {"PYTHONPATH": str(repository), "TRITON_CACHE_DIR": str(tmp_path / "cache")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:]
