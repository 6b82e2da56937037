"""With this folder on PYTHONPATH, a Python process reaches this machine alone, and what else it asks for is written
down: one line each in the file that KB_OFFLINE_LOG names.

An audit hook sees every name that Python resolves and every address it connects to, whichever library asks.
Libraries that resolve names by themselves (libpq, obstore) are not seen: they ask for configured endpoints only.
"""

import os
import socket
import sys
from pathlib import Path

LOG = "KB_OFFLINE_LOG"
_ADDRESS_AT = {  # audit event: where in its arguments the host or the address is
    "socket.getaddrinfo": 0,
    "socket.gethostbyname": 0,
    "socket.gethostbyaddr": 0,
    "socket.getnameinfo": 0,
    "socket.connect": 1,
    "socket.sendto": 1,
}
_HERE = {"", "localhost", "::1", "::", "0.0.0.0"}


def is_here(address):
    """Whether a host or socket address is this machine's loopback (a path is a socket of this machine)."""
    if isinstance(address, tuple):
        address = address[0]
    elif isinstance(address, bytes | str) and os.sep in os.fsdecode(address):
        return True
    if address is None:
        return True
    host = os.fsdecode(address) if isinstance(address, bytes | str) else str(address)
    # .invalid names nobody (RFC 6761): a test may ask for one to see what a wrong name looks like.
    return host in _HERE or host.startswith(("127.", "\0", "::ffff:127.")) or host.endswith(".invalid")


def _watch(event, arguments):
    if event not in _ADDRESS_AT or is_here(arguments[_ADDRESS_AT[event]]):
        return
    program = " ".join(getattr(sys, "argv", [])[:3])
    with Path(os.environ[LOG]).open("a", encoding="utf-8") as log:
        log.write(f"{event} {arguments[_ADDRESS_AT[event]]!r} by {program}\n")
    raise socket.gaierror(socket.EAI_NONAME, "the outside is switched off")


def install():
    """Begin to watch this process."""
    sys.addaudithook(_watch)


if LOG in os.environ:
    install()
