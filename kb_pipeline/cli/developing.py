"""The verb `dev`: the embedded stack and the Dagster UI, in the foreground."""

from __future__ import annotations

import click

from kb_pipeline import console
from kb_pipeline.knowledge_base import KnowledgeBase


@click.command()
@click.option("--port", default=3000, show_default=True, type=click.IntRange(1, 65535), help="Port of the UI.")
@click.option(
    "--allowed-host",
    "allowed_hosts",
    multiple=True,
    help="A name that the UI answers to besides 127.0.0.1 and localhost (a tunnel, a proxy); may be repeated.",
)
@click.pass_obj
def dev(base: KnowledgeBase, port: int, allowed_hosts: tuple[str, ...]) -> None:
    """Start the embedded stack and the Dagster UI on loopback, with the source systems as partitions.

    Runs until Ctrl-C. The UI answers its own pages alone: a page of another site cannot launch a run through it.
    """
    from kb_pipeline.defs.serving import services

    settings = base.settings
    services.refuse_taken_port(port)
    with services.only_one(settings, port) as lock:
        base.up(console.err.print)
        base.register_sources()
        services.serve(
            settings,
            port,
            allowed_hosts,
            lock,
            lambda: console.err.print(f"Dagster UI: http://127.0.0.1:{port} (Ctrl-C ends it)"),
        )
