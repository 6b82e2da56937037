"""One S3 server for all tests, and what KB_TESTS_OFFLINE=1 does.

With that variable all tests, and all processes they start, run with the outside switched off. The session fails if
anything asked for a name or an address outside this machine.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from kb_pipeline_tests.offline import asked_for, offline
from kb_pipeline_tests.support.s3 import moto_server, s3_endpoint, s3_server

__all__ = ["moto_server", "s3_endpoint", "s3_server"]

# How long an example takes says how busy the machine is.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

_LOG = pytest.StashKey[Path]()


def pytest_configure(config: pytest.Config) -> None:
    if os.environ.get("KB_TESTS_OFFLINE") != "1" or hasattr(config, "workerinput"):
        return  # a worker of pytest-xdist has it from the session that started it
    folder = Path(tempfile.mkdtemp(prefix="kb-offline-"))
    folder.chmod(0o755)
    config.stash[_LOG] = folder / "asked-for.log"
    variables = offline(config.stash[_LOG])
    config.stash[_LOG].chmod(0o666)  # servers may run under another account
    from kb_pipeline_tests.offline import sitecustomize

    os.environ.update(variables)
    sitecustomize.install()


def pytest_sessionfinish(session: pytest.Session) -> None:
    log = session.config.stash.get(_LOG, None)
    if log and asked_for(log) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    log = config.stash.get(_LOG, None)
    if not log:
        return
    asked = asked_for(log)
    terminalreporter.section("outside switched off")
    terminalreporter.write_line(f"{len(asked)} names or addresses outside this machine asked for")
    for line in asked[:50]:
        terminalreporter.write_line(f"  {line}", red=True)


def pytest_unconfigure(config: pytest.Config) -> None:
    log = config.stash.get(_LOG, None)
    if log:
        shutil.rmtree(log.parent)
