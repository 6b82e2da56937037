"""Servers that speak S3 on loopback: moto (with SQS), or OpenStack Swift with KB_TESTS_S3=swift (make test-swift)."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kb_pipeline_tests.support.swift import swift

REGION = "us-east-1"
# Swift wants account:user, moto takes anything.
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "kb:tester",
    "AWS_SECRET_ACCESS_KEY": "synthetic",
    "AWS_DEFAULT_REGION": REGION,
    "AWS_EC2_METADATA_DISABLED": "true",
}
SERVER = os.environ.get("KB_TESTS_S3") or "moto"


@dataclass(frozen=True)
class S3Server:
    """A server that speaks S3 on loopback. `environment` is what kb and boto3 need to use it."""

    endpoint: str
    access_key: str = ENVIRONMENT["AWS_ACCESS_KEY_ID"]
    secret_key: str = ENVIRONMENT["AWS_SECRET_ACCESS_KEY"]
    region: str = REGION

    @property
    def environment(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_DEFAULT_REGION": self.region,
        }

    def client(self, service: str = "s3") -> Any:
        import boto3

        return boto3.session.Session().client(
            service,  # type: ignore[call-overload]
            endpoint_url=self.endpoint,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name=self.region,
        )


@pytest.fixture(scope="session")
def moto_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """moto on a free loopback port: S3, SQS, SNS and EventBridge, any credentials, nothing kept."""
    port, log = free_port(), tmp_path_factory.mktemp("moto") / "server.log"
    with log.open("wb") as output:
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        _wait(port, process, log)
        yield S3Server(f"http://127.0.0.1:{port}")
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="session")
def s3_server(request: pytest.FixtureRequest) -> Iterator[S3Server]:
    """The S3 server under test: moto, or Swift with KB_TESTS_S3=swift."""
    if SERVER == "moto":
        yield request.getfixturevalue("moto_server")
        return
    assert SERVER == "swift", f"KB_TESTS_S3={SERVER}: use moto or swift"
    server = S3Server("")
    with swift(server.access_key, server.secret_key) as endpoint:
        yield S3Server(endpoint)


@pytest.fixture(scope="session")
def s3_endpoint(s3_server: S3Server) -> str:
    """The address of `s3_server`; its credentials are those of ENVIRONMENT."""
    return s3_server.endpoint


def make_bucket(endpoint: str, name: str) -> None:
    S3Server(endpoint).client().create_bucket(Bucket=name)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
