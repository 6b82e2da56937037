"""What counts as alive: a process that is ending keeps its port until its last thread is gone."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from kb_pipeline.local import processes
from kb_pipeline.local.processes import HOST, Record

# The first thread leaves by the system call `exit` (60 on x86-64), as the threads of a killed server do one by one.
FIRST_THREAD_GONE = """
import ctypes, socket, sys, threading, time
server = socket.create_server((sys.argv[1], int(sys.argv[2])))
threading.Thread(target=time.sleep, args=(120,)).start()
ctypes.CDLL(None).syscall(60, 0)
"""


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_a_process_without_its_first_thread_lives_and_holds_its_port_until_the_last_is_gone(tmp_path: Path) -> None:
    port = processes.choose_port(None)
    pid = processes.spawn([sys.executable, "-c", FIRST_THREAD_GONE, HOST, str(port)], tmp_path / "log")
    record = Record(port=port, pid=pid, birth=processes.birth(pid) or "")
    try:
        assert processes.wait_until(lambda: state(pid) == "Z", 20)
        assert not processes.port_is_free(port)
        assert processes.is_alive(record)
    finally:
        assert processes.end(record, [(signal.SIGKILL, 10.0)], group=True)
    assert processes.choose_port(port) == port
