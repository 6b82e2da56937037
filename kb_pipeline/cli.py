"""The `kb` command: thin over KnowledgeBase. Dagster is loaded only by the verbs that run a job.

Exit codes: 0 done (documents may be in quarantine) · 1 a check found something, or a run failed · 2 wrong usage ·
3 settings or a name are wrong · 4 a service is down or a disk is full · 5 another run holds the source.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from kb_pipeline import console
from kb_pipeline.errors import KbError, SettingsError
from kb_pipeline.knowledge_base import KnowledgeBase, installed_command

F = TypeVar("F", bound=Callable[..., Any])


def _json_option(function: F) -> F:
    return click.option("--json", "as_json", is_flag=True, help="Print JSON on standard output.")(function)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--home", type=click.Path(file_okay=False), help="KB_HOME: where the embedded stack keeps its state.")
@click.option("--config", type=click.Path(dir_okay=False), help="KB_CONFIG: the settings file.")
@click.option("--debug", is_flag=True, help="Show a traceback with every error.")
@click.version_option(package_name="kb-pipeline")
@click.pass_context
def kb(context: click.Context, home: str | None, config: str | None, debug: bool) -> None:
    """Documents of your source systems as a searchable, masked vector knowledge base."""
    context.obj = KnowledgeBase(home=home, config=config)
    context.meta["debug"] = debug


@kb.command()
@_json_option
@click.pass_obj
def up(base: KnowledgeBase, as_json: bool) -> None:
    """Start the embedded PostgreSQL and embedding server (idempotent)."""
    services = base.up((lambda _: None) if as_json else console.err.print)
    _show_services(services, as_json)


@kb.command()
@_json_option
@click.pass_obj
def down(base: KnowledgeBase, as_json: bool) -> None:
    """Stop the embedded stack; data stays."""
    services = base.down((lambda _: None) if as_json else console.err.print)
    _show_services(services, as_json)


def _show_services(services: list[Any], as_json: bool) -> None:
    if as_json:
        console.print_json({"services": services})
        return
    rows = [(s.name, "up" if s.running else "down", s.port or "", s.pid or "", s.detail) for s in services]
    console.table("", ("service", "state", "port", "pid", "detail"), rows)


@kb.command()
@_json_option
@click.pass_obj
def status(base: KnowledgeBase, as_json: bool) -> None:
    """How the services, sources and embedding spaces stand."""
    found = base.status()
    if as_json:
        console.print_json(found)
        return
    _show_services(found.services, as_json=False)
    columns = ("source system", "documents", "quarantined", "deleted", "chunks")
    rows = [(s.source_system, s.documents, s.quarantined, s.deleted, s.chunks) for s in found.sources]
    console.table("sources", columns, rows, numbers=columns[1:])
    spaces = [(s.space_id, s.model, s.dimension, s.status, s.rows) for s in found.spaces]
    console.table("spaces", ("space", "model", "dimension", "status", "rows"), spaces, numbers=("dimension", "rows"))


@kb.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False))
@click.option("--source", required=True, help="Source system: lower-case letters, digits, '-' and '_'.")
@_json_option
@click.pass_obj
def ingest(base: KnowledgeBase, folder: str, source: str, as_json: bool) -> None:
    """Make a source system mirror FOLDER, then sync it. Files gone from FOLDER are deleted from the source."""
    with console.progress_shown():
        report = base.ingest(folder, source)
    if as_json:
        console.print_json({**console.plain(report.sync), "mirror": report.mirror})
        return
    m = report.mirror
    console.out.print(f"{source}: {m.uploaded} uploaded, {m.unchanged} unchanged, {m.deleted} deleted")
    for name in m.failed:
        console.err.print(f"could not be read: {name}", markup=False)
    if m.skipped:
        console.err.print(f"{m.skipped} files skipped: their names hold control characters or are not UTF-8")
    _show_sync(report.sync)


@kb.command()
@click.argument("names", nargs=-1)
@_json_option
@click.pass_obj
def sync(base: KnowledgeBase, names: tuple[str, ...], as_json: bool) -> None:
    """Bring source systems in step: NAMES, or all. With --json one object a source."""
    with console.progress_shown():
        reports = base.sync(*names)
    for report in reports:
        if as_json:
            console.print_json(report)
        else:
            _show_sync(report)


def _show_sync(report: Any) -> None:
    columns = ("stage", "considered", "done", "reused", "quarantined", "waiting", "seconds")
    rows = [
        (name, s["considered"], s["done"], s["reused"], s["quarantined"], s["failed"], s["seconds"])
        for name, s in report.stages.items()
    ]
    title = f"{report.source_system}: run {report.run_id[:8]}, {report.seconds:.1f} s"
    console.table(title, columns, rows, numbers=columns[1:])
    console.out.print(
        f"object reads {report.object_reads}, object writes {report.object_writes}, "
        f"model calls {report.model_calls}, texts embedded {report.model_texts}"
    )
    if not report.object_reads and not any(s["done"] or s["deleted"] or s["failed"] for s in report.stages.values()):
        console.out.print(f"{report.source_system}: nothing changed")


@kb.command()
@click.argument("text")
@click.option("--source", help="Only this source system.")
@click.option("--limit", default=5, show_default=True, type=click.IntRange(1, 200))
@_json_option
@click.pass_obj
def search(base: KnowledgeBase, text: str, source: str | None, limit: int, as_json: bool) -> None:
    """Find the passages that best answer TEXT, by meaning and by word."""
    results = base.search(text, source, limit)
    if as_json:
        console.print_json({"results": results})
        return
    console.show_results(results)
    if not results:
        console.err.print("Nothing found. `kb status` shows what the knowledge base holds.")


@kb.group()
def quarantine() -> None:
    """Documents that a stage could not take."""


@quarantine.command("list")
@click.option("--source", help="Only this source system.")
@_json_option
@click.pass_obj
def quarantine_list(base: KnowledgeBase, source: str | None, as_json: bool) -> None:
    """Documents in quarantine, the newest first, with the reason and what to do."""
    found = base.quarantine(source)
    if as_json:
        console.print_json({"quarantined": found})
        return
    rows = [(q.source_system, q.name, q.stage, q.error_class, q.error_message, q.document_id[:12]) for q in found]
    console.table("", ("source", "document", "stage", "reason", "message", "id"), rows)


@quarantine.command("retry")
@click.argument("documents", nargs=-1)
@click.option("--source", help="All of this source system.")
@click.option("--all", "everything", is_flag=True, help="All of every source system.")
@_json_option
@click.pass_obj
def quarantine_retry(
    base: KnowledgeBase, documents: tuple[str, ...], source: str | None, everything: bool, as_json: bool
) -> None:
    """Let the next sync try documents again: by id (or its beginning), or all of a source."""
    if not (documents or source or everything):
        raise click.UsageError("name documents, or use --source NAME or --all")
    count = base.retry(list(documents) or None, source)
    if as_json:
        console.print_json({"retried": count})
    else:
        console.out.print(f"{count} to be tried again by the next sync")


@kb.command()
@_json_option
@click.pass_obj
def doctor(base: KnowledgeBase, as_json: bool) -> None:
    """Check the installation; exit code 1 if something needs mending."""
    findings = base.doctor()
    if as_json:
        console.print_json({"findings": findings, "ok": all(f.ok for f in findings)})
    else:
        rows = [("ok" if f.ok else "MEND", f.name, f.detail, "" if f.ok else f.remedy) for f in findings]
        console.table("", ("", "check", "seen", "remedy"), rows)
    if not all(f.ok for f in findings):
        raise click.exceptions.Exit(1)


@kb.command()
@_json_option
@click.pass_obj
def demo(base: KnowledgeBase, as_json: bool) -> None:
    """Run the main job on about thirty documents of our own and show three searches."""
    from kb_pipeline.demo.showing import run_demo, show_demo

    report = run_demo(base)
    if as_json:
        console.print_json(report)
    else:
        show_demo(report)


@kb.command()
@click.option("--port", default=3000, show_default=True, type=click.IntRange(1, 65535))
@click.pass_obj
def dev(base: KnowledgeBase, port: int) -> None:
    """Start the embedded stack and the Dagster UI on loopback, with the source systems as partitions."""
    from kb_pipeline.local.dagster_home import prepare_dagster_home

    base.up(console.err.print)
    base.register_sources()
    command = installed_command("dagster")
    if command is None:
        raise SettingsError("The command `dagster` is not installed.", "Install kb-pipeline in this environment.")
    settings = base.settings
    environment = {
        **os.environ,
        "DAGSTER_HOME": str(prepare_dagster_home(settings)),
        "DAGSTER_DISABLE_TELEMETRY": "yes",
        "KB_HOME": str(settings.home),
        **({"KB_CONFIG": str(settings.config_path)} if settings.config_path else {}),
    }
    workspace = (settings.config_path.parent if settings.config_path else Path.cwd()) / "workspace.yaml"
    code = ["-w", str(workspace)] if workspace.is_file() else ["-m", "kb_pipeline.definitions"]
    arguments = ["dagster", "dev", "--host", "127.0.0.1", "--port", str(port), *code]
    console.err.print(f"Dagster UI: http://127.0.0.1:{port}")
    os.execve(command, arguments, environment)  # noqa: S606 - our own environment's command, no shell


def main() -> None:
    """Entry point: errors as messages with a remedy, never a traceback unless --debug."""
    as_json, debug = "--json" in sys.argv, "--debug" in sys.argv
    try:
        kb(standalone_mode=False)
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except click.Abort:
        console.err.print("Interrupted: what was committed stays, the next sync goes on from there.")
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except KbError as error:
        if debug:
            raise
        console.show_error(error, as_json=as_json)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        sys.exit(141)
    except Exception as error:
        if debug:
            raise
        # The last resort: a defect, shown without a message that might quote a document.
        defect = KbError(f"Unexpected {type(error).__name__}.", "Run it again with --debug for the traceback.")
        console.show_error(defect, as_json=as_json)
        sys.exit(1)
