"""OpenStack Swift with its s3api on loopback: a real, persistent S3 server that refuses wrong credentials.

It lives in an environment of its own, .venv-swift, which `make test-swift` builds. One proxy and one server each for
accounts, containers and objects, one replica, one folder; nothing of it outlives the test session.
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

ENVIRONMENT = Path(__file__).resolve().parents[2] / ".venv-swift"
KINDS = ("account", "container", "object")
READY_SECONDS = 60

COMMON = """[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
user = {user}
swift_dir = {folder}
devices = {folder}/devices
mount_check = false
workers = 0
log_address = {folder}/no-syslog
log_level = WARNING
"""
# An object's row in the listing must be there when its upload is answered: a server that hurries past a slow container
# server, as it may on a busy machine, leaves the row to a background process that does not run here.
STORAGE = """
[pipeline:main]
pipeline = {kind}-server
[app:{kind}-server]
use = egg:swift#{kind}
container_update_timeout = 60
fallocate_reserve = 0
"""
PROXY = """
[pipeline:main]
pipeline = catch_errors s3api tempauth bulk slo proxy-server
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
[filter:tempauth]
use = egg:swift#tempauth
user_{user} = {secret} .admin
[filter:bulk]
use = egg:swift#bulk
[filter:slo]
use = egg:swift#slo
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
conn_timeout = 30
node_timeout = 60
"""
SWIFT_CONF = """[swift-hash]
swift_hash_path_prefix = loopback
swift_hash_path_suffix = loopback
[storage-policy:0]
name = single
default = yes
"""
RINGS = """
import sys
from swift.common.ring import RingBuilder
folder, *servers = sys.argv[1:]
for kind, port in (server.split("=") for server in servers):
    builder = RingBuilder(part_power=4, replicas=1, min_part_hours=0)
    builder.add_dev({"region": 1, "zone": 1, "ip": "127.0.0.1", "port": int(port), "device": "disk", "weight": 1,
                     "replication_ip": "127.0.0.1", "replication_port": int(port)})
    builder.rebalance()
    builder.get_ring().save(f"{folder}/{kind}.ring.gz")
"""


@contextmanager
def swift(access_key: str, secret_key: str) -> Iterator[str]:
    """A running Swift that knows one user, `access_key` being "account:user"; yields its S3 endpoint."""
    binaries = ENVIRONMENT / "bin"
    assert (binaries / "swift-proxy-server").exists(), f"there is no Swift in {ENVIRONMENT.name}: run make test-swift"
    folder = Path(tempfile.mkdtemp(prefix="kb-swift-"))
    with ExitStack() as cleanup:
        cleanup.callback(shutil.rmtree, folder)
        ports = dict(zip((*KINDS, "proxy"), _free_ports(4), strict=True))
        _write(folder, ports, access_key.replace(":", "_"), secret_key)
        _check_attributes(folder)
        _rings(binaries, folder, {kind: ports[kind] for kind in KINDS})
        servers = {}
        for kind in ports:
            servers[kind] = _start(binaries, folder, kind)
            cleanup.callback(_end, servers[kind])
        for kind, port in ports.items():
            _wait(port, servers[kind], folder / f"{kind}.log")
        yield f"http://127.0.0.1:{ports['proxy']}"


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


def _write(folder: Path, ports: Mapping[str, int], user: str, secret: str) -> None:
    (folder / "devices" / "disk").mkdir(parents=True)
    (folder / "swift.conf").write_text(SWIFT_CONF)
    account = pwd.getpwuid(os.getuid()).pw_name
    for kind, port in ports.items():
        rest = PROXY.format(user=user, secret=secret) if kind == "proxy" else STORAGE.format(kind=kind)
        (folder / f"{kind}.conf").write_text(COMMON.format(port=port, user=account, folder=folder) + rest)


def _check_attributes(folder: Path) -> None:
    """Swift keeps an object's name and size in extended attributes of its file."""
    try:
        os.setxattr(folder, "user.swift.probe", b"1")
    except OSError as error:
        raise AssertionError(f"the filesystem of {folder.parent} has no extended attributes: set TMPDIR") from error


def _rings(binaries: Path, folder: Path, ports: Mapping[str, int]) -> None:
    """Where things lie: all on one device."""
    command = [binaries / "python", "-c", RINGS, folder, *(f"{kind}={port}" for kind, port in ports.items())]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr


def _start(binaries: Path, folder: Path, kind: str) -> subprocess.Popen[bytes]:
    with (folder / f"{kind}.log").open("wb") as log:
        command = [binaries / f"swift-{kind}-server", folder / f"{kind}.conf", "--verbose"]
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, cwd=folder)


def _wait(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
