"""Dagster's webserver behind the guard: `python -m kb_pipeline.defs.serving.webserver`, of `kb dev` and infra/compose.

It is `dagster-webserver` with the middleware that its command line cannot be given.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click
import uvicorn
from dagster import DagsterInstance
from dagster import __version__ as dagster_version
from dagster_webserver.webserver import DagsterWebserver
from starlette.applications import Starlette
from starlette.middleware import Middleware

from kb_pipeline.defs.dagster_private import workspace_context
from kb_pipeline.defs.serving.guard import Guard

# As `dagster-webserver` has them: milliseconds, milliseconds, seconds, connections.
POLL_RATE, STATEMENT_TIMEOUT, POOL_RECYCLE, POOL_OVERFLOW = 2000, 15_000, 3600, 20
ALLOWED_HOSTS = "KB_ALLOWED_HOSTS"
# Pages that stay open hold a connection each; an end that waits for them would take for ever.
SECONDS_TO_END = 3


class GuardedWebserver(DagsterWebserver):  # type: ignore[type-arg]
    """Dagster's webserver, which answers to loopback's names and to `allowed_hosts`, and only to its own pages."""

    def __init__(
        self,
        process_context: Any,
        app_path_prefix: str = "",
        live_data_poll_rate: int | None = POLL_RATE,
        *,
        allowed_hosts: Iterable[str] | None = None,
    ) -> None:
        super().__init__(process_context, app_path_prefix, live_data_poll_rate)
        from_environment = os.environ.get(ALLOWED_HOSTS, "").split()
        self._allowed_hosts = tuple(from_environment if allowed_hosts is None else allowed_hosts)

    def build_middleware(self) -> list[Middleware]:
        """The guard stands first: nothing else sees what it refuses."""
        return [Middleware(Guard, allowed_hosts=self._allowed_hosts), *super().build_middleware()]


def application(process_context: Any, allowed_hosts: Iterable[str] = ()) -> Starlette:
    """The ASGI application of the UI over the code locations of `process_context`."""
    return GuardedWebserver(process_context, allowed_hosts=allowed_hosts).create_asgi_app()


def guard_dagsters_own() -> None:
    """Put the guarded webserver in the place of Dagster's, where `dagster dev`, `dg dev` or `dagster-webserver` made
    this process. They take no middleware; what they do load is the storage that dagster.yaml names, which calls this.
    """
    app = sys.modules.get("dagster_webserver.app")
    if app is not None:
        app.DagsterWebserver = GuardedWebserver  # type: ignore[attr-defined]


@click.command()
@click.option("--host", "-h", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", "-p", default=3000, show_default=True, type=click.IntRange(1, 65535))
@click.option("--workspace", "-w", required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--allowed-host",
    "allowed_hosts",
    multiple=True,
    envvar=ALLOWED_HOSTS,
    help="A name that the UI answers to besides 127.0.0.1, localhost and [::1]; may be repeated. The variable holds "
    "names with spaces between.",
)
def main(host: str, port: int, workspace: Path, allowed_hosts: tuple[str, ...]) -> None:
    """Serve the Dagster UI of the instance in DAGSTER_HOME."""
    with DagsterInstance.get() as instance:
        instance.optimize_for_webserver(STATEMENT_TIMEOUT, POOL_RECYCLE, POOL_OVERFLOW)
        with workspace_context(instance, workspace, dagster_version) as context:
            uvicorn.run(
                application(context, allowed_hosts),
                host=host,
                port=port,
                log_level="warning",
                timeout_graceful_shutdown=SECONDS_TO_END,
            )


if __name__ == "__main__":
    main()
