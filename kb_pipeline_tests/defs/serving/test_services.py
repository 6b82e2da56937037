"""`kb dev`: the port is asked for first, and one state has one daemon."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from kb_pipeline.core.errors import ServiceUnavailable
from kb_pipeline.defs.serving import services
from kb_pipeline.settings import Settings
from kb_pipeline_tests.e2e.workspace import Workspace


@pytest.fixture
def listener() -> Iterator[int]:
    """A port of loopback on which this process listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


def test_a_taken_port_is_said_with_who_has_it_before_anything_is_started(tmp_path: Path, listener: int) -> None:
    home = tmp_path / "home"
    done = Workspace(home).kb("dev", "--port", str(listener), cwd=tmp_path)
    assert done.returncode == 4
    assert f"Port {listener} on 127.0.0.1 is taken by process {os.getpid()} " in done.stderr
    assert "`kb dev --port NUMBER`" in done.stderr
    assert not home.exists()


def test_a_state_has_one_kb_dev(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "home")
    with services.only_one(Settings(home=workspace.home), 3000):
        done = workspace.kb("dev", "--port", str(free_port()), cwd=tmp_path)
    assert done.returncode == 4
    assert f"process {os.getpid()}, http://127.0.0.1:3000" in done.stderr
    assert not (workspace.home / "postgres").exists(), "no stack was started"


def test_a_daemon_that_outlives_its_kb_dev_keeps_the_next_one_out(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    with services.only_one(settings, 3000) as lock:
        daemon = subprocess.Popen(["sleep", "60"], pass_fds=[lock])
    try:
        with pytest.raises(ServiceUnavailable, match="runs already on the state"), services.only_one(settings, 3001):
            pass
    finally:
        daemon.kill()
        daemon.wait()
    with services.only_one(settings, 3001):
        held = json.loads((tmp_path / "dagster" / services.LOCK).read_text())
    assert held == {"pid": os.getpid(), "port": 3001}


def test_states_of_their_own_have_a_kb_dev_each(tmp_path: Path) -> None:
    with (
        services.only_one(Settings(home=tmp_path / "one"), 3000),
        services.only_one(Settings(home=tmp_path / "other"), 3001),
    ):
        pass


def test_a_service_that_ends_by_itself_ends_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here the code server: there is no such module."""
    monkeypatch.setattr(services, "_CODE_SERVER", ("code-server", "start", "-m", "no_such_module", "--port"))
    ready: list[bool] = []
    settings = Settings(home=tmp_path)
    with (
        services.only_one(settings, 3000) as lock,
        pytest.raises(ServiceUnavailable, match=r"code server ended by itself \(exit code [1-9]"),
    ):
        services.serve(settings, free_port(), (), lock, lambda: ready.append(True))
    assert not ready
