"""What runs in a worker process: one document at a time, within a limit of memory; the time limit is its parent's.

Messages on the socket are frames: eight bytes of length, then the body. A worker sends an empty one when it is ready,
and for each request one that starts with KEEP or LAST: after LAST it takes no more. Before that it may send STEP, any
number of times: a part of the document is done, and the time of the next one begins.
"""

from __future__ import annotations

import ctypes
import os
import pickle
import resource
import signal
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from multiprocessing import forkserver
from pathlib import Path
from typing import Any, Final

from kb_pipeline.core.errors import KbError, MemoryLimitExceeded, UnexpectedError

KEEP: Final = b"k"
LAST: Final = b"l"
STEP: Final = b"s"
LENGTH: Final = struct.Struct("!Q")

# A worker is replaced after this many documents, so that what a parser leaks does not add up.
DOCUMENTS_PER_WORKER = 500
# What a document may send back. Artifacts go to the object store; an outcome has a few kB.
ANSWER_BYTES = 16 * 1024 * 1024

_MIB = 1024 * 1024
_parent: socket.socket | None = None
_share: ctypes.c_int | None = None
_document_bytes = 0
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8


def serve(
    channel: socket.socket,
    function: Callable[[Any], Any],
    memory_mb: int,
    credentials: Mapping[str, str],
    prepare: Callable[[], None],
    share: ctypes.c_int,
) -> None:
    """The whole life of a worker process: `function` of each pickled item that comes, until the other end closes.

    `share` lies in memory that the parent writes: how many threads a document may have while workers are idle.
    """
    global _parent, _share, _document_bytes
    _parent, _share, _document_bytes = channel, share, memory_mb * _MIB
    _prepare_this_process(credentials)
    prepare()
    _limit(memory_mb)
    _say_nothing()
    out_of_memory = pickle.dumps(_out_of_memory(memory_mb))  # made now: later there may be no room for it
    pid, threads, mapped = os.getpid(), threading.active_count(), _mapped_bytes()
    send(channel, b"")
    for number in range(1, DOCUMENTS_PER_WORKER + 1):
        request = receive(channel)
        if request is None:
            break
        _allow(memory_mb)
        try:
            answer = _answer(function, request)
            last = number == DOCUMENTS_PER_WORKER or threading.active_count() > threads or _has_children()
            last = last or _mapped_bytes() > mapped + memory_mb * _MIB  # what documents left behind
        except MemoryError:  # nobody knows what it still holds
            answer, last = out_of_memory, True
        if os.getpid() != pid:  # a copy that a parser forked, and that came back here: only one may answer
            break
        send(channel, (LAST if last else KEEP) + answer)
        if last:
            break
    os._exit(0)  # threads that a parser left would be waited for otherwise


def step_done() -> None:
    """Tell the parent that a part of the document is done (a page was recognised); nothing outside a worker."""
    if _parent is not None:
        send(_parent, STEP)


def parts_at_once(bytes_each: int) -> int:
    """How many parts of the document, with so much memory each, may be worked on side by side now: no more than the
    idle workers would do, and than the document's memory holds; one outside a worker."""
    return max(1, min(_share.value, _document_bytes // bytes_each)) if _share else 1


def send(channel: socket.socket, body: bytes) -> None:
    """One frame."""
    channel.sendall(LENGTH.pack(len(body)))
    channel.sendall(body)


def receive(channel: socket.socket) -> bytes | None:
    """One frame; None when the other end has closed."""
    head = _exactly(channel, LENGTH.size)
    return head and _exactly(channel, LENGTH.unpack(head)[0])


def credentials() -> dict[str, str]:
    """What opens the object store, as the environment has it now."""
    return {name: value for name, value in os.environ.items() if name.startswith("AWS_")}


def unexpected(error: BaseException) -> UnexpectedError:
    """A defect of ours, or of a parser's, by the name of its type alone: its text may quote the document."""
    return UnexpectedError(
        f"Unexpected {type(error).__name__} in a worker.", "Please report it with the media type of the document."
    )


def _exactly(channel: socket.socket, count: int) -> bytes | None:
    data = bytearray()
    while len(data) < count:
        piece = channel.recv(min(count - len(data), _MIB))
        if not piece:
            return None
        data += piece
    return bytes(data)


def _answer(function: Callable[[Any], Any], request: bytes) -> bytes:
    """The pickled result, or one of our errors. Raises MemoryError alone."""
    try:
        answer = pickle.dumps(_result(function, request))
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - a result that cannot be sent costs this document alone
        return pickle.dumps(unexpected(error))
    if len(answer) > ANSWER_BYTES:
        return pickle.dumps(UnexpectedError(f"A worker's answer has {len(answer) / 1e6:.0f} MB.", "Please report it."))
    return answer


def _result(function: Callable[[Any], Any], request: bytes) -> object:
    """Errors go back as values of ours: one that cannot be pickled would be lost, and SystemExit end the worker."""
    try:
        return function(pickle.loads(request))  # noqa: S301 - from our own process
    except MemoryError:
        raise
    except KbError as error:
        return error
    except BaseException as error:  # noqa: BLE001 - whatever a parser raises costs this document alone
        return unexpected(error)


def _out_of_memory(memory_mb: int) -> MemoryLimitExceeded:
    return MemoryLimitExceeded(
        f"Needs more than {memory_mb} MiB of memory.",
        "Raise limits.memory_mb in kb.yaml and retry, or split the document.",
    )


def _has_children() -> bool:
    """Whether a parser left a process behind, or the child of one: those have come to us, their subreaper."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def _prepare_this_process(run_credentials: Mapping[str, str]) -> None:
    """A process group of its own, and the run's credentials (the fork server's environment is older: they may have come
    since). One thread for each library, and no model is looked for on the network."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _end_with_the_run()
    _give_memory_back()
    for name in credentials().keys() - run_credentials.keys():
        del os.environ[name]
    os.environ.update(run_credentials)
    one_each = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS", "HF_HUB_OFFLINE")
    os.environ.update(dict.fromkeys(one_each, "1"))


def _limit(memory_mb: int) -> None:
    """What this process may ever map: twice the limit of a document, for what documents leave behind."""
    most = _mapped_bytes() + 2 * memory_mb * _MIB
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _say_nothing() -> None:
    """Libraries complain about documents where logs are written, and quote them: nobody hears that."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    os.close(nowhere)


def _end_with_the_run() -> None:
    """A run that is killed leaves no worker, however deep in a parser: the fork server ends when nobody holds its pipe
    any more, and its end kills its children (prctl(2))."""
    # A worker inherits the pipe and would hold it. multiprocessing names it nowhere in public: a worker's own
    # parent_sentinel is another one.
    os.close(forkserver._forkserver._forkserver_alive_fd)  # type: ignore[attr-defined]
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1)


def _give_memory_back() -> None:
    """Large blocks go back to the system when they are freed, and threads share one heap (mallopt(3)): else a document
    that is worked on by threads has half as much again mapped as it uses."""
    libc = ctypes.CDLL(None)
    libc.mallopt(_M_MMAP_THRESHOLD, 32 * _MIB)
    libc.mallopt(_M_TRIM_THRESHOLD, 32 * _MIB)
    libc.mallopt(_M_ARENA_MAX, 1)


def _allow(memory_mb: int) -> None:
    """The limit is on top of what is mapped now: libraries reserve address space they never touch, and what a document
    before left behind is not this one's fault."""
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (min(_mapped_bytes() + memory_mb * _MIB, most), most))


def _mapped_bytes() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
