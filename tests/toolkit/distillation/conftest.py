"""One tiny world for all tests of the training, and a server from which its processes fork in no time."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from typing import Any

import pytest
import torch

Start = Callable[..., ForkServerProcess]


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Data, a raw and a fine-tuned teacher; not to be written to, but for ``answers``."""
    pytest.importorskip("transformers")
    from tests.toolkit.distillation.world import make_world

    return make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture
def plain_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """No compilation, which takes a minute and changes no figure."""
    from toolkit.distillation import distil

    monkeypatch.setattr(distil, "compile_kernels", lambda: False)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """As many threads as ``distil_in_a_process``: float32 sums depend on how they are divided."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def servers() -> ForkServerContext:
    """Where processes fork from with torch and transformers already imported."""
    pytest.importorskip("transformers")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["toolkit.distillation.distil", "tests.toolkit.distillation.world"])
    return context


@pytest.fixture
def start(servers: ForkServerContext) -> Start:
    """Start a function of ``world`` in a process of its own."""

    def start_process(target: Callable[..., None], *arguments: object) -> ForkServerProcess:
        process = servers.Process(target=target, args=arguments)
        process.start()
        return process

    return start_process


def wait(process: ForkServerProcess, log: Path) -> int:
    """Exit status of a process; its last words where it failed by itself."""
    process.join(300)
    if process.exitcode == 1:
        pytest.fail(log.read_text(encoding="utf-8")[-3000:])
    assert process.exitcode is not None, "still running after 300 seconds"
    return process.exitcode
