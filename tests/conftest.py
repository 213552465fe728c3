"""What every test may use: the root of the repository, Lava's interpreter, and the markers that skip."""

from __future__ import annotations

import functools
import os
from pathlib import Path

import pytest
from hypothesis import settings

from exporters.lava.launch import find_python
from toolkit.cli import doctor

ROOT = Path(__file__).resolve().parents[1]

# No test may need the network, and none may draw other examples on the next run.
os.environ["HF_HUB_OFFLINE"] = "1"
settings.register_profile("spikeport", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("spikeport")


NO_LAVA = "no Lava here: run `make lava-env` (it needs Python 3.10)"
NO_LAVA_DL = "no lava-dl here: run `make lava-dl-env` (it needs Python 3.10)"
lava_version = functools.cache(doctor.lava_version)


def cuda_answers() -> bool:
    """Whether torch sees a CUDA device."""
    import torch

    return torch.cuda.is_available()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip, with the reason, what this machine cannot run."""
    if item.get_closest_marker("lava") and not lava_version():
        pytest.skip(NO_LAVA)
    if item.get_closest_marker("gpu") and not cuda_answers():
        pytest.skip("no CUDA device here")


@pytest.fixture(scope="session")
def repository() -> Path:
    """Root of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def lava_python() -> Path:
    """Lava's interpreter; the test that asks for it is skipped where there is none."""
    if not lava_version():
        pytest.skip(NO_LAVA)
    return find_python()


@pytest.fixture(scope="session")
def lava_dl_python() -> Path:
    """Lava's interpreter where it has lava-dl; the test that asks for it is skipped elsewhere."""
    if not lava_version("lava-dl"):
        pytest.skip(NO_LAVA_DL)
    return find_python()
